"""Learning a basis from pictures: the function and the command."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from orbitconv.bases import load_basis, read_basis
from orbitconv.cli.main import main
from orbitconv.data import grey_tiles, load, sample_pictures
from orbitconv.groups import Cyclic
from orbitconv.learn import measure_moments
from orbitconv.learn_basis import LearnBasis, grey_images, learn_basis
from orbitconv.metrics import basis_equivariance_error
from refusals import refused

image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def real() -> Path:
    if not os.environ.get("ORBITCONV_DATA"):
        pytest.skip("needs the real data sets: name their folder in ORBITCONV_DATA")
    pytest.importorskip("skimage")
    return Path(os.environ["ORBITCONV_DATA"])


def test_a_learned_file_loads_cut_to_the_recommended_size(real, tmp_path):
    out = tmp_path / "mine.safetensors"
    facts = learn_basis(LearnBasis(out=out, kernel_size=5, max_images=300, data_dir=real))
    full, cut = read_basis(out), load_basis(str(out), dimension=facts["recommended_dimension"])
    assert (full.num_atoms, cut.num_atoms) == (25, 11)
    assert torch.equal(cut.atoms, full.atoms[:, :11])
    test = measure_moments(load("cifar10", "test", data_dir=real).take(300).grey(), Cyclic(8), 5)
    assert basis_equivariance_error(cut, test)[1] <= 0.015


def test_a_folder_of_pictures_of_any_size_is_enough(real, tmp_path):
    folder = sample_pictures()[0].parent
    facts = learn_basis(LearnBasis(out=tmp_path / "a.safetensors", images=folder, max_images=40, family="unitary"))
    assert facts["images"] == 40
    tiles = list(grey_tiles(sample_pictures()))
    error = basis_equivariance_error(read_basis(tmp_path / "a.safetensors"), measure_moments(tiles, Cyclic(8), 3))
    assert error[1] <= 0.18


def test_a_file_that_is_there_is_refused(tmp_path):
    (tmp_path / "a.safetensors").write_text("mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        learn_basis(LearnBasis(out=tmp_path / "a.safetensors"))
    assert (tmp_path / "a.safetensors").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.safetensors").mkdir()
    monkeypatch.setattr("orbitconv.learn_basis.measure_moments", None)  # no work
    for out in ("file/a.safetensors", "file/new/a.safetensors"):
        with pytest.raises(NotADirectoryError, match=r"cannot be written \(.*file is a file\).*--out"):
            learn_basis(LearnBasis(out=tmp_path / out))
    with pytest.raises(IsADirectoryError, match=r"--out expects a file, got the folder .*folder\.safetensors"):
        learn_basis(LearnBasis(out=tmp_path / "folder.safetensors", overwrite=True))


def test_a_kernel_without_room_is_told_how_much_it_needs(real):
    with pytest.raises(ValueError, match=r"A kernel of 23x23 needs images of at least 34 pixels a side, or 33x33 pix"):
        next(grey_images(None, 10, 23, real))


@pytest.mark.parametrize(("field", "value"), [("group", "e8"), ("kernel_size", 0), ("out", Path("a.npz"))])
def test_bad_settings_are_refused(field, value):
    with pytest.raises(ValueError, match=r"C8 or D4|kernel_size >= 1|\.safetensors"):
        LearnBasis(**({"out": Path("a.safetensors")} | {field: value}))


def save(folder, *sizes, constant=False):
    folder.mkdir()
    for number, size in enumerate(sizes):
        pixels = np.random.default_rng(number).integers(0, 256, (size, size), dtype=np.uint8)
        image.fromarray(np.full_like(pixels, 7) if constant else pixels).save(folder / f"{number}.png")


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "pictures", *[96] * 8)
    return tmp_path


@pytest.mark.parametrize(("words", "message"), [
    (["--kernel-size", "2", "--max-error", "1e-3"], "no orbit of relative error 0.001 or less; the best of a 2x2"),
    (["--max-error", "0"], "--max-error above zero"),
    (["--max-error", "nan"], "--max-error above zero"),
    (["--dimension", "10"], "10"),
    (["--dimension", "0"], "dimension >= 1"),
    (["--dimension", "6", "--max-error", "0.1"], "one of --dimension and --max-error"),
    (["--max-frequency", "3", "--family", "unitary"], "of spectral bases"),
    (["--max-frequency", "-1"], "of zero or more"),
    (["--max-error", "0.1", "--family", "unitary"], "of spectral bases"),
])  # fmt: skip
def test_a_size_or_an_error_budget_that_no_basis_meets_is_refused(pictures, capsys, words, message):
    asked = ["learn-basis", "--images", "pictures", "--out", "new/a.safetensors", *words]
    assert message in refused(capsys, asked, folder=pictures)


def test_a_learned_basis_is_cut_to_a_dimension_or_to_an_error_budget(pictures):
    main(["learn-basis", "--images", "pictures", "--out", "all.safetensors"])
    main(["learn-basis", "--images", "pictures", "--out", "four.safetensors", "--dimension", "4"])
    whole, four = load_basis("all.safetensors"), load_basis("four.safetensors")
    assert (four.num_atoms, four.metadata["recommended_dimension"]) == (4, 4)
    errors = whole.metadata["errors"]
    budget = (errors[2] + errors[3]) / 2
    main(["learn-basis", "--images", "pictures", "--out", "budget.safetensors", "--max-error", str(budget)])
    budgeted = load_basis("budget.safetensors")
    assert budgeted.num_atoms == sum(error <= budget for error in errors)
    assert max(budgeted.metadata["errors"]) <= budget


@pytest.mark.parametrize(("words", "message"), [
    (["--images", "missing"], "missing is no folder"),
    (["--images", "empty"], "holds no pictures"),
    (["--images", "small"], "at least 96x96 pixels, got none larger than 40x40"),
    (["--images", "constant"], "got 8 constant ones"),
    (["--images", "pictures", "--kernel-size", "99"], "at least 141 pixels a side"),
    (["--images", "pictures", "--group", "e8"], "C8 or D4"),
])  # fmt: skip
def test_images_that_teach_nothing_are_refused_and_nothing_is_written(pictures, capsys, words, message):
    save(pictures / "empty")
    save(pictures / "small", 40, 40)
    save(pictures / "constant", *[96] * 8, constant=True)
    assert message in refused(capsys, ["learn-basis", *words, "--out", "new/a.safetensors"], folder=pictures)
