#!/usr/bin/env bash
# Make an environment with the networks that conversion is tested on: scripts/compatibility_environment.sh FOLDER
# Their own dependencies are left out where they ask for torchvision or for old versions of numpy: only the files that
# define networks are imported. Then: FOLDER/bin/python -m pytest -m networks tests/compatibility
set -euo pipefail
folder=${1:?usage: scripts/compatibility_environment.sh FOLDER}
here=$(cd "$(dirname "$0")/.." && pwd)
python3 -m venv "$folder"
pip() { "$folder/bin/pip" install --quiet "$@"; }
pip torch==2.13.0 "$here[all]" pytest h5py==3.16.0
pip torch==2.13.0 transformers==5.24.0
pip --no-deps pytorchcv==0.0.74 monai==1.6.1 cellpose==3.1.1.2 cistardist-pytorch==0.4.1
