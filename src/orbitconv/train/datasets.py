"""Data sets by name, for training."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

from orbitconv._support.checks import did_you_mean
from orbitconv._support.progress import ProgressCallback
from orbitconv.data import SOURCES, DataError, ImageSet, load, read_rotated_mnist, rotated_mnist, rotated_set


def _rotated_cifar10(split: Literal["train", "test"], **options: Any) -> ImageSet:
    """CIFAR-10, each image turned by its own angle, the same ones in every run."""
    return rotated_set(load("cifar10", split, **options), seed=int(split == "test"))


def _rotated_mnist_original(
    split: Literal["train", "test"], *, data_dir: Path | str | None = None, progress: ProgressCallback | None = None
) -> ImageSet:  # progress: nothing is fetched
    """The published files, from the folder of the data sets or one named rotated_mnist in it."""
    del progress
    root = data_dir or os.environ.get("ORBITCONV_DATA")
    if not root:
        raise DataError(
            "rotated-mnist-original is read from the published .amat files, which you have to bring: name their folder "
            "with --data-dir or ORBITCONV_DATA. The data set rotated-mnist is made from MNIST by the same protocol."
        )
    inner = Path(root) / "rotated_mnist"
    return read_rotated_mnist(inner if inner.is_dir() else root, split)


def _changed(
    name: str, change: Callable[[ImageSet], ImageSet], split: Literal["train", "test"], **options: Any
) -> ImageSet:
    """A published data set with every image changed alike."""
    return change(load(name, split, **options))


# What matters about the borders of images is seen by taking them away, or moving them away.
_CHANGES: dict[str, Callable[[ImageSet], ImageSet]] = {
    "disc": ImageSet.inside_disc,
    "padded": lambda images: images.padded(6),
}

LOADERS: dict[str, Callable[..., ImageSet]] = {
    **{name: partial(load, name) for name in SOURCES},
    "rotated-mnist": rotated_mnist,
    "rotated-mnist-original": _rotated_mnist_original,
    "rotated-cifar10": _rotated_cifar10,
    **{f"{name}-{how}": partial(_changed, name, change) for name in SOURCES for how, change in _CHANGES.items()},
}
"""Functions of the split, with `data_dir` and `progress`; a further data set is one more entry."""


def is_path(name: str) -> bool:
    """Whether data are user pictures rather than a named data set."""
    return name not in LOADERS and (os.sep in name or Path(name).expanduser().exists())


def is_turned(name: str) -> bool:
    """Whether the images of a data set are rotated already, so that another rotation would blur them twice."""
    return name.startswith("rotated-")


def load_split(name: str, split: str, data_dir: Path | None, progress: ProgressCallback) -> ImageSet:
    """Load one split of a data set."""
    if name not in LOADERS:
        hint = did_you_mean(name, LOADERS)
        raise ValueError(
            f"There is no folder or data set {name!r}.{hint} Data sets are {', '.join(LOADERS)}; a path of pictures is "
            "taken too."
        )
    options: dict[str, Any] = {"data_dir": data_dir, "progress": progress}
    return LOADERS[name](split, **options)
