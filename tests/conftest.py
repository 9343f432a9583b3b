"""What every test gets: a fixed seed, synthetic images, and the real data where they are."""

import os
import shutil
import signal

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: more threads only get in each other's way
os.environ.setdefault("ORBITCONV_CALIBRATE", "0")  # tests choose by the fitted prices, on every machine

from pathlib import Path

import pytest
import torch
from torch import Tensor

from orbitconv.nn.products.kernel import build
from orbitconv.nn.products.kernel import library as kernel_library
from references import smooth_images

torch.set_num_threads(1)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background, under nohup: tests and their children get it
    signal.signal(signal.SIGINT, signal.default_int_handler)
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


@pytest.fixture(autouse=True)
def no_kernel_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test does without a kernel, whatever was built on this machine, unless it asks for one."""
    monkeypatch.setattr(kernel_library, "_STATE", kernel_library._State())
    kernel_library.use(None)


@pytest.fixture(scope="session")
def kernel_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with a kernel."""
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        pytest.skip("needs a C++ compiler")
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORBITCONV_CACHE", str(folder))
        build()
    return folder


@pytest.fixture
def built_kernel(kernel_cache: Path, no_kernel_of_the_user: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Group layers use a kernel."""
    monkeypatch.setenv("ORBITCONV_CACHE", str(kernel_cache))
    kernel_library.forget()


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
    import tiny_training as tiny

    with tiny.tiny_by_name():
        yield
