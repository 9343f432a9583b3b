"""What every test gets: a fixed seed, synthetic images, and the real data where they are."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: more threads only get in each other's way

from pathlib import Path

import pytest
import torch
from torch import Tensor

from references import smooth_images

torch.set_num_threads(1)
DATA = os.environ.get("ORBITCONV_DATA")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of refusals hand over what the annotations forbid: leave them out where those are checked at run time."""
    if config.getoption("jaxtyping_packages", None):
        skip = pytest.mark.skip(reason="the run-time checks of annotations refuse before the library does")
        for item in items:
            if "refuse" in item.name:
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def seed() -> None:
    """Every test draws the same numbers, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture
def smooth() -> Tensor:
    """Forty low-pass filtered noise images of 24x24, float64."""
    return smooth_images()


@pytest.fixture
def data_dir() -> Path:
    """Folder with the real data sets."""
    if not DATA:
        pytest.skip("needs the real data sets: name their folder in ORBITCONV_DATA")
    return Path(DATA)


@pytest.fixture(scope="module")
def tiny_by_name():
    """The data set and the network "tiny" can be named, in this module's tests."""
    from experiments.training import tiny

    with tiny.tiny_by_name():
        yield
