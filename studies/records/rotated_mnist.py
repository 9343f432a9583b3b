"""The record on rotated MNIST: levers one at a time on a validation split, then the recipe, tested once a seed."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from orbitconv.train import Augmentation, Training
from studies.records.recipe import Lever
from studies.records.study import NOTHING, RecordStudy

LEVERS: dict[str, Lever] = {
    "11 atoms": {"basis": "spectral-c8-k5-d11"},
    "C16": {"basis": "spectral-c16-k5-d7"},
    "D8, C8 in the last layers": {"basis": "spectral-d8-k5-d7", "restrict_to": "spectral-c8-k5-d7"},
    "bispectrum": {"pool_group": "bispectrum"},
    "triple correlation": {"pool_group": "triple-correlation"},
    "mean and maximum": {"pool_group": "mean-max"},
    "larger first filters": {"first_basis": "spectral-c8-k7-d12"},
    "label smoothing": {"training.label_smoothing": 0.1},
    "averaged weights": {"training.average": 0.998},
    "crops": {"augmentation.crop": 1},
    "29 pixels": {"odd": True},
    "anti-aliased pools": {"blur": True},
    "distillation": {"taught": 16},
}
"""Changes to seven atoms on C8, with the maximum over the group and training images rotated at random."""


@dataclass(frozen=True, kw_only=True)
class RotatedMnistRecord(RecordStudy):
    """Train on 12,000 digits at any angle, test on 50,000: levers one at a time, then the chosen ones together.

    Levers are compared on 2,000 held-out training images. The recipe is trained on all 12,000, and the test set is
    evaluated once per network.
    """

    study: ClassVar[str] = "rotated-mnist-record"
    known_levers: ClassVar[dict[str, Lever]] = LEVERS
    turns: ClassVar[Augmentation] = Augmentation(rotation="circle")

    out: Path = Path("runs/rotated-mnist-record")
    data: str = "rotated-mnist"
    images: int = 10_000
    levers: tuple[str, ...] = (NOTHING, *LEVERS)
    final_plain_width: int = 30
    final_epochs: int = 20
    training: Training = field(default_factory=lambda: Training(learning_rate=1e-2, weight_decay=1e-2))
