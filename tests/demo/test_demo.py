"""The main job, small, on real digits."""

import os
from pathlib import Path

import pytest

from orbitconv.demo.demo import Demo, build, run_demo
from orbitconv.train import Training
from raising import refuses


@pytest.fixture(scope="module")
def outcome():
    if not os.environ.get("ORBITCONV_DATA"):
        pytest.skip("needs the real data sets: name their folder in ORBITCONV_DATA")
    config = Demo(
        train_images=1000, fit_images=300, test_images=100, curve_images=20, parameters=8000,
        training=Training(epochs=4, batch_size=50), data_dir=Path(os.environ["ORBITCONV_DATA"]),
    )  # fmt: skip
    return run_demo(config)


def test_every_family_is_measured_upright_rotated_and_at_every_angle(outcome):
    for family in ("plain", "exact", "bilinear", "unitary", "spectral"):
        tests = [(row["test"], row["degrees"]) for row in outcome.record.rows if row["family"] == family]
        assert tests == [("upright", None), ("rotated", None), *(("angle", d) for d in range(0, 360, 15))]


def test_networks_have_the_parameters_asked_for(outcome):
    for row in outcome.record.rows:
        assert 0.75 * 8000 <= row["parameters"] <= 1.25 * 8000


def test_networks_learn_upright_digits(outcome):
    upright = {row["family"]: row["test_error_percent"] for row in outcome.record.rows if row["test"] == "upright"}
    assert min(upright.values()) < 60  # guessing gives 90


def test_exact_networks_do_not_notice_quarter_turns(outcome):
    for family in ("exact", "unitary", "spectral", "bilinear"):
        errors = {r["degrees"]: r["test_error_percent"] for r in outcome.record.rows if r["family"] == family}
        assert errors[0] == errors[90] == errors[180] == errors[270]


def test_learned_bases_turn_digits_better_than_the_bilinear_one(outcome):
    errors = {facts["family"]: facts["error_45_degrees"] for facts in outcome.record.extra["bases"]}
    assert errors["spectral"] < errors["unitary"] < errors["bilinear"] / 2


def test_a_family_without_its_basis_is_refused():
    refuses(ValueError, "'unitary'", build, "unitary", None, 1000, 0)


@pytest.mark.parametrize("field", ["seeds", "train_images", "parameters"])
def test_counts_below_one_are_refused(field):
    refuses(ValueError, f"{field} >= 1, got 0", Demo, **{field: 0})
