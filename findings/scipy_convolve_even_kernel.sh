#!/usr/bin/env bash
# SciPy 1.17.1 (numpy 2.4.6): ndimage.convolve and signal.convolve(mode="same") put the result of an even kernel one pixel
# apart, though both are called convolution and return an array of the size of the input. For a symmetric kernel, for
# which convolution and correlation should be one, ndimage.correlate, ndimage.uniform_filter and numpy.convolve agree with
# signal.convolve, ndimage.convolve alone with none of them. Its documentation says nothing of even kernels; origin=-1
# makes them agree.
# Output seen (a single 1 at place 4 of 9, the kernel [0.5, 0.5]):
#   ndimage.convolve: places 3 and 4
#   ndimage.convolve, origin=-1: places 4 and 5
#   ndimage.correlate: places 4 and 5
#   ndimage.uniform_filter: places 4 and 5
#   signal.convolve: places 4 and 5
#   numpy.convolve: places 4 and 5
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "scipy==1.17.1" "numpy==2.4.6"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
from scipy import ndimage, signal

spike, kernel = np.eye(9)[4], np.full(2, 0.5)
results = {
    "ndimage.convolve": ndimage.convolve(spike, kernel),
    "ndimage.convolve, origin=-1": ndimage.convolve(spike, kernel, origin=-1),
    "ndimage.correlate": ndimage.correlate(spike, kernel),
    "ndimage.uniform_filter": ndimage.uniform_filter(spike, 2),
    "signal.convolve": signal.convolve(spike, kernel, mode="same"),
    "numpy.convolve": np.convolve(spike, kernel, mode="same"),
}
places = {name: np.flatnonzero(result > 0.25).tolist() for name, result in results.items()}
for name, found in places.items():
    print(f"{name}: places {' and '.join(map(str, found))}")
sys.exit(places != {name: [3, 4] if name == "ndimage.convolve" else [4, 5] for name in results})
PYTHON
