"""Measurements of a network: equivariance errors, and time of a step."""

import math
from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.groups import rotate_images
from orbitconv.hexagonal import HexagonalImage, rotate_hexagonal, turn_hexagonal
from orbitconv.models import SmallCNN
from orbitconv.nn import ToHexagonal
from orbitconv.records.record import Row
from studies.base.timing import Pace, interleave, ratios, seconds_of, spread

ANGLES = (30, 45, 60, 90)


@torch.no_grad()
def equivariance_errors(network: SmallCNN, images: Float[Tensor, "n c h w"]) -> dict[str, float]:
    """How far what the last layer reads changes when the image turns: ||f(T x) - f(x)|| / ||f(x)||, at every angle.

    Images turn on the lattice of the network, exactly where it allows that. Both show the disc inside the image.
    """
    network.eval()
    hexagonal = isinstance(network.features[0], ToHexagonal)
    disc = _disc(images.shape[-1])
    x = images * disc

    def read(turned: Tensor | HexagonalImage) -> Float[Tensor, "n f"]:
        layers = network.features[1:] if hexagonal else network.features
        return network.pool(layers(turned)).amax((2, 3))

    if hexagonal:
        image = network.features[0](x)
        before = read(image)
        after = {a: read(HexagonalImage(_turn_hexagons(image.values, a), image.grid)) for a in ANGLES}
    else:
        before = read(x)
        after = {a: read(rotate_images(x, math.radians(a))) for a in ANGLES}
    return {f"error_{a}": float((y - before).norm() / before.norm()) for a, y in after.items()}


def _turn_hexagons(values: Float[Tensor, "n c i j"], degrees: int) -> Float[Tensor, "n c i j"]:
    if degrees % 60 == 0:
        return turn_hexagonal(values, degrees // 60)
    return rotate_hexagonal(values, math.radians(degrees))


def _disc(side: int) -> Float[Tensor, "h w"]:
    axis = torch.arange(side) - (side - 1) / 2
    return (torch.hypot(axis[:, None], axis) <= (side - 1) / 2).float()


def times(
    networks: Mapping[str, nn.Module], images: Float[Tensor, "n c h w"], labels: Int64[Tensor, " n"], rounds: int,
    progress: ProgressCallback = silent,
) -> list[Row]:  # fmt: skip
    """Milliseconds of a training step and of inference for one batch, in turns; ratios to the first network."""
    readings: dict[str, Callable[[], float]] = {}
    for name, network in networks.items():
        optimizer = torch.optim.AdamW(network.parameters())
        readings[f"{name}: training"] = partial(_train, network, optimizer, images, labels)
        readings[f"{name}: inference"] = partial(_infer, network, images)
    for warm_up in readings.values():
        warm_up()
    pace = Pace(repeats=rounds, budget_seconds=math.inf)
    seconds = interleave(readings, pace, on_round=lambda done: progress("time of a step", done, rounds))
    rows: list[Row] = []
    for name in networks:
        row: Row = {"network": name}
        for what in ("training", "inference"):
            own, first = (seconds[f"{one}: {what}"] for one in (name, next(iter(networks))))
            row[f"{what}_ms"] = 1e3 * spread(own).median
            row[f"{what}_ratio"] = spread(ratios(own, first)).median
        rows.append(row)
    return rows


def _train(network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> float:
    network.train()

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()

    return seconds_of(step)


def _infer(network: nn.Module, images: Tensor) -> float:
    network.eval()
    with torch.inference_mode():
        return seconds_of(lambda: network(images))
