"""One network of the comparison, trained and evaluated once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from orbitconv._support.progress import ProgressCallback
from orbitconv.models import TurnedCopies
from orbitconv.records.record import Row
from orbitconv.train import Augmentation, Hardware, Training, error_percent
from studies.pictures.training import trained
from studies.rivals.data import Examples, Pictures
from studies.rivals.measure import augmentation_of, turned_name
from studies.rivals.rows import PARAMETERS, Rival, described
from studies.rivals.settings import Rivals
from studies.rivals.upright import upright

_AT_A_TIME = 1000


@dataclass(frozen=True)
class _Settings:
    """Settings of a training."""

    out: Path
    training: Training
    augmentation: Augmentation
    hardware: Hardware


@dataclass(frozen=True)
class _Named:
    """Name of the folder of a training."""

    name: str
    epochs: int


def train_and_test(
    config: Rivals, pictures: Pictures, rival: Rival, seed: int, rate: float, table: str, train: Examples,
    test: Examples, cost: Mapping[str, Any], progress: ProgressCallback,
) -> list[Row]:  # fmt: skip
    """The rows of a network; that of equal parameters is also tested on rotated copies."""
    augmentation = augmentation_of(pictures.kind)
    if rival.upright:
        augmentation = replace(augmentation, rotation="none")
        train, test = (_upright(examples, pictures) for examples in (train, test))
    settings = _Settings(config.out, replace(config.training, learning_rate=rate), augmentation, config.hardware)
    named = _Named(f"{rival.data}, {table}, {rival.name}, {rate:g}", rival.epochs)
    network, seconds = trained(named, seed, rival.builder(pictures), train, settings, progress)
    row: Row = {
        "table": table, **described(rival, pictures), "seed": seed, "train": rival.data, "epochs": rival.epochs,
        "learning_rate": rate, "seconds": seconds, **cost, "test": table if table != "rivals" else "rotated",
        "test_error_percent": round(error_percent(network.network, *test), 4),
    }  # fmt: skip
    rows = [row]
    if table == "rivals" and rival.name == PARAMETERS:
        copies = TurnedCopies(network.network, config.turns, order=1)
        rows.append({
            **row, "network": turned_name(config), "multiply_adds": config.turns * int(row["multiply_adds"] or 0),
            "test_error_percent": round(error_percent(copies, *test), 4),
        })  # fmt: skip
    return rows


def _upright(examples: Examples, pictures: Pictures) -> Examples:
    """Pictures rotated into their pose."""
    turn = partial(upright, pose=pictures.kind.pose)
    return torch.cat([turn(part) for part in examples[0].split(_AT_A_TIME)]), examples[1]
