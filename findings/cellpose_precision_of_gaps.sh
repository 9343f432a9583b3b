#!/usr/bin/env bash
# cellpose 3.1.1.2 (numpy 2.0.2, torch 2.13.0): metrics.average_precision takes the largest label for the number of cells.
# Where a label is missing, as after cells at the border or too small ones were removed, every gap counts as a cell that
# was not found and as one that is not there: a label image compared with itself is not perfect. Its documentation asks for
# labels 1, 2, ... without saying that they must be without gaps; all that shows is numpy's warning of an invalid value in
# a division. fastremap.renumber before helps.
# Output seen (label images compared with themselves, IoU over 0.5):
#   labels [1, 2]: precision 1, false positives 0, false negatives 0
#   labels [1, 3]: precision 0.5, false positives 1, false negatives 1
#   labels [1, 3], renumbered: precision 1, false positives 0, false negatives 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "torch==2.13.0" "cellpose==3.1.1.2" "numpy==2.0.2"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import fastremap
import numpy as np
from cellpose.metrics import average_precision

cells = np.zeros((8, 8), np.int32)
cells[1:3, 1:7] = 1
cells[5:7, 1:7] = 2
gap = np.where(cells == 2, 3, cells)
seen = []
for name, labels in (("[1, 2]", cells), ("[1, 3]", gap), ("[1, 3], renumbered", fastremap.renumber(gap)[0])):
    labels = labels.astype(np.int32)
    found = [float(values[0]) for values in average_precision(labels, labels.copy(), threshold=[0.5])]
    seen.append([found[0], found[2], found[3]])
    print(f"labels {name}: precision {found[0]:g}, false positives {found[2]:g}, false negatives {found[3]:g}")
sys.exit(seen != [[1, 0, 0], [0.5, 1, 1], [1, 0, 0]])
PYTHON
