"""The comparison of bases and the learning of one, on real images: figures this library stands for."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
import torch

from orbitconv.bases import load_basis, read_basis
from orbitconv.data import grey_tiles, load, sample_pictures
from orbitconv.groups import Cyclic
from orbitconv.learn import measure_moments
from orbitconv.learn_basis import LearnBasis, grey_images, learn_basis
from orbitconv.metrics import basis_equivariance_error
from studies.bases.compare_bases import CompareBases, compare_bases
from studies.bases.comparison import as_csv, write_comparison


@pytest.fixture(scope="module")
def real() -> Path:
    if not os.environ.get("ORBITCONV_DATA"):
        pytest.skip("needs the real data sets: name their folder in ORBITCONV_DATA")
    pytest.importorskip("skimage")
    return Path(os.environ["ORBITCONV_DATA"])


@pytest.fixture(scope="module")
def record(real):
    return compare_bases(CompareBases(kernel_sizes=(3, 5), fit_images=600, test_images=300, data_dir=real))


def error(record, family, kernel, atoms, train="cifar10", test="cifar10-test"):
    (row,) = (
        row
        for row in record.rows
        if (row["family"], row["kernel"], row["num_atoms"], row["train"], row["test"])
        == (family, kernel, atoms, train, test)
    )
    return row["error_45"]


@pytest.mark.parametrize(("kernel", "atoms", "limit"), [(3, 6, 0.060), (5, 11, 0.015), (5, 17, 0.030)])
def test_the_spectral_basis_turns_natural_images_within_its_limits(record, kernel, atoms, limit):
    assert 0.005 < error(record, "spectral", kernel, atoms) <= limit


@pytest.mark.parametrize(("kernel", "atoms", "limit"), [(3, 6, 0.046), (5, 11, 0.010), (5, 17, 0.017)])
def test_fitted_to_whitened_images_it_turns_those_within_its_limits(record, kernel, atoms, limit):
    got = error(record, "spectral", kernel, atoms, "cifar10, whitened", "cifar10-test, whitened")
    assert 0.004 < got <= limit


@pytest.mark.parametrize(("kernel", "atoms"), [(3, 6), (5, 11)])
@pytest.mark.parametrize("test", ["cifar10-test", "cifar10-test, whitened", "photographs", "textures"])
def test_no_hand_made_basis_of_its_size_is_better(record, kernel, atoms, test):
    assert error(record, "spectral", kernel, atoms, test=test) < error(record, "harmonic", kernel, atoms, "none", test)


@pytest.mark.parametrize(("test", "limit"), [("cifar10-test", 0.18), ("photographs", 0.14)])
def test_the_unitary_basis_is_within_its_limits_and_below_a_third_of_bilinear(record, test, limit):
    unitary = error(record, "unitary", 3, 9, test=test)
    assert 0.05 < unitary <= limit
    assert unitary < error(record, "bilinear", 3, 9, "none", test) / 3


def test_well_conditioned_at_every_element(record):
    for row in record.rows:
        if row["family"] == "spectral" and (row["kernel"], row["num_atoms"]) in {(3, 6), (5, 11), (5, 17)}:
            assert 1 < row["condition_number"] <= 1.7
            assert row["error_90"] <= 1e-6


def test_table_and_record_hold_the_same_numbers(record, tmp_path):
    write_comparison(record, tmp_path)
    rows = json.loads((tmp_path / "bases.json").read_text())["rows"]
    table = list(csv.DictReader(io.StringIO((tmp_path / "bases.csv").read_text())))
    assert [float(line["error_45"]) for line in table] == [row["error_45"] for row in rows]
    assert (tmp_path / "bases.png").stat().st_size > 10_000


def test_columns_of_any_row_get_a_place_in_the_table():
    assert as_csv([{"a": 1}, {"b": "x, y"}]) == 'a,b\n1,\n,"x, y"\n'


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


@pytest.mark.parametrize("family", ["spectral", "unitary"])
def test_the_table_reproduces_what_a_shipped_file_says_of_itself(real, family):
    record = compare_bases(
        CompareBases(kernel_sizes=(3,), fit_images=50, test_images=2000, photographs=False, data_dir=real)
    )
    (row,) = (r for r in record.rows if (r["family"], r["train"], r["test"]) == (family, "shipped", "cifar10-test"))
    recorded = load_basis(f"{family}-c8-k3").metadata["equivariance_error"]
    assert row["error_worst"] == pytest.approx(recorded, rel=1e-5)


def test_the_unitary_basis_of_every_order_is_exact_and_near_procrustes(real):
    record = compare_bases(
        CompareBases(
            kernel_sizes=(3,),
            fit_images=50,
            test_images=50,
            photographs=False,
            orders=9,
            orders_images=200,
            data_dir=real,
        )
    )
    rows = {(r["family"], r["group"]): r for r in record.rows if "error_rms" in r}
    assert len(rows) == 18
    for n in range(1, 10):
        row, bound = rows["unitary", f"c{n}"], rows["procrustes", f"c{n}"]
        assert max(row["unitarity_error"], row["group_law_error"], row["quarter_turn_error"]) <= 1e-6
        assert row["error_rms"] <= 1.05 * bound["error_rms"]
        assert (row["error_rms"] < 1e-6) == (n in {1, 2, 4})
