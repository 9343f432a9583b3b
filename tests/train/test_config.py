"""Settings and their file."""

import json
from dataclasses import asdict

import pytest

from orbitconv.train import Augmentation, Hardware, Network, TrainConfig, Training
from orbitconv.train.config import merge, parse_config, read_config, write_config
from raising import refuses


def test_settings_come_back_from_their_file(tmp_path):
    config = TrainConfig(
        data="cifar10", train_images=7, seed=2,
        network=Network(model="resnet", basis="exact-c4", options={"width": 3, "downsample": "max", "dropout": 0.5}),
        training=Training(average=0.9, optimizer="sgd", schedule="cosine"),
        augmentation=Augmentation(rotation="eighths", crop=4), hardware=Hardware(precision="bf16"),
    )  # fmt: skip
    write_config(tmp_path / "config.json", config)
    assert read_config(tmp_path / "config.json") == config


def test_what_a_file_leaves_out_is_taken_from_other_settings_and_what_it_names_is_not(tmp_path):
    others = TrainConfig(
        seed=4, train_images=9, network=Network(basis="none", options={"width": 3}), training=Training(clip=1.0)
    )
    path = tmp_path / "mine.json"
    path.write_text('{"train_images": null, "network": {"options": {}}, "training": {"epochs": 5}}')
    expected = asdict(others)  # epochs are 5 by default
    expected["train_images"], expected["network"]["options"] = None, {}
    assert asdict(read_config(path, others)) == expected


@pytest.mark.parametrize(("settings", "message"), [
    ({"traning": {}}, r"here is no .* traning is unknown; known beside it are data, "),
    ({"augmentation": {"flips": True}}, "augmentation.flips is unknown; known beside it are rotation, flip, crop"),
    ({"training": {"epochs": 2.5}}, r"training.epochs: should be a valid integer, got 2\.5"),
    ({"training": {"epochs": True}}, "training.epochs: should be a valid integer, got True"),
    ({"training": {"optimizer": "adam"}}, "training.optimizer: should be 'adamw' or 'sgd', got 'adam'"),
    ({"train_images": "all"}, "train_images: should be a valid integer, got 'all'"),
    ({"network": {"options": {"width": [1]}}}, r"network.options.width.* got \[1\]"),
    ([], r"should be an object|should be a dictionary"),
])  # fmt: skip
def test_unknown_and_ill_typed_fields_are_named_and_refused(settings, message):
    refuses(ValueError, message, lambda: parse_config(json.dumps(settings), "here"))


@pytest.mark.parametrize(("part", "message"), [
    (Training(momentum=1.0), "momentum from 0 to below 1, got 1.0"),
    (Training(average=0.0), "average between 0 and 1, got 0.0"),
    (Training(clip=float("inf")), "clip > 0, got inf"),
    (Training(label_smoothing=-0.1), "label_smoothing from 0"),
    (Training(schedule="linear"), "schedule to be one of one-cycle, cosine, got 'linear'"),
    (Augmentation(crop=1.5), "crop as a number of pixels of zero or more, got 1.5"),
    (Augmentation(elastic=-1.0), "elastic in pixels, zero or more, got -1.0"),
    (Hardware(device="tpu"), "device to be one of auto, cpu, cuda, got 'tpu'"),
])  # fmt: skip
def test_settings_out_of_range_are_refused(part, message):
    refuses(ValueError, message, part.check)


def test_given_settings_go_before_saved_ones():
    saved = TrainConfig(seed=4, training=Training(epochs=9, clip=1.0))
    merged = merge(TrainConfig(training=Training(epochs=3)), saved)
    assert asdict(merged) == asdict(TrainConfig(seed=4, training=Training(epochs=3, clip=1.0)))
