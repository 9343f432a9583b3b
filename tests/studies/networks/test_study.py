import itertools
import math
from dataclasses import replace

import pytest
import torch

from orbitconv.data import rotated
from orbitconv.groups import rotate_images
from orbitconv.train import load_trained
from orbitconv.train.datasets import load_split
from studies.networks import compare_networks


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
