"""Upright to rotated: networks trained on upright digits and tested at any angle."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from orbitconv.train import Augmentation, Training
from studies.records.recipe import Lever
from studies.records.study import NOTHING, RecordStudy

LEVERS: dict[str, Lever] = {
    "11 atoms": {"basis": "spectral-c8-k5-d11"},
    "C16": {"basis": "spectral-c16-k5-d7"},
    "norm without mean": {"norm": "scale"},
    "ReLU at twice the resolution": {"activation": "filtered"},
    "ReLU of pairs": {"activation": "pairs"},
    "anti-aliased pools": {"blur": True},
    "anti-aliased pools and ReLU": {"blur": True, "activation": "filtered"},
    "mean and maximum": {"pool_group": "mean-max"},
    "bispectrum": {"pool_group": "bispectrum"},
    "averaged weights": {"training.average": 0.99},
    "larger first filters": {"first_basis": "spectral-c8-k7-d12"},
    "copies agree in features": {"agree": "features", "augmentation": Augmentation(rotation="circle")},
    "copies agree in scores": {"agree": "scores", "augmentation": Augmentation(rotation="circle")},
}
"""Changes to seven atoms on C8, with batch norm, ReLU and 2x2 maxima. Rotated copies have no labels."""


@dataclass(frozen=True, kw_only=True)
class Upright(RecordStudy):
    """Train on upright digits and test at any angle: levers one at a time, then the chosen ones together.

    No network sees a rotated image with a label. Levers are compared on 10,000 held-out training images, upright and at
    random angles; the test set is evaluated once per network of the recipe.
    """

    study: ClassVar[str] = "upright"
    known_levers: ClassVar[dict[str, Lever]] = LEVERS
    turns: ClassVar[Augmentation] = Augmentation()

    out: Path = Path("runs/upright")
    validation: int = 10_000
    levers: tuple[str, ...] = (NOTHING, *LEVERS)
    chosen: tuple[str, ...] = ("copies agree in scores",)
    training: Training = field(default_factory=lambda: Training(learning_rate=1e-2, weight_decay=1e-2))
