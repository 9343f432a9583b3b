import importlib

import numpy as np
import pytest
import torch
from scipy import ndimage

from orbitconv._support.progress import silent
from orbitconv.data import DataError, load, read_rotated_mnist, rotated_mnist
from orbitconv.data.published.rotated_mnist import AMAT_FILES
from orbitconv.train.datasets import load_split
from raising import refuses


@pytest.fixture
def few(monkeypatch):
    """Two digits to train on, three to test on."""
    module = importlib.import_module("orbitconv.data.published.rotated_mnist")
    monkeypatch.setattr(module, "TRAIN_IMAGES", 2)
    monkeypatch.setattr(module, "TEST_IMAGES", 3)


@pytest.fixture
def original(few, tmp_path):
    """A folder with both original files, and what is in them."""
    rng = np.random.default_rng(0)
    tables = {}
    for split, rows in (("train", 2), ("test", 3)):
        tables[split] = np.column_stack([rng.uniform(0, 1, (rows, 784)), rng.integers(0, 10, rows)])
        np.savetxt(tmp_path / AMAT_FILES[split], tables[split], fmt="%.6f")
    return tmp_path, tables


@pytest.mark.parametrize("split", ["train", "test"])
def test_original_files_are_read_row_by_row(original, split):
    folder, tables = original
    read = read_rotated_mnist(folder, split)
    assert read.labels.tolist() == tables[split][:, -1].astype(int).tolist()
    for image, row in zip(read.images, tables[split], strict=True):
        assert (image[0, 3, 5].item(), image[0, 27, 0].item()) == (round(255 * row[3 * 28 + 5]), round(255 * row[756]))


def test_original_files_are_a_data_set_with_a_name(original, tmp_path, monkeypatch):
    folder, _ = original
    expected = read_rotated_mnist(folder, "test")
    inner = tmp_path / "sets" / "rotated_mnist"
    inner.mkdir(parents=True)
    (inner / AMAT_FILES["test"]).write_bytes((folder / AMAT_FILES["test"]).read_bytes())
    monkeypatch.setenv("ORBITCONV_DATA", str(folder))
    for data_dir in (folder, tmp_path / "sets", None):
        read = load_split("rotated-mnist-original", "test", data_dir, silent)
        assert torch.equal(read.images, expected.images)
    monkeypatch.delenv("ORBITCONV_DATA")
    refuses(DataError, "which you have to bring", load_split, "rotated-mnist-original", "test", None, silent)


@pytest.mark.parametrize(("damage", "message"), [
    (lambda text: text.rpartition("\n")[0].rpartition("\n")[0] + "\n", "expected 2 lines of 785 numbers, got 1"),
    (lambda text: text.replace("0.", "x.", 1), "expected a table of numbers"),
    (lambda text: text.replace("0.", "7.", 1), "pixels from 0 to 1"),
], ids=["truncated", "letters", "range"])  # fmt: skip
def test_damaged_original_is_refused(original, damage, message):
    folder, _ = original
    path = folder / AMAT_FILES["train"]
    path.write_text(damage(path.read_text()))
    refuses(DataError, message, read_rotated_mnist, folder, "train")


def test_missing_original_and_unknown_split_are_refused(tmp_path):
    refuses(DataError, "expected mnist_all_rotation", read_rotated_mnist, tmp_path, "test")
    refuses(ValueError, "'train' or 'test', got 'all'", read_rotated_mnist, tmp_path, "all")
    refuses(ValueError, "'train' or 'test', got 'all'", rotated_mnist, "all")


def test_splits_have_the_published_sizes_and_share_no_digit(real_data, few):
    train, test = (rotated_mnist(split, data_dir=real_data) for split in ("train", "test"))
    assert (len(train), len(test)) == (2, 3)
    upright = torch.cat([load("mnist", split, data_dir=real_data).images for split in ("train", "test")])
    order = torch.randperm(70_000, generator=torch.Generator().manual_seed(0))[:5]
    angles = [
        360 * torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        for n, seed in ((2, 0), (3, 1))
    ]
    for image, index, angle in zip(torch.cat([train.images, test.images]), order, torch.cat(angles), strict=True):
        expected = ndimage.rotate(
            upright[index, 0].double().numpy(), float(angle), reshape=False, order=3, mode="constant"
        )
        assert np.abs(image[0].numpy() - expected.clip(0, 255)).max() < 1


def test_another_seed_chooses_other_digits(real_data, few):
    one, same, other = (rotated_mnist("test", seed=seed, data_dir=real_data) for seed in (0, 0, 1))
    assert torch.equal(one.images, same.images)
    assert not torch.equal(one.images, other.images)
