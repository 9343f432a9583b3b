#!/usr/bin/env bash
# monai 1.6.1 (torch 2.13.0, numpy 2.4.6): Rotate and Rotate90 turn opposite ways. Rotate90(k=1) is torch.rot90, but
# Rotate(angle=pi / 2) is a turn by -90 degrees in the same array, and so are RandRotate and Affine. Nothing in their
# documentation names a direction. Augmentations made of both stay plausible; angles that are stored, compared or undone
# with the other class are wrong in sign.
# Output seen:
#   Rotate90(k=1): rot90 by 1
#   Rotate(angle=pi/2): rot90 by -1
#   Affine(rotate_params=pi/2): rot90 by -1
#   RandRotate(range_x=pi/2): rot90 by -1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" install -q "$1" "numpy==2.4.6" "monai==1.6.1"; }
pip "torch==2.13.0+cpu" 2>/dev/null || pip "torch==2.13.0"
"$folder/venv/bin/python" - <<'PYTHON'
import math
import sys
import warnings

warnings.simplefilter("ignore")

import torch
from monai import transforms

picture = torch.arange(49.0).reshape(1, 7, 7)
right = math.pi / 2
turns = {
    "Rotate90(k=1)": transforms.Rotate90(k=1),
    "Rotate(angle=pi/2)": transforms.Rotate(angle=right),
    "Affine(rotate_params=pi/2)": transforms.Affine(rotate_params=right, image_only=True),
    "RandRotate(range_x=pi/2)": transforms.RandRotate(range_x=(right, right), prob=1.0),
}
seen = []
for name, turn in turns.items():
    turned = torch.as_tensor(turn(picture))
    seen.append([k for k in (1, -1) if torch.allclose(turned, torch.rot90(picture, k, (1, 2)), atol=1e-3)])
    print(f"{name}: rot90 by {seen[-1][0] if seen[-1] else 'neither'}")
sys.exit(seen != [[1], [-1], [-1], [-1]])
PYTHON
