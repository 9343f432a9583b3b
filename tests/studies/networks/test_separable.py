import pytest

from orbitconv.models import SmallCNN, count_multiply_adds, count_parameters
from orbitconv.nn import GroupConv2d, SeparableGroupConv2d
from orbitconv.train import Training, error_percent, load_trained
from orbitconv.train.datasets import load_split
from studies.networks.separable import NETWORKS, SeparableStudy, study_separable

FOLDERS = {name: name.replace(", ", "-").replace(" ", "-") for name in NETWORKS}
PLACE = "networks/spectral-c8-1-epochs-seed-"


@pytest.fixture
def config(small_data, tmp_path):
    training = Training(epochs=1, batch_size=50)
    return SeparableStudy(out=tmp_path / "run", seeds=1, kernel_size=3, plain_width=4, training=training, rounds=3)


def test_rows_tell_what_the_networks_are_and_how_they_do(config):
    record = study_separable(config)
    assert [(row["network"], row["mixing"], row["matched"], row["test"]) for row in record.rows] == [
        (name, mixing, matched, "rotated") for name, (mixing, matched) in NETWORKS.items()
    ]
    test = load_split("rotated-mnist", "test", None, lambda *_: None)
    widths = {}
    for row in record.rows:
        network, trained = load_trained(config.out / FOLDERS[row["network"]] / f"{PLACE}0")
        kinds = {type(m) for m in network.features if isinstance(m, GroupConv2d | SeparableGroupConv2d)}
        assert kinds == {GroupConv2d if row["mixing"] == "dense" else SeparableGroupConv2d}
        assert trained.network.options.get("mixing", "dense") == row["mixing"]
        assert row["test_error_percent"] == error_percent(network, test.floats(), test.labels)
        assert row["parameters"] == count_parameters(network)
        assert row["multiply_adds"] == count_multiply_adds(network, (1, 8, 8))
        widths[row["network"]] = row["width"]
    dense = widths["dense"]
    assert [widths[name] for name in NETWORKS if "fields" in name] == [dense, dense]
    parameters = record.rows[0]["parameters"]
    for row in record.rows:
        assert (row["width"] > dense) == (row["matched"] == "parameters")
        if row["matched"] == "parameters":
            options = {"mixing": row["mixing"], "kernel_size": 3}
            sizes = [count_parameters(SmallCNN("spectral-c8-k3", width=n / 8, **options)) for n in range(4, 240)]
            assert abs(row["parameters"] - parameters) == min(abs(one - parameters) for one in sizes)
    assert [step["network"] for step in record.extra["training_steps"]] == list(NETWORKS)
    assert record.extra["training_steps"][0]["step_ratio"] == 1
