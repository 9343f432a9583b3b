#!/bin/sh
# Set up an environment in $VENV (default .venv) with orbitconv and everything the demo needs.
#
#   PYTHON  interpreter to use; by default the first of python3.11, python3, python3.12, python3.13 that is 3.11 or newer
#   TORCH   what pip installs if there is no torch yet; by default the CPU build, or the default build beside a GPU
set -eu
VENV=${VENV:-.venv}

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if [ -z "${PYTHON:-}" ]; then
    for candidate in python3.11 python3 python3.12 python3.13; do
        if recent "$candidate"; then PYTHON=$candidate; break; fi
    done
fi
if [ -z "${PYTHON:-}" ] || ! recent "$PYTHON"; then
    echo "orbitconv needs Python 3.11 or newer; name one with PYTHON=/path/to/python make demo" >&2
    exit 2
fi

if [ ! -x "$VENV/bin/python" ]; then
    # A torch that drives this machine's GPU is kept: the environment then sees it.
    if "$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
        "$PYTHON" -m venv --system-site-packages "$VENV"
    else
        "$PYTHON" -m venv "$VENV"
    fi
fi
python=$VENV/bin/python
"$python" -m pip install --quiet --upgrade 'pip>=25.1'

if ! "$python" -c 'import torch' 2>/dev/null; then
    echo "Installing torch ..."
    if [ -n "${TORCH:-}" ]; then
        "$python" -m pip install --quiet "$TORCH"
    elif command -v nvidia-smi >/dev/null 2>&1; then
        "$python" -m pip install --quiet 'torch==2.13.0'
    else
        # The small CPU build wherever pip knows one, the default build elsewhere.
        "$python" -m pip install --quiet 'torch==2.13.0+cpu' 2>/dev/null ||
            "$python" -m pip install --quiet 'torch==2.13.0'
    fi
fi
echo "Installing orbitconv ..."
"$python" -m pip install --quiet --editable '.[all]'
echo "Ready. To use it in this shell: . $VENV/bin/activate"
