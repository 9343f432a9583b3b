"""Training a basis on real images: what the folder holds, what the record says, and that a stopped run goes on."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from orbitconv.bases import GaussianBasis, read_basis
from orbitconv.data import load
from orbitconv.groups import Cyclic
from orbitconv.learn import BasisTraining, measure_moments
from orbitconv.metrics import basis_equivariance_error
from orbitconv.nn import LiftingConv2d
from orbitconv.records.command import command_of
from references import smooth_images
from studies.__main__ import parse
from studies.bases import learned_basis_study as study
from studies.bases.learned_basis_study import LearnedBasisStudy, study_learned_bases
from studies.bases.train_basis import TrainBasis, TrainPaperBasis, train_one

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


def test_a_folder_in_use_is_refused_and_stays_as_it_is(config):
    train_one(config)
    before = {path: path.stat().st_mtime_ns for path in config.out.rglob("*")}
    with pytest.raises(FileExistsError, match="--resume"):
        train_one(config)
    with pytest.raises(ValueError, match="another run: steps differ"):
        train_one(replace(config, resume=True, training=replace(SHORT, steps=13)))
    assert {path: path.stat().st_mtime_ns for path in config.out.rglob("*")} == before


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


def test_copies_lie_side_by_side_in_one_file_that_a_layer_takes(config):
    record = train_one(replace(config, copies=2))
    basis = read_basis(config.out / "basis.safetensors")
    assert (basis.num_atoms, basis.metadata["seeds"]) == (18, [0, 1])
    last = [torch.load(config.out / f"seed-{n}" / "checkpoint.pt", weights_only=True)["best"]["atoms"] for n in (0, 1)]
    assert torch.equal(basis.atoms, torch.cat(last, 1).double())
    assert only(record, "over-complete")["num_atoms"] == 18
    layer = LiftingConv2d(1, 2, str(config.out / "basis.safetensors"))
    assert layer(torch.randn(1, 1, 9, 9)).shape == (1, 2, 8, 7, 7)


def test_curves_start_before_the_first_step_and_end_with_the_last(config):
    record = train_one(replace(config, training=replace(SHORT, check_every=1, steps=50)))
    (curve,) = record.extra["curves"]
    rows = [json.loads(line) for line in (config.out / "seed-0" / "metrics.jsonl").read_text().splitlines()]
    assert (curve["step"][0], curve["step"][-1], len(curve["step"])) == (0, 50, 26)
    for name in ("held_out_error", "equivariance", "reconstruction", "orthogonality"):
        assert len(curve[name]) == 26
    for number, step in enumerate(curve["step"][1:], start=1):
        assert curve["held_out_error"][number] == pytest.approx(rows[step - 1]["held_out_error"], rel=1e-3)
        losses = [row["equivariance"] for row in rows[curve["step"][number - 1] : step]]
        assert curve["equivariance"][number] == pytest.approx(np.mean(losses), rel=1e-3)
    assert curve["held_out_error"][0] > curve["held_out_error"][-1]


def test_cifar_10_is_measured_as_in_the_comparison_of_bases(data_dir, tmp_path):
    config = TrainBasis(data_dir=data_dir, out=tmp_path, max_images=200, test_images=150, training=SHORT)
    record = train_one(config)
    test = load("cifar10", "test", data_dir=data_dir).take(150).grey()
    moments = measure_moments(test, Cyclic(8), 3)
    gaussian = basis_equivariance_error(GaussianBasis(Cyclic(8), 3, 0.3), moments)
    assert only(record, "gaussian, sigma 0.3")["error_45"] == float(gaussian[1])
    learned = basis_equivariance_error(read_basis(tmp_path / "basis.safetensors"), moments)
    assert only(record, "learned")["error_worst"] == pytest.approx(float(learned.max()), rel=1e-12)
    assert only(record, "learned, average")["error_90"] < 1e-6
    assert {row["test"] for row in record.rows} == {"cifar10-test"}


def test_training_turns_better_than_its_interpolated_start_and_than_interpolation(data_dir, tmp_path):
    training = BasisTraining(steps=200, check_every=50, learning_rate=5e-3)
    record = train_one(TrainBasis(data_dir=data_dir, out=tmp_path, max_images=1000, training=training))
    (curve,) = record.extra["curves"]
    assert curve["held_out_error"][-1] < 0.97 * curve["held_out_error"][0]
    assert 0.166 < only(record, "learned")["error_45"] < 0.85 * only(record, "gaussian, sigma 0.3")["error_45"]


def test_a_study_goes_on_where_it_was_stopped(data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "training_of", lambda variant: replace(SHORT, norm="l2" if variant == "l2" else "l1"))
    config = LearnedBasisStudy(
        data_dir=data_dir, out=tmp_path, max_images=100, test_images=50, seeds=1, copies=2, variants=("default", "l2")
    )
    first = study_learned_bases(config)
    again = study_learned_bases(config)
    assert [row | {"seconds": 0} for row in again.rows] == [row | {"seconds": 0} for row in first.rows]
    assert first.extra == again.extra
    assert sorted(path.name for path in tmp_path.iterdir()) == ["default", "l2"]
    kinds = [(row["settings"], row["family"], row["seed"]) for row in first.rows]
    assert len(kinds) == len(set(kinds)) == 2 * (2 * 2 + 2) + 4
    assert first.config["training"]["l2"]["norm"] == "l2"


@pytest.mark.parametrize(
    "config",
    [
        TrainBasis(),
        TrainBasis(seeds=2, average=True, training=BasisTraining(steps=5, decay=False, contrast=None)),
        TrainPaperBasis(copies=3, training=replace(BasisTraining.paper(), decay=True)),
        LearnedBasisStudy(variants=("l2", "paper"), group="d4", kernel_size=5),
    ],
)
def test_the_command_of_a_record_gives_its_settings(config):
    python, flag, studies, *words = command_of(config.command, config, "train_basis").split()
    found = parse(words)
    assert (python, flag, studies) == ("python", "-m", "studies")
    assert found.settings() == config.settings()


def test_the_paper_is_a_set_of_defaults_that_options_win_over():
    assert parse(["train-basis-paper"]).training == BasisTraining.paper()
    found = parse(["train-basis-paper", "--training.steps", "1000"]).training
    assert found == replace(BasisTraining.paper(), steps=BasisTraining().steps)


@pytest.mark.parametrize(("field", "value"), [("seeds", 0), ("copies", -1), ("group", "e8"), ("kernel_size", 0)])
def test_refuses_bad_settings(field, value):
    with pytest.raises(ValueError, match=r"train-basis expects|C8 or D4"):
        TrainBasis(**{field: value})
