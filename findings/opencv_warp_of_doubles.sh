#!/usr/bin/env bash
# opencv-python-headless 5.0.0.93 (numpy 2.4.6): warpAffine of float64 is coarser than of float32. With INTER_LINEAR,
# float32 is interpolated at the exact place, but float64 at places rounded to 1/32 of a pixel, as all types once were: a
# shift by 0.01 pixels does nothing at all. A picture cast to double to lose no digits is turned with errors 100,000
# times as large.
# Output seen (a ramp of slope 1, shifted by 0.01, 0.1 and 0.3 pixels):
#   float32: moved by 0.0100, 0.1000, 0.3000
#   float64: moved by 0.0000, 0.0938, 0.3125
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "opencv-python-headless==5.0.0.93" "numpy==2.4.6"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import cv2
import numpy as np

shifts, moved = np.array([0.01, 0.1, 0.3]), {}
for dtype in (np.float32, np.float64):
    ramp = np.tile(np.arange(32, dtype=dtype), (32, 1))
    matrices = [np.float64([[1, 0, -shift], [0, 1, 0]]) for shift in shifts]
    warped = [cv2.warpAffine(ramp, matrix, (32, 32), flags=cv2.INTER_LINEAR) for matrix in matrices]
    moved[dtype] = np.array([float(one[16, 16]) - 16 for one in warped])
    print(f"{dtype.__name__}: moved by {', '.join(f'{one:.4f}' for one in moved[dtype])}")
exact = np.abs(moved[np.float32] - shifts).max() < 1e-5
rounded = np.array_equal(moved[np.float64], np.round(shifts * 32) / 32)
sys.exit(not (exact and rounded))
PYTHON
