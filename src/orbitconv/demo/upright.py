"""Networks trained on upright digits and tested at every angle, as in the demo."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from orbitconv._support.checks import check_positive
from orbitconv._support.progress import ProgressCallback
from orbitconv.bases import FilterBasis
from orbitconv.data import ImageSet, rotated
from orbitconv.data.rotation import TEST_SEED
from orbitconv.models import SmallCNN, count_parameters, width_for
from orbitconv.records.command import settings_of
from orbitconv.records.record import Row
from orbitconv.train import Training, error_percent, train

# Side of the filters of the plain network.
KERNEL = 3


@dataclass(frozen=True, kw_only=True)
class UprightStudy:
    """Train on upright digits, test on digits at any angle."""

    out: Path
    """Folder of the result."""
    overwrite: bool = False
    """Replace an existing result."""
    data_dir: Path | None = None
    """Folder with the data sets; by default ORBITCONV_DATA, then the user's cache, then a download."""
    seeds: int = 1
    """Networks of each kind, from different seeds; the table shows their mean."""
    results: Path | None = None
    """Write the record to this JSON file too."""
    train_images: int = 6000
    """Upright digits to train on."""
    fit_images: int = 2000
    """Upright digits for learning how filters rotate."""
    test_images: int = 2000
    """Test digits, upright and each rotated by a random angle."""
    curve_images: int = 500
    """Test digits for the curve of error against angle, at steps of 15 degrees."""
    parameters: int = 50_000
    """Parameters of every network, as near as the choice of widths allows."""
    training: Training = field(default_factory=Training)
    """How to train the networks."""

    def __post_init__(self) -> None:
        for name in ("seeds", "train_images", "fit_images", "test_images", "curve_images", "parameters"):
            check_positive(type(self).__name__, **{name: getattr(self, name)})
        self.training.check()

    def settings(self) -> dict[str, Any]:
        """The settings that a result depends on, for the record."""
        return settings_of(self)


def build(family: str, basis: FilterBasis | None, parameters: int, seed: int) -> nn.Module:
    """A network of one family, near a parameter budget."""
    if (basis is None) != (family == "plain"):
        raise ValueError(f"Every family but 'plain' needs a basis, got family {family!r} with basis {basis}.")
    make = partial(SmallCNN, basis, kernel_size=KERNEL if basis is None else None)
    width = width_for(lambda fields: make(width=fields), parameters)
    torch.manual_seed(seed)
    return make(width=width)


def measure(
    family: str,
    basis: FilterBasis | None,
    network: nn.Module,
    seed: int,
    digits: ImageSet,
    test: ImageSet,
    config: UprightStudy,
    progress: ProgressCallback,
    what: str | None = None,
) -> list[Row]:
    """Train one network on upright digits, in place, and measure its errors on upright and on turned ones."""
    chosen = digits.take(config.train_images)
    what = what or (f"{family}, seed {seed}" if config.seeds > 1 else family)
    seconds = train(
        network, chosen.floats(), chosen.labels, config.training, seed=seed, what=f"train {what}", progress=progress
    )
    columns = {
        "family": family,
        "group": "c1" if basis is None else basis.group.name.lower(),
        "kernel": KERNEL if basis is None else basis.kernel_size[0],
        "num_atoms": KERNEL**2 if basis is None else basis.num_atoms,
        "seed": seed,
        "train": "upright",
        "parameters": count_parameters(network),
        "seconds": round(seconds, 2),
    }
    upright = test.take(config.test_images)
    turned = rotated(upright, TEST_SEED)
    rows: list[Row] = []
    for name, images in (("upright", upright.floats()), ("rotated", turned.images)):
        error = error_percent(network, images, upright.labels)
        rows.append({**columns, "test": name, "degrees": None, "test_error_percent": error})
    few = test.take(config.curve_images)
    angles = range(0, 360, 15)
    for step, degrees in enumerate(angles, start=1):
        at_angle = rotated(few, degrees=degrees)
        error = error_percent(network, at_angle.images, few.labels)
        rows.append({**columns, "test": "angle", "degrees": degrees, "test_error_percent": error})
        progress(f"test {what}", step, len(angles))
    return rows
