"""The comparison of bases and the learning of one, on real images: figures this library stands for."""

import os
from pathlib import Path

import pytest

from orbitconv.bases import load_basis
from studies.bases.compare_bases import CompareBases, compare_bases


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


@pytest.mark.parametrize(("kernel", "atoms"), [(3, 6), (5, 11)])
@pytest.mark.parametrize("test", ["cifar10-test", "cifar10-test, whitened", "photographs", "textures"])
def test_no_hand_made_basis_of_its_size_is_better(record, kernel, atoms, test):
    assert error(record, "spectral", kernel, atoms, test=test) < error(record, "harmonic", kernel, atoms, "none", test)


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
