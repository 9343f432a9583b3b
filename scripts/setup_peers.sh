#!/bin/sh
# Set up an environment in $VENV (default .venv-peers) with orbitconv, escnn and e2cnn, to compare filter bases
# and convert networks:
#
#   sh scripts/setup_peers.sh
#   .venv-peers/bin/python -m studies compare-bases
#   .venv-peers/bin/python -m pip install --group test && .venv-peers/bin/python -m pytest -m peers
#
# An environment of its own, because the two need numpy < 2. One of escnn's requirements is built from source by a
# Fortran compiler: apt-get install gfortran (Debian, Ubuntu), brew install gcc (macOS).
#
#   PYTHON  interpreter to use, 3.11 or 3.12: numpy < 2 has no wheels for later ones
#   TORCH   as in setup.sh
set -eu
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv-peers}

fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; }

if [ -z "${PYTHON:-}" ]; then
    for candidate in python3.11 python3 python3.12; do
        if fits "$candidate"; then PYTHON=$candidate; break; fi
    done
fi
if [ -z "${PYTHON:-}" ] || ! fits "$PYTHON"; then
    echo "escnn and e2cnn need Python 3.11 or 3.12; name one with PYTHON=/path/to/python sh scripts/setup_peers.sh" >&2
    exit 2
fi
if ! command -v gfortran >/dev/null 2>&1; then
    echo "escnn needs a Fortran compiler to install: apt-get install gfortran, or brew install gcc" >&2
    exit 2
fi

export PYTHON VENV
sh scripts/setup.sh
python=$VENV/bin/python
# The torch that setup.sh chose stays.
torch=$("$python" -c 'import torch; print(torch.__version__)')
echo "Installing escnn and e2cnn ..."
"$python" -m pip install --quiet --editable '.[all,peers]' "torch==$torch"
"$python" -W ignore -c 'import escnn.nn, e2cnn.nn'
