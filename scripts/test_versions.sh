#!/bin/sh
# Run the tests with the lowest or the newest versions of torch, NumPy and SciPy that pip finds for this Python:
#
#   sh scripts/test_versions.sh lowest            # the lowest that pyproject.toml allows
#   sh scripts/test_versions.sh newest -x tests/nn   # further words go to pytest
#
# The environment is made anew in .venv-lowest or .venv-newest. The newest torch may come with several GB of CUDA; TORCH
# can name another. On Python 3.13.0 torch warns: 2.15 on import (take Python 3.13.1 or newer there), 2.13 when it
# compiles, which the tests expect.
#
#   PYTHON  interpreter to use, as in setup.sh
#   TORCH   torch to use as the newest, such as torch==2.13.0+cpu
set -eu
cd "$(dirname "$0")/.."

ends=${1:-}
case $ends in
    lowest) TORCH=torch==2.13.0 packages='numpy==1.26.* scipy==1.13.*' ;;
    newest) TORCH=${TORCH:-torch} packages='numpy scipy' ;;
    *) echo "usage: sh scripts/test_versions.sh lowest|newest [ARGUMENTS OF PYTEST]" >&2; exit 2 ;;
esac
shift

export VENV=".venv-$ends" TORCH
rm -rf "$VENV"
sh scripts/setup.sh
python=$VENV/bin/python
"$python" -m pip install --quiet --group test
# What setup.sh took may not be the end of the range, nor the Triton of the tests that of a newer torch.
"$python" -m pip install --quiet --upgrade "$TORCH" $packages
"$python" -c 'import numpy, scipy, torch; print("torch", torch.__version__, "NumPy", numpy.__version__, "SciPy", scipy.__version__)'
exec "$python" -m pytest "$@"
