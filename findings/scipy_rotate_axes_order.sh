#!/usr/bin/env bash
# SciPy 1.17.1 (numpy 2.4.6): scipy.ndimage.rotate sorts `axes`, so that their order says nothing: axes=(0, 1) and
# axes=(1, 0) turn the same way. numpy.rot90 has an argument of the same name, from whose first axis it turns towards the
# second. The default here is (1, 0), which for rot90 is a turn by -90 degrees, but this one agrees with rot90's default
# (0, 1). Whoever swaps the axes to turn back gets a turn by 180 degrees in all; only the sign of the angle turns back.
# Output seen:
#   axes=(0, 1): scipy is rot90(axes=(0, 1)): True, rot90(axes=(1, 0)): False
#   axes=(1, 0): scipy is rot90(axes=(0, 1)): True, rot90(axes=(1, 0)): False
#   turned by axes (0, 1), then by axes (1, 0): rot90 returns the picture, scipy the picture upside down
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "scipy==1.17.1" "numpy==2.4.6"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
from scipy.ndimage import rotate

picture = np.arange(25.0).reshape(5, 5)
seen = []
for axes in ((0, 1), (1, 0)):
    turned = rotate(picture, 90, axes=axes, order=1)
    seen.append([np.allclose(turned, np.rot90(picture, axes=order)) for order in ((0, 1), (1, 0))])
    print(f"axes={axes}: scipy is rot90(axes=(0, 1)): {seen[-1][0]}, rot90(axes=(1, 0)): {seen[-1][1]}")
there = rotate(rotate(picture, 90, axes=(0, 1), order=1), 90, axes=(1, 0), order=1)
back = np.rot90(np.rot90(picture, axes=(0, 1)), axes=(1, 0))
seen.append([np.array_equal(back, picture), np.allclose(there, np.rot90(picture, 2))])
if all(seen[-1]):
    print("turned by axes (0, 1), then by axes (1, 0): rot90 returns the picture, scipy the picture upside down")
sys.exit(seen != [[True, False], [True, False], [True, True]])
PYTHON
