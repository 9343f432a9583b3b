#!/usr/bin/env bash
# torch 2.13.0: torch.nn.utils.parametrize.remove_parametrizations on a deep copy of a module breaks the original.
# A parametrized module gets a class of its own, and the parameter is a property of that class. copy.deepcopy copies the
# module, not its class; removal deletes the property from the class that both share.
# Seen: AttributeError: 'ParametrizedLinear' object has no attribute 'weight', from the module that nobody touched.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import copy
import torch
from torch import nn
from torch.nn.utils import parametrize

original = nn.Linear(2, 2)
parametrize.register_parametrization(original, "weight", nn.Identity())
original(torch.ones(1, 2))
twin = copy.deepcopy(original)
parametrize.remove_parametrizations(twin, "weight")
twin(torch.ones(1, 2))
try:
    original(torch.ones(1, 2))
except AttributeError as error:
    print("as described:", error)
else:
    raise SystemExit("the behaviour changed: the original still works")
PYTHON
