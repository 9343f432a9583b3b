#!/usr/bin/env bash
# escnn 1.0.11 (numpy 1.26.4, torch 2.13.0): weights that change in eval mode change nothing, and eval() again does not
# help: it makes the filters only on the way from train mode. So the copy that holds an average of the weights (EMA), which
# is in eval mode from its first test on, gives its first outputs for ever, while its parameters move. torch.func.
# functional_call in eval mode ignores the weights that it is handed in the same way. train().eval() makes them anew.
# Output seen (largest change of the outputs after all weights were doubled):
#   eval() again: 0 (outputs up to 2.9)
#   train().eval(): 2.9
#   functional_call with weights of zero: outputs up to 5.9
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" install -q "$1" "numpy==1.26.4" "escnn==1.0.11"; }
pip "torch==2.13.0+cpu" 2>/dev/null || pip "torch==2.13.0"
"$folder/venv/bin/python" - <<'PYTHON'
import copy
import sys
import warnings

warnings.simplefilter("ignore")

import torch
from escnn import gspaces, nn

space = gspaces.rot2dOnR2(4)
image, features = nn.FieldType(space, [space.trivial_repr]), nn.FieldType(space, [space.regular_repr])
torch.manual_seed(0)
layer = nn.R2Conv(image, features, kernel_size=5, bias=False)
average = copy.deepcopy(layer).eval()
x = nn.GeometricTensor(torch.randn(1, 1, 12, 12), image)
with torch.no_grad():
    first = average(x).tensor
    for weight in average.parameters():
        weight.mul_(2)
    again = float((average.eval()(x).tensor - first).abs().max())
    anew = float((average.train().eval()(x).tensor - first).abs().max())
    zeros = {name: torch.zeros_like(weight) for name, weight in average.named_parameters()}
    called = float(torch.func.functional_call(average, zeros, (x,)).tensor.abs().max())
print(f"eval() again: {again:.2g} (outputs up to {first.abs().max():.2g})")
print(f"train().eval(): {anew:.2g}")
print(f"functional_call with weights of zero: outputs up to {called:.2g}")
sys.exit(not (again == 0 and anew > 0.1 and called > 0.1))
PYTHON
