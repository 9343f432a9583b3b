"""Training a basis on real images: what the folder holds, what the record says, and that a stopped run goes on."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from orbitconv.bases import read_basis
from orbitconv.learn import BasisTraining
from references import smooth_images
from studies.bases.train_basis import TrainBasis, train_one

image = pytest.importorskip("PIL.Image")

SHORT = BasisTraining(steps=12, batch_size=4, check_every=4, held_out=0.2, start="random")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Sixteen pictures of smooth noise, one tile each."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, pixels in enumerate(smooth_images(16, 96).numpy()[:, 0]):
        image.fromarray(np.clip(128 + 300 * pixels, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def config(pictures, tmp_path):
    return TrainBasis(images=pictures, out=tmp_path / "run", training=SHORT)


def stop_at(step):
    def progress(what, done, total):
        if (what, done) == ("own settings, seed 0", step):
            raise KeyboardInterrupt

    return progress


def only(record, family, seed=0):
    (row,) = (row for row in record.rows if (row["family"], row["seed"]) == (family, seed))
    return row


def test_a_stopped_run_goes_on_to_the_same_bits(config):
    whole = train_one(replace(config, out=config.out.with_name("whole")))
    with pytest.raises(KeyboardInterrupt):
        train_one(config, stop_at(7))
    assert [path.name for path in config.out.iterdir()] == ["seed-0"]
    resumed = train_one(replace(config, resume=True))
    for name in ("basis.safetensors", "seed-0/metrics.jsonl", "seed-0/config.json"):
        assert (config.out / name).read_bytes() == (config.out.with_name("whole") / name).read_bytes()
    assert resumed.extra["curves"] == whole.extra["curves"]
    strip = {"seconds": 0}
    assert [row | strip for row in resumed.rows] == [row | strip for row in whole.rows]
    assert only(resumed, "learned")["seconds"] is None  # half of it was done before
    assert only(whole, "learned")["seconds"] > 0


@pytest.mark.parametrize("average", [False, True])
def test_the_file_holds_the_best_basis_of_the_training(config, average):
    record = train_one(replace(config, average=average, seeds=2))
    basis = read_basis(config.out / "basis.safetensors")
    facts = basis.metadata
    assert (facts["family"], facts["data"], facts["steps"], facts["images"]) == ("learned", "pictures", 12, 16)
    assert facts["settings"] == json.loads((config.out / "seed-0" / "config.json").read_text())["config"]
    errors = {one["seed"]: min(one["held_out_error"]) for one in record.extra["curves"]}
    (seed,) = facts["seeds"]
    assert errors[seed] == min(errors.values()) == pytest.approx(facts["held_out_error"], rel=1e-3)
    assert torch.equal(basis.atoms[2], basis.atoms[0].rot90(1, (-2, -1))) == average
