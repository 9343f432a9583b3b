#!/usr/bin/env bash
# e2cnn 0.2.3 (numpy 1.26.4, torch 2.13.0): PointwiseMaxPoolAntialiased applies its padding twice, once for the maximum and
# once more for the low-pass filter. Exchanged for PointwiseMaxPool with the same kernel_size=3, stride=2, padding=1, it
# makes a 24x24 map 13x13, not 12x12, and its own evaluate_output_shape says 12. escnn 1.0.11 does the same.
# Output seen:
#   PointwiseMaxPool: 12, evaluate_output_shape 12
#   PointwiseMaxPoolAntialiased: 13, evaluate_output_shape 12
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" install -q "$1" "numpy==1.26.4" "e2cnn==0.2.3"; }
pip "torch==2.13.0+cpu" 2>/dev/null || pip "torch==2.13.0"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings

warnings.simplefilter("ignore")

import torch
from e2cnn import gspaces, nn

space = gspaces.Rot2dOnR2(4)
fields = nn.FieldType(space, [space.regular_repr])
x = nn.GeometricTensor(torch.randn(1, 4, 24, 24), fields)
seen = []
for kind in (nn.PointwiseMaxPool, nn.PointwiseMaxPoolAntialiased):
    pool = kind(fields, kernel_size=3, stride=2, padding=1)
    seen.append((pool(x).tensor.shape[-1], pool.evaluate_output_shape((1, 4, 24, 24))[-1]))
    print(f"{kind.__name__}: {seen[-1][0]}, evaluate_output_shape {seen[-1][1]}")
sys.exit(seen != [(12, 12), (13, 12)])
PYTHON
