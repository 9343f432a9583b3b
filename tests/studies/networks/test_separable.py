from dataclasses import replace

import pytest

from orbitconv.models import SmallCNN, count_multiply_adds, count_parameters
from orbitconv.nn import GroupConv2d, SeparableGroupConv2d
from orbitconv.train import Examples, Plan, Training, error_percent, load_trained, train_network
from orbitconv.train.datasets import load_split
from studies.networks.separable import NETWORKS, SeparableStudy, study_separable
from studies.networks.step_times import step_times

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


def test_it_goes_on_where_it_was_stopped_and_does_nothing_twice(config, monkeypatch):
    trained = []

    def count(settings, progress):
        trained.append(str(settings.out.relative_to(config.out)))
        if len(trained) == 3:
            raise KeyboardInterrupt
        return train_network(settings, progress)

    monkeypatch.setattr("studies.networks.study.train_network", count)
    with pytest.raises(KeyboardInterrupt):
        study_separable(config)
    first = study_separable(config)
    assert trained == [f"{folder}/{PLACE}0" for folder in [*list(FOLDERS.values())[:3], *list(FOLDERS.values())[2:]]]
    again = study_separable(config)
    assert (len(trained), again.as_dict()["rows"], again.extra) == (6, first.rows, first.extra)
    more = study_separable(replace(config, seeds=2))
    assert trained[6:] == [f"{folder}/{PLACE}1" for folder in FOLDERS.values()]
    assert [row for row in more.rows if row["seed"] == 0] == first.rows
    assert more.extra == first.extra
    longer = study_separable(replace(config, training=Training(epochs=2, batch_size=50)))
    assert {row["epochs"] for row in longer.rows} == {2}
    with pytest.raises(FileExistsError, match="other settings"):
        study_separable(replace(config, plain_width=5))


def test_steps_are_timed_in_turns_without_the_first_and_compared_round_by_round(config, monkeypatch):
    study_separable(config)
    paths = {name: config.out / FOLDERS[name] / f"{PLACE}0" for name in ("dense", "full, as many fields")}
    turns = [(0, 2), (100, 101), (100, 104), (0, 4), (0, 6), (100, 109)]  # the second round runs backwards
    clock = iter([0, 50, 0, 70, *(t for start_and_end in turns for t in start_and_end)])
    monkeypatch.setattr("studies.networks.step_times.time.perf_counter", lambda: next(clock))
    examples = Examples.of(load_split("rotated-mnist", "train", None, lambda *_: None))
    before = {name: path.joinpath("model.safetensors").read_bytes() for name, path in paths.items()}
    dense, full = step_times(paths, examples, Plan(training=config.training), 3)
    assert dense == {"network": "dense", "step_ms": 4000, "step_ratio": 1}
    assert full == {"network": "full, as many fields", "step_ms": 4000, "step_ratio": 1}  # 1/2, 4/4, 9/6
    assert before == {name: path.joinpath("model.safetensors").read_bytes() for name, path in paths.items()}
