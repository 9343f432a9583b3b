#!/usr/bin/env bash
# astropy 8.0.2 (numpy 2.4.6): BLANK, the FITS keyword that names the integer of missing pixels, is honoured unless it
# names 0, the number most often used for it. With BLANK = -1 the pixels become NaN; with BLANK = 0 the array turns into
# float32 just the same, as if to hold NaN, but the missing pixels stay 0.0, with no warning. Scaled files (BZERO, BSCALE)
# do likewise: their missing pixels become BZERO.
# Output seen:
#   BLANK = -1: float32 [nan, 0.0, 5.0]
#   BLANK = 0: float32 [-1.0, 0.0, 5.0]
#   BLANK = 0, BZERO = 100: float32 [99.0, 100.0, 105.0]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "astropy==8.0.2" "numpy==2.4.6"
"$folder/venv/bin/python" - "$folder/a.fits" <<'PYTHON'
import sys
import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits

path, seen = Path(sys.argv[1]), []
numbers = np.array([[-1, 0, 5]], dtype=">i2")
warnings.simplefilter("error")
for cards in ({"BLANK": -1}, {"BLANK": 0}, {"BLANK": 0, "BZERO": 100}):
    header = fits.PrimaryHDU(numbers).header
    header.update(cards)
    path.write_bytes(header.tostring().encode() + numbers.tobytes().ljust(2880, b"\0"))
    with fits.open(path) as units:
        units.verify("exception")
        data = units[0].data
    seen.append((data.dtype.name, np.isnan(data[0]).tolist()))
    print(f"{', '.join(f'{key} = {value}' for key, value in cards.items())}: {data.dtype.name} {data[0].tolist()}")
none = ("float32", [False] * 3)
sys.exit(seen != [("float32", [True, False, False]), none, none])
PYTHON
