#!/usr/bin/env bash
# scikit-image 0.26.0 (numpy 2.4.6, scipy 1.17.1): angles of feature.graycomatrix turn clockwise, those of its
# transform.rotate counter-clockwise. In Haralick's paper, which its documentation cites, 45 degrees pairs a pixel with
# the one up and to the right, "/". Here pi / 4 pairs it with the one down and to the right, "\": features of 45 and of
# 135 degrees are swapped against other programs. Its documentation names no direction.
# Output seen (pairs of lit pixels along a line of 9; the line "/" is "-" turned by rotate(+45)):
#   line "/": angle 0: 0, angle pi/4: 0, angle 3 pi/4: 8
#   line "\": angle 0: 0, angle pi/4: 8, angle 3 pi/4: 0
#   "-" after rotate(+45): lit pixels on "/": 5 of 5, on "\": 1 of 5
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "scikit-image==0.26.0" "numpy==2.4.6" "scipy==1.17.1"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
from skimage.feature import graycomatrix
from skimage.transform import rotate

falling = np.eye(9, dtype=np.uint8)
rising = np.fliplr(falling)
angles, seen = {"0": 0, "pi/4": np.pi / 4, "3 pi/4": 3 * np.pi / 4}, []
for name, line in (("/", rising), ("\\", falling)):
    pairs = graycomatrix(line, [1], list(angles.values()), levels=2)[1, 1, 0].tolist()
    seen.append(pairs)
    print(f'line "{name}": ' + ", ".join(f"angle {text}: {count}" for text, count in zip(angles, pairs, strict=True)))
level = np.zeros((9, 9))
level[4] = 1
turned = rotate(level, 45, order=1)[2:7, 2:7] > 0.5
along = [int(turned[np.fliplr(np.eye(5, dtype=bool))].sum()), int(turned[np.eye(5, dtype=bool)].sum())]
print(f'"-" after rotate(+45): lit pixels on "/": {along[0]} of 5, on "\\": {along[1]} of 5')
sys.exit(seen != [[0, 0, 8], [0, 8, 0]] or along != [5, 1])
PYTHON
