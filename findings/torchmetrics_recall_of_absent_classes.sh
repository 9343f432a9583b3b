#!/usr/bin/env bash
# torchmetrics 1.9.0 (torch 2.13.0, scikit-learn 1.9.1, numpy 2.4.6): macro recall and macro accuracy count a class with no
# sample as 0 as soon as one prediction names it, and leave it out if none does. Recall is about samples of a class alone,
# so false alarms should not decide whether it has one: scikit-learn's balanced_accuracy_score leaves it out both times.
# On test sets that lack classes one wrong pixel can halve the score.
# Output seen (three classes, all samples of class 0):
#   predicted [0, 0, 0, 0]: MulticlassAccuracy 1, MulticlassRecall 1, scikit-learn 1
#   predicted [0, 0, 0, 2]: MulticlassAccuracy 0.375, MulticlassRecall 0.375, scikit-learn 0.75
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" install -q "$1" "numpy==2.4.6" "torchmetrics==1.9.0" "scikit-learn==1.9.1"; }
pip "torch==2.13.0+cpu" 2>/dev/null || pip "torch==2.13.0"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings

warnings.simplefilter("ignore")

import torch
from sklearn.metrics import balanced_accuracy_score
from torchmetrics.classification import MulticlassAccuracy, MulticlassRecall

target, seen = torch.tensor([0, 0, 0, 0]), []
for predicted in ([0, 0, 0, 0], [0, 0, 0, 2]):
    accuracy, recall = (
        float(kind(3, average="macro")(torch.tensor(predicted), target)) for kind in (MulticlassAccuracy, MulticlassRecall)
    )
    balanced = float(balanced_accuracy_score(target.numpy(), predicted))
    seen.append((accuracy, recall, balanced))
    print(f"predicted {predicted}: MulticlassAccuracy {accuracy:g}, MulticlassRecall {recall:g}, scikit-learn {balanced:g}")
sys.exit(seen != [(1, 1, 1), (0.375, 0.375, 0.75)])
PYTHON
