import math
from dataclasses import replace

import pytest
import torch

from digits import small_digits
from orbitconv.data import rotated
from orbitconv.groups import Cyclic, act_features, act_image
from orbitconv.train import Training, error_percent, load_trained
from orbitconv.train.datasets import LOADERS
from orbitconv.train.networks import initial_network
from studies.networks.stability import ABLATIONS, StabilityStudy, study_stability


@pytest.fixture
def config(small_data, tmp_path, monkeypatch):
    for name in ("mnist-disc", "mnist-padded"):
        change = (lambda images: images.inside_disc()) if name.endswith("disc") else (lambda images: images.padded(2))
        monkeypatch.setitem(
            LOADERS,
            name,
            lambda split, change=change, **_: change(small_digits(100 if split == "train" else 20, split)),
        )
    return StabilityStudy(
        out=tmp_path / "run", families=("plain", "exact", "spectral"), groups=("c4", "c8"), rotations=("none",),
        kernel_size=3, plain_width=4, train_images=100, training=Training(epochs=1, batch_size=50), curve_images=20,
        step_degrees=90, layer_images=5, ablations=(),
    )  # fmt: skip


def test_rows_hold_the_curve_and_the_layers_before_and_after(config):
    record = study_stability(config)
    spectral = [row for row in record.rows if row["family"] == "spectral"]
    assert {row["test"] for row in spectral} == {"upright", "rotated", "angle", "layer"}
    network, trained = load_trained(config.out / "networks" / "spectral-c8-1-epochs-seed-0")
    test = small_digits(50, "test")
    few = test.take(20, 1)
    for row in spectral:
        if row["test"] == "angle":
            turned = rotated(few, degrees=row["degrees"])
            assert row["test_error_percent"] == error_percent(network, turned.images, few.labels)
    # Quarter turns of 8x8 pixels are exact through two max pools; so is the first layer at 90 degrees, by hand:
    images, group = test.take(5, 0).floats(), Cyclic(8)
    for when, one in (("before", initial_network(trained, 1, 10).eval()), ("after", network)):
        first = one.get_submodule("features.0")
        by_hand = []
        with torch.no_grad():
            for g in range(1, 8):
                expected = act_features(first(images), group, g, padding_mode="reflect")
                offset = torch.arange(8) - 3.5
                disc = torch.hypot(offset[:, None], offset) <= 4
                difference = (first(act_image(images, group, g)) - expected) * disc
                by_hand.append(float(difference.norm() / (expected * disc).norm()))
        (row,) = [r for r in spectral if (r["test"], r.get("when"), r.get("layer")) == ("layer", when, 0)]
        assert row["equivariance_error"] == pytest.approx(sum(by_hand) / 7, rel=1e-4)
        assert row["kind"] == "LiftingConv2d"


def test_exact_network_is_exactly_stable_and_plain_one_is_not(config):
    rows = study_stability(config).rows
    worst = {
        family: max(r["equivariance_error"] for r in rows if (r["family"], r["test"]) == (family, "layer"))
        for family in ("plain", "exact", "spectral")
    }
    assert worst["exact"] < 1e-5
    assert worst["plain"] > worst["spectral"] > 1e-3


@pytest.mark.parametrize("name", ["wide border", "disc images", "disc filters", "3x3", "anti-aliased"])
def test_ablations_change_one_thing(config, name):
    record = study_stability(replace(config, families=("plain",), ablations=(name,)))
    changed = [row for row in record.rows if row["ablation"] == name]
    assert {row["family"] for row in changed} == {ABLATIONS[name].get("families", ("spectral",))[0]}
    assert {row["group"] for row in changed} == {"c8"}
    assert all(math.isfinite(row["equivariance_error"]) for row in changed if row["test"] == "layer")
    assert (config.out / "ablations" / name.replace(" ", "-") / "journal.jsonl").exists()


def test_a_record_with_ablations_is_taken_as_done_and_more_may_follow(config, tmp_path, monkeypatch):
    first = study_stability(replace(config, families=("plain",), ablations=("3x3",)))
    first.write(tmp_path / "known.json")
    monkeypatch.setattr("studies.networks.study.train_network", lambda *_: pytest.fail("done"))
    known = replace(config, families=("plain",), out=tmp_path / "again", known=tmp_path / "known.json")
    assert study_stability(replace(known, ablations=("3x3",))).rows == first.rows
    third = study_stability(replace(known, out=tmp_path / "third"))  # what is known is not dropped
    assert third.rows == first.rows
    assert third.config["ablations"] == ("3x3",)
    again = study_stability(replace(known, out=tmp_path / "third", known=None))
    assert (again.rows, again.config["ablations"]) == (first.rows, ("3x3",))


def test_what_cannot_be_changed_is_said_before_any_network_is_trained(config, monkeypatch):
    monkeypatch.setattr("studies.networks.study.train_network", lambda *_: pytest.fail("trained"))
    with pytest.raises(ValueError, match=r"'7 atoms' .*: SpectralBasis cannot have 7 atoms"):
        study_stability(replace(config, ablations=("7 atoms",)))
    with pytest.raises(ValueError, match="no folder or data set 'rotated-mnist-padded'"):
        study_stability(replace(config, data="rotated-mnist", ablations=("wide border",)))
    assert not config.out.exists()
