#!/usr/bin/env bash
# torch 2.13.0 (numpy 2.4.6): FractionalMaxPool2d draws its windows at random in eval mode too. eval() makes the other
# random layers (dropout, RReLU) fixed, but a network with this one gives another answer for every call on the same image,
# and no argument of the layer turns that off. Its documentation calls the windows stochastic, and says nothing of modes.
# The windows are fixed only where the output is as large as half the input or as the input, so a test on such a size
# shows nothing; else _random_samples, a private argument, has to be given.
# Output seen (two calls on one image of 10x10, in eval mode; values differ / all):
#   FractionalMaxPool2d to 7x7: differ True
#   FractionalMaxPool2d to 5x5: differ False
#   RReLU: differ False
#   Dropout2d: differ False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import torch
from torch import nn

torch.manual_seed(0)
image = torch.randn(1, 1, 10, 10)
layers = {
    "FractionalMaxPool2d to 7x7": nn.FractionalMaxPool2d(2, output_size=7),
    "FractionalMaxPool2d to 5x5": nn.FractionalMaxPool2d(2, output_size=5),
    "RReLU": nn.RReLU(),
    "Dropout2d": nn.Dropout2d(),
}
differ = {name: not torch.equal(layer.eval()(image), layer(image)) for name, layer in layers.items()}
for name, found in differ.items():
    print(f"{name}: differ {found}")
sys.exit(differ != {name: name == "FractionalMaxPool2d to 7x7" for name in layers})
PYTHON
