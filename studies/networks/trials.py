"""One network of a study: its settings and its own folder."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from orbitconv.groups import exact_elements, parse_group
from orbitconv.records.run_folder import CONFIG
from orbitconv.train import Network, WholeTraining, read_config
from orbitconv.train.settings import Rotation
from studies.networks.bases import Family
from studies.networks.settings import NetworkStudy

NETWORKS_FOLDER, ABLATIONS_FOLDER = "networks", "ablations"
"""Folders of a study for its networks, and for its ablations."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One network of a study."""

    family: Family
    group: str
    rotation: Rotation
    epochs: int
    seed: int

    @property
    def name(self) -> str:
        """Unique name of the trial in its study."""
        turned = "" if self.rotation == "none" else f", turned by {self.rotation}"
        who = self.family if self.group == "c1" else f"{self.family} {self.group.upper()}"
        return f"{who}{turned}, {self.epochs} epochs, seed {self.seed}"

    def folder(self, study: Path) -> Path:
        """Folder of the network."""
        return study / NETWORKS_FOLDER / re.sub(r"[^a-z0-9]+", "-", self.name.lower())


def name_of(trial: Trial, copies: int) -> str:
    """Name of a part of a study: a network, or its test on rotated copies."""
    return trial.name if copies == 1 else f"{trial.name}, {copies} copies"


def copies_of(test: str) -> int:
    """The number of copies in the name of a test."""
    found = re.fullmatch(r".*, (\d+) copies", test)
    return int(found[1]) if found else 1


def trials(config: NetworkStudy) -> Iterator[Trial]:
    """Every network of the settings, seed by seed, so that a stopped study has compared something."""
    for seed, rotation, family in product(range(config.seeds), config.rotations, config.families):
        for group in groups_of(family, config):
            yield Trial(family=family, group=group, rotation=rotation, epochs=config.training.epochs, seed=seed)


def groups_of(family: Family, config: NetworkStudy) -> list[str]:
    """The groups that a family is compared on: exact filters where they are exact, all others where they differ."""
    if family == "plain":
        return ["c1"]
    side = config.kernel_size
    exact = {
        name: len(exact_elements(parse_group(name), side, side)) == parse_group(name).order for name in config.groups
    }
    return [name for name in config.groups if exact[name] == (family == "exact")]


def training_of(trial: Trial, config: NetworkStudy, basis: Path | None) -> WholeTraining:
    """The settings of the training of a trial."""
    folder, hardware = trial.folder(config.out), config.hardware
    begun = folder / CONFIG
    if begun.exists():  # a network is trained in one precision
        hardware = replace(hardware, precision=read_config(begun).hardware.precision)
    return WholeTraining(
        out=folder, resume=begun.exists(), data_dir=config.data_dir, data=config.data,
        train_images=config.train_images, test_every=trial.epochs, seed=trial.seed,
        network=network_of(config, basis), training=replace(config.training, epochs=trial.epochs),
        augmentation=replace(config.augmentation, rotation=trial.rotation), hardware=hardware,
        tensorboard=config.tensorboard,
    )  # fmt: skip


def network_of(config: NetworkStudy, basis: Path | None) -> Network:
    """The network of a trial, as the settings of a training name it."""
    names = ["plain_width", "width", "downsample", "pool_group", "kernel_size"]
    if basis is not None and config.mixing != "dense":
        names.append("mixing")
    return Network(
        model=config.model,
        basis="none" if basis is None else str(basis),
        options={**{name: getattr(config, name) for name in names}, **config.options},
    )
