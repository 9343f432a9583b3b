"""A study small enough for tests: 8x8 pixels, few digits, one short epoch."""

import pytest

from digits import small_digits
from orbitconv.train import Training
from orbitconv.train.datasets import LOADERS
from studies.networks.settings import MnistStudy, RotatedMnistStudy

SMALL = {
    "families": ("plain", "exact", "spectral"),
    "groups": ("c4", "c8"),
    "seeds": 1,
    "kernel_size": 3,
    "plain_width": 4,
    "training": Training(epochs=1, batch_size=50),
}


@pytest.fixture
def small_data(monkeypatch):
    """All data sets are small digits."""
    for name in ("mnist", "rotated-mnist"):
        monkeypatch.setitem(LOADERS, name, lambda split, **_: small_digits(200 if split == "train" else 50, split))


@pytest.fixture
def study(small_data, tmp_path):
    """Settings of a small study; `turned` takes the data set whose digits are turned already."""
    return lambda turned=False, **options: (RotatedMnistStudy if turned else MnistStudy)(
        **{"out": tmp_path / "run", **SMALL, **options}
    )
