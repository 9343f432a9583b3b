import pytest
import torch

from digits import small_digits
from orbitconv.data import rotated
from orbitconv.groups import Cyclic, act_features, act_image
from orbitconv.train import Training, error_percent, load_trained
from orbitconv.train.datasets import LOADERS
from orbitconv.train.networks import initial_network
from studies.networks.stability import StabilityStudy, study_stability


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
