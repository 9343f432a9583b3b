#!/usr/bin/env bash
# Pillow 12.0.0: a JPEG with a second view (MPO, as many cameras and phones write) opens with format "MPO", but that name
# is not accepted back: Image.open(file, formats=["MPO"]) raises KeyError: 'MPO', and so does a list that names MPO before
# the format that fits. formats=["JPEG"] opens it, as MPO. Whoever restricts the formats to those that were seen before
# (im.format) therefore fails with a bare KeyError on sound files.
# Output seen:
#   opened: MPO, 2 frames
#   formats=['MPO']: KeyError('MPO')
#   formats=['JPEG']: MPO
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "pillow==12.0.0"
"$folder/venv/bin/python" - "$folder/a.jpg" <<'PYTHON'
import sys

from PIL import Image

path = sys.argv[1]
view = Image.new("RGB", (8, 8), "red")
view.save(path, "MPO", save_all=True, append_images=[view])
with Image.open(path) as opened:
    seen = opened.format
    print(f"opened: {seen}, {opened.n_frames} frames")
try:
    Image.open(path, formats=[seen])
    said = None
except Exception as error:
    said = error
print(f"formats=[{seen!r}]: {said!r}")
with Image.open(path, formats=["JPEG"]) as opened:
    again = opened.format
print(f"formats=['JPEG']: {again}")
sys.exit(0 if isinstance(said, KeyError) and again == seen == "MPO" else 1)
PYTHON
