#!/usr/bin/env bash
# rasterio 1.4.4 (GDAL 3.10.3, numpy 2.4.6): four bands of uint8, such as red, green, blue and near infrared, written
# without `photometric` become RGB with opacity. Every later read of masks takes the fourth band for one: where near
# infrared is 0 (water), read(masked=True) masks all bands and dataset_mask() says there is no data. Neither uint16 nor
# five bands do this. photometric="MINISBLACK" at writing, or colorinterp set afterwards, keeps the band a band.
# Output seen:
#   4 bands of uint8: last is alpha, masked 8 of 64 pixels of red
#   4 bands of uint16: last is undefined, masked 0 of 64 pixels of red
#   5 bands of uint8: last is undefined, masked 0 of 64 pixels of red
#   4 bands of uint8, MINISBLACK: last is undefined, masked 0 of 64 pixels of red
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "rasterio==1.4.4" "numpy==2.4.6"
"$folder/venv/bin/python" - "$folder/a.tif" <<'PYTHON'
import sys

import numpy as np
import rasterio

path, seen = sys.argv[1], []
place = {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 500000, 0, -10, 5000000)}
grey = {"photometric": "MINISBLACK"}
for count, dtype, options in ((4, "uint8", {}), (4, "uint16", {}), (5, "uint8", {}), (4, "uint8", grey)):
    bands = np.full((count, 8, 8), 90, dtype=dtype)
    bands[-1, 0] = 0
    with rasterio.open(path, "w", driver="GTiff", width=8, height=8, count=count, dtype=dtype, **place, **options) as out:
        out.write(bands)
    with rasterio.open(path) as source:
        last, masked = source.colorinterp[-1].name, int(source.read(1, masked=True).mask.sum())
    seen.append((last, masked))
    name = ", ".join([f"{count} bands of {dtype}", *options.values()])
    print(f"{name}: last is {last}, masked {masked} of 64 pixels of red")
sys.exit(seen != [("alpha", 8), ("undefined", 0), ("undefined", 0), ("undefined", 0)])
PYTHON
