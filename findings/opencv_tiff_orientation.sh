#!/usr/bin/env bash
# opencv-python-headless 5.0.0.93 (tifffile 2026.3.3, numpy 2.4.6): imread cannot read a TIFF whose Orientation tag is one
# of 5 to 8 (a quarter turn), unless it is square: it returns None. IMREAD_UNCHANGED, which for JPEG and PNG leaves the
# orientation alone, does not help: for TIFF it turns too. The same file with orientation 1 to 4 is read, so in a folder
# just the upright pictures are missing. A square one is read and turned.
# Output seen:
#   8x12: read with orientation [1, 2, 3, 4], None with [5, 6, 7, 8]
#   8x8: read with orientation [1, 2, 3, 4, 5, 6, 7, 8], None with []
#   8x8, orientation 6, IMREAD_UNCHANGED: turned by a quarter
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "opencv-python-headless==5.0.0.93" "tifffile==2026.3.3" "numpy==2.4.6"
OPENCV_LOG_LEVEL=SILENT "$folder/venv/bin/python" - "$folder/a.tif" <<'PYTHON'
import sys

import cv2
import numpy as np
import tifffile

ORIENTATION, SHORT = 274, 3
path, seen = sys.argv[1], []


def opened(picture, orientation):
    tags = [(ORIENTATION, SHORT, 1, orientation, True)]
    tifffile.imwrite(path, picture, photometric="minisblack", extratags=tags)
    return cv2.imread(path, cv2.IMREAD_UNCHANGED)


for columns in (12, 8):
    picture = np.arange(8 * columns, dtype=np.uint8).reshape(8, columns)
    missing = [orientation for orientation in range(1, 9) if opened(picture, orientation) is None]
    seen.append(missing)
    print(f"8x{columns}: read with orientation {[i for i in range(1, 9) if i not in missing]}, None with {missing}")
turned = np.array_equal(opened(picture, 6), np.rot90(picture, -1))
print(f"8x8, orientation 6, IMREAD_UNCHANGED: {'turned by a quarter' if turned else 'as it is stored'}")
sys.exit(seen != [[5, 6, 7, 8], []] or not turned)
PYTHON
