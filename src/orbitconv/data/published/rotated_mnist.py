"""Rotated MNIST: 12,000 digits to train on and 50,000 to test on, each turned by its own random angle."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch

from orbitconv._support.progress import ProgressCallback
from orbitconv.data.by_name import load
from orbitconv.data.errors import DataError, check_regular, unreadable
from orbitconv.data.image_set import ImageSet
from orbitconv.data.rotation import rotated_set

TRAIN_IMAGES = 12_000
TEST_IMAGES = 50_000

AMAT_FILES: Mapping[str, str] = MappingProxyType(
    {
        "train": "mnist_all_rotation_normalized_float_train_valid.amat",
        "test": "mnist_all_rotation_normalized_float_test.amat",
    }
)
"""Names of the original files."""


def rotated_mnist(
    split: Literal["train", "test"],
    *,
    seed: int = 0,
    data_dir: Path | str | None = None,
    progress: ProgressCallback | None = None,
) -> ImageSet:
    """Make rotated MNIST from MNIST by the published protocol, the same from a seed on every machine.

    All 70,000 digits are shuffled; the first 12,000 are for training, the next 50,000 for testing. Each is turned
    by an angle drawn uniformly from the full circle, with a cubic spline. The protocol is that of the original set;
    digits and angles are not those of the published files, see `read_rotated_mnist`.

    Args:
        split: `"train"` or `"test"`.
        seed: Seed of the choice of digits and of the angles.
        data_dir: Folder with MNIST; see `orbitconv.data.load`.
        progress: Called while MNIST is fetched.

    Returns:
        Images and labels, on the CPU.

    Raises:
        DataError: If MNIST cannot be had.
        ValueError: If the split is unknown.

    Source: Larochelle, Erhan, Courville, Bergstra & Bengio (2007), An empirical evaluation of deep architectures on
    problems with many factors of variation, section 3.
    """
    if split not in AMAT_FILES:
        raise ValueError(f"rotated_mnist expects the split 'train' or 'test', got {split!r}.")
    digits = [load("mnist", part, data_dir=data_dir, progress=progress) for part in ("train", "test")]
    pool = replace(
        digits[0],
        images=torch.cat([part.images for part in digits]),
        labels=torch.cat([part.labels for part in digits]),
    )
    needed = TRAIN_IMAGES + TEST_IMAGES
    chosen = pool.take(needed, seed)
    part = slice(TRAIN_IMAGES) if split == "train" else slice(TRAIN_IMAGES, needed)
    upright = replace(chosen, images=chosen.images[part], labels=chosen.labels[part], split=split)
    return rotated_set(upright, 2 * seed + (split == "test"))


def read_rotated_mnist(folder: Path | str, split: Literal["train", "test"]) -> ImageSet:
    """Read the original rotated MNIST from its text files: one digit a line, 784 pixels and a label.

    They have no mirror to download from that can be relied on; put them into a folder yourself.

    Args:
        folder: Folder with `mnist_all_rotation_normalized_float_train_valid.amat` and `..._test.amat`.
        split: `"train"` (12,000 digits) or `"test"` (50,000).

    Returns:
        Images, rounded to bytes, and labels.

    Raises:
        DataError: If the file is missing, or is not of this form.
        ValueError: If the split is unknown.
    """
    if split not in AMAT_FILES:
        raise ValueError(f"read_rotated_mnist expects the split 'train' or 'test', got {split!r}.")
    path = Path(folder) / AMAT_FILES[split]
    if not path.exists():
        raise DataError(
            f"rotated MNIST ({split}) is not in {folder}: expected {path.name}. Use rotated_mnist to make a set of the "
            "same kind from MNIST."
        )
    check_regular(path)
    rows = TRAIN_IMAGES if split == "train" else TEST_IMAGES
    try:
        table = np.loadtxt(path, dtype=np.float32, ndmin=2)
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise DataError(f"{path} is damaged: expected a table of numbers, got {error}. Copy the file again.") from error
    if table.shape != (rows, 785):
        raise DataError(
            f"{path} is damaged or another file: expected {rows} lines of 785 numbers, got {table.shape[0]} of "
            f"{table.shape[1]}. Copy the file again."
        )
    pixels, labels = table[:, :-1], table[:, -1]
    if not (np.all((pixels >= 0) & (pixels <= 1)) and np.isin(labels, np.arange(10)).all()):
        raise DataError(f"{path} is damaged: expected pixels from 0 to 1 and labels from 0 to 9. Copy the file again.")
    return ImageSet(
        images=torch.from_numpy((255 * pixels).round().astype(np.uint8).reshape(rows, 1, 28, 28)),
        labels=torch.from_numpy(labels.astype(np.int64)),
        classes=tuple("0123456789"),
        name="rotated-mnist (original)",
        split=split,
    )
