import itertools
import json
import math
from dataclasses import replace

import pytest
import torch

from orbitconv.bases import load_basis
from orbitconv.data import rotated
from orbitconv.groups import rotate_images
from orbitconv.nn import SeparableGroupConv2d
from orbitconv.train import Training, load_trained, train_network
from orbitconv.train.datasets import load_split
from studies.networks import compare_networks
from studies.networks.trials import groups_of


def test_every_network_is_trained_once_and_tested_as_it_was_saved(study):
    config = study()
    record = compare_networks(config)
    assert [(row["family"], row["group"], row["test"]) for row in record.rows] == [
        (family, group, test)
        for (family, group), test in itertools.product(
            [("plain", "c1"), ("exact", "c4"), ("spectral", "c8")], ["upright", "rotated"]
        )
    ]
    test = load_split("mnist", "test", None, lambda *_: None)
    turned = rotated(test, 1)
    for row in record.rows:
        name = f"{row['family']}-{row['group']}" if row["family"] != "plain" else "plain"
        network, _ = load_trained(config.out / "networks" / f"{name}-1-epochs-seed-0")
        images = test.floats() if row["test"] == "upright" else turned.images
        with torch.no_grad():
            wrong = sum(
                int(network(image[None]).argmax() != label) for image, label in zip(images, test.labels, strict=True)
            )
        assert row["test_error_percent"] == pytest.approx(100 * wrong / len(test), abs=1e-9)
        assert row["parameters"] == sum(p.numel() for p in network.parameters())


def test_a_study_goes_on_with_more_families_and_seeds_and_keeps_what_is_done(study, monkeypatch):
    first = compare_networks(study(families=("plain",)))
    trained = []

    def count(settings, progress):
        trained.append(settings.out.name)
        return train_network(settings, progress)

    monkeypatch.setattr("studies.networks.study.train_network", count)
    more = compare_networks(study(families=("plain", "exact"), seeds=2))
    assert len(trained) == 3
    assert [row for row in more.rows if (row["family"], row["seed"]) == ("plain", 0)] == first.rows
    longer = compare_networks(study(families=("plain",), training=Training(epochs=2, batch_size=50)))
    assert {(row["family"], row["epochs"]) for row in longer.rows} == {("plain", 2)}
    assert compare_networks(study(families=("plain",))).rows == more.rows  # those of one epoch are kept
    with pytest.raises(FileExistsError, match="other settings"):
        compare_networks(study(plain_width=5))


def test_networks_in_a_record_are_taken_as_done_if_it_is_of_the_same_settings(study, tmp_path, monkeypatch):
    path = tmp_path / "known.json"
    first = compare_networks(study(families=("plain", "exact")))
    first.write(path)
    monkeypatch.setattr("studies.networks.study.train_network", lambda *_: pytest.fail("done"))
    again = compare_networks(study(out=tmp_path / "elsewhere", families=("plain",), known=path))
    assert (again.rows, again.source) == (first.rows, first.source)
    with pytest.raises(ValueError, match="other settings"):
        compare_networks(study(out=tmp_path / "third", known=path, plain_width=5))


@pytest.mark.parametrize("turned", [False, True], ids=["upright", "turned"])
def test_networks_are_asked_about_turned_copies_too_without_training_again(study, tmp_path, monkeypatch, turned):
    first = compare_networks(study(turned, families=("plain", "spectral"), groups=("c8",)))
    monkeypatch.setattr(torch.Tensor, "backward", lambda *_, **__: pytest.fail("trained again"))
    config = study(turned, families=("plain", "spectral"), groups=("c8",), copies=(2,))
    record = compare_networks(config)
    tests = ["rotated"] if turned else ["upright", "rotated"]
    more = record.rows[len(first.rows) :]
    assert record.rows[: len(first.rows)] == first.rows
    assert [row["test"] for row in more] == [f"{test}, 2 copies" for test in tests] * 2
    images = load_split(config.data, "test", None, lambda *_: None)
    network, _ = load_trained(config.out / "networks" / "spectral-c8-1-epochs-seed-0")
    with torch.no_grad():
        scores = sum(network(rotate_images(images.floats(), math.radians(a))).softmax(1) for a in (0, 22.5))
    wrong = (scores.argmax(1) != images.labels).double().mean()
    (row,) = (r for r in more if r["family"] == "spectral" and r["test"] == f"{tests[0]}, 2 copies")
    assert row["test_error_percent"] == pytest.approx(100 * wrong.item(), abs=1e-9)
    record.write(tmp_path / "known.json")
    known = replace(config, out=tmp_path / "elsewhere", known=tmp_path / "known.json")
    assert compare_networks(known).rows == record.rows
    with pytest.raises(ValueError, match=r"records do not hold them: plain, 1 epochs, seed 0 is not in .*elsewhere"):
        compare_networks(replace(known, copies=(2, 3)))
    with pytest.raises(ValueError, match="two copies or more"):
        replace(config, copies=(1,))


def test_a_network_whose_training_was_cut_off_goes_on_to_the_same_weights(study, monkeypatch):
    whole = compare_networks(study(families=("plain",), training=Training(epochs=3, batch_size=50)))
    cut = study(out=study().out.parent / "cut", families=("plain",), training=Training(epochs=3, batch_size=50))

    def stop(_what, done, _total):
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare_networks(cut, stop)
    again = compare_networks(cut)
    drop = {"seconds"}
    assert [{k: v for k, v in row.items() if k not in drop} for row in again.rows] == [
        {k: v for k, v in row.items() if k not in drop} for row in whole.rows
    ]


@pytest.mark.parametrize(
    ("family", "groups", "expected"),
    [
        ("plain", ("c4", "c8"), ["c1"]),
        ("exact", ("c4", "d4", "c8", "d8"), ["c4", "d4"]),
        ("harmonic", ("c4", "d4", "c8", "d8"), ["c8", "d8"]),
    ],
)
def test_exact_filters_go_where_they_are_exact_and_others_elsewhere(study, family, groups, expected):
    assert groups_of(family, study(groups=groups)) == expected


@pytest.mark.usefixtures("short_training_of_bases")
def test_fine_tuned_and_over_complete_bases_come_from_the_paper_s_training(study):
    config = study(families=("fine-tuned", "over-complete"))
    record = compare_networks(config)
    assert {row["family"] for row in record.rows} == {"learned", "fine-tuned", "over-complete"}
    bases = {path.stem: load_basis(str(path)) for path in (config.out / "bases").glob("*.safetensors")}
    assert bases["over-complete-c8-k3"].num_atoms == 27
    learned, tuned = bases["learned-c8-k3"](), bases["fine-tuned-c8-k3-learned-c8-1-epochs-seed-0"]()
    torch.testing.assert_close(tuned[2], tuned[0].rot90(1, (-2, -1)))  # averaged: quarter turns are exact
    assert (tuned - learned).abs().max() > 1e-6
    assert json.loads((config.out / "journal.jsonl").read_text().splitlines()[0])["settings"]["data"] == "mnist"


@pytest.mark.parametrize("mixing", ["full", "separable"])
def test_mixing_is_a_setting_that_all_networks_share_and_the_plain_one_does_without(study, tmp_path, mixing):
    config = study(families=("plain", "spectral"), mixing=mixing)
    record = compare_networks(config)
    layers = {}
    for family in ("plain", "spectral-c8"):
        network, trained = load_trained(config.out / "networks" / f"{family}-1-epochs-seed-0")
        layers[family] = [m for m in network.modules() if isinstance(m, SeparableGroupConv2d)]
        assert trained.network.options.get("mixing") == (None if family == "plain" else mixing)
    assert [len(found) for found in layers.values()] == [0, 4]
    assert {layer.channels is None for layer in layers["spectral-c8"]} == {mixing == "full"}
    record.write(tmp_path / "known.json")
    for other in (study(families=("plain",)), study(out=tmp_path / "other", known=tmp_path / "known.json")):
        with pytest.raises((FileExistsError, ValueError), match="other settings"):
            compare_networks(other)
