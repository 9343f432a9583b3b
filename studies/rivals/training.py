"""One network of the comparison, trained and evaluated once."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from orbitconv._support.progress import ProgressCallback
from orbitconv.models import TurnedCopies
from orbitconv.records.record import Row
from orbitconv.train import Plan, error_percent
from studies.pictures.training import trained
from studies.rivals.data import Examples, Pictures
from studies.rivals.measure import augmentation_of, turned_name
from studies.rivals.rows import PARAMETERS, Rival, described
from studies.rivals.settings import Rivals
from studies.rivals.upright import upright

_AT_A_TIME = 1000


def train_and_test(
    config: Rivals, pictures: Pictures, rival: Rival, seed: int, rate: float, table: str, train: Examples,
    test: Examples, cost: Mapping[str, Any], progress: ProgressCallback,
) -> list[Row]:  # fmt: skip
    """The rows of a network; that of equal parameters is also tested on rotated copies."""
    augmentation = augmentation_of(pictures.kind)
    if rival.upright:
        augmentation = replace(augmentation, rotation="none")
        turn = partial(upright, pose=pictures.kind.pose)
        train, test = (
            (torch.cat([turn(part) for part in images.split(_AT_A_TIME)]), labels) for images, labels in (train, test)
        )
    training = replace(config.training, learning_rate=rate, epochs=rival.epochs)
    plan = Plan(training=training, augmentation=augmentation, hardware=config.hardware)
    name = f"{rival.data}, {table}, {rival.name}, {rate:g}"
    network, seconds = trained(name, seed, rival.builder(pictures), train, config.out, plan, progress)
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
