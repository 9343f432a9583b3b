"""The studies of records at their smallest size; one number of each is computed again."""

import json
from dataclasses import replace

import pytest
import torch

from digits import small_digits
from orbitconv.data import rotated
from orbitconv.data.rotation import TEST_SEED
from orbitconv.models import count_parameters
from orbitconv.train import Training
from orbitconv.train.datasets import LOADERS
from raising import refuses
from studies.__main__ import main
from studies.pages.records import record_final, record_levers
from studies.records.networks import digits
from studies.records.rotated_mnist import LEVERS as RECORD_LEVERS
from studies.records.rotated_mnist import RotatedMnistRecord
from studies.records.study import Work, trials
from studies.records.upright import LEVERS, Upright

pytest.importorskip("matplotlib")

SIZES = ["--plain-width", "2", "--images", "100", "--epochs", "1", "--final-plain-width", "2", "--final-images", "100",
         "--final-epochs", "1", "--training.batch-size", "50", "--validation", "60"]  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    for name in ("mnist", "rotated-mnist"):
        monkeypatch.setitem(LOADERS, name, lambda split, **_: small_digits(200 if split == "train" else 50, split))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_upright_errors_are_those_of_the_networks_that_were_trained(here, monkeypatch):
    words = ["upright", *SIZES, "--levers", "nothing", "bispectrum", "--chosen", "copies agree in features"]
    main([*words, "--seeds", "2", "--results", "upright.json"])
    rows = json.loads((here / "upright.json").read_text())["rows"]
    tests = ["upright", "rotated", "rotated, 2 copies"]
    assert [(row["part"], row["levers"], row["seed"], row["images_of"], row["test"]) for row in rows] == [
        (*kind, test)
        for kind in [
            ("levers", "nothing", 0, "validation"), ("levers", "bispectrum", 0, "validation"),
            *(("record", "copies agree in features", seed, "test") for seed in range(2)),
        ]
        for test in tests
    ]  # fmt: skip

    def never(*_args, **_options):
        raise AssertionError("trained again")

    config = Upright(
        validation=60, plain_width=2, images=100, epochs=1, final_plain_width=2, final_images=100, final_epochs=1,
        levers=("nothing", "bispectrum"), chosen=("copies agree in features",),
        training=replace(Upright().training, batch_size=50),
    )  # fmt: skip
    network, _ = Work(config, lambda *_: None).trained(trials(config)[2])  # resumed after its last epoch
    turned = rotated(small_digits(50, "test"), TEST_SEED)
    wrong = (network(turned.images).argmax(1) != turned.labels).double().mean()
    assert rows[7]["test_error_percent"] == pytest.approx(100 * float(wrong))
    monkeypatch.setattr("orbitconv.fit", never)
    main([*words, "--seeds", "1", "--levers", "--results", "again.json"])  # known; rows of other calls stay in
    again = json.loads((here / "again.json").read_text())
    assert again["rows"] == rows
    assert "--levers nothing bispectrum" in again["command"]
    assert "--seeds 2" in again["command"]
    monkeypatch.setattr("studies.pages.records.read", lambda _: rows)
    assert len(record_levers("upright").split("\n")) == 4
    assert "copies agree in features | 100 | 1 | 2 |" in record_final("upright")


def test_levers_of_rotated_mnist_train_and_the_teacher_is_shared(here):
    levers = ("distillation", "29 pixels", "label smoothing")
    main(["rotated-mnist-record", *SIZES, "--levers", *levers, "--seeds", "0", "--results", "record.json"])
    rows = json.loads((here / "record.json").read_text())["rows"]
    assert [(row["levers"], row["test"]) for row in rows] == [
        (lever, test) for lever in levers for test in ("rotated", "rotated, 2 copies")
    ]
    assert len(list((here / "runs/rotated-mnist-record/networks").iterdir())) == 4


@pytest.mark.parametrize(("known", "study"), [(LEVERS, Upright), (RECORD_LEVERS, RotatedMnistRecord)])
def test_every_lever_makes_a_network_of_the_same_size_that_is_invariant_to_quarter_turns(known, study):
    config = study(plain_width=4)
    base = count_parameters(digits(plain_width=4))
    x = torch.rand(2, 1, 28, 28)
    for lever in known:
        network = digits(**config.recipe((lever,), final=False).arguments).eval()
        assert abs(count_parameters(network) - base) < 0.25 * base, lever  # few fields: steps are large
        y = network(x)
        assert y.shape == (2, 10)
        torch.testing.assert_close(network(x.rot90(1, (2, 3))), y, rtol=0, atol=1e-3, msg=lever)


def test_refusals_come_before_anything_is_trained(here):
    refuses(ValueError, r"no lever 'bispektrum'.*bispectrum", Upright, levers=("bispektrum",))
    refuses(ValueError, "two copies or more", Upright, copies=(1,))
    refuses(ValueError, "final_epochs >= 1", Upright, final_epochs=0)
    with pytest.raises(ValueError, match=r"at most 140 images.*without those held out, got 150"):
        Work(Upright(validation=60, images=150, seeds=0), lambda *_: None)
    with pytest.raises(ValueError, match=r"at most 200 images for 'record"):
        Work(RotatedMnistRecord(validation=60, images=100, final_images=201, training=Training()), lambda *_: None)
    assert not (here / "runs").exists()
