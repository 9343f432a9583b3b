"""The networks compared on a data set, each with its matching width."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from orbitconv import Builder
from orbitconv.bases.registry import parse_basis_name
from orbitconv.models import count_multiply_adds, count_parameters
from studies.base.settings import Compared
from studies.rivals.data import Pictures
from studies.rivals.networks import SHAPES, maker, width_within
from studies.rivals.settings import Rivals, RivalStudy

PARAMETERS, MULTIPLY_ADDS, TIME, FREE = (
    "plain, equal parameters", "plain, equal multiply-adds", "plain, equal time", "plain, free",
)  # fmt: skip
"""Plain networks with rotated images."""
UPRIGHT = "plain, turned upright"
UNTIED = "without the constraint"


@dataclass(frozen=True, kw_only=True)
class Rival(Compared):
    """A network of the comparison."""

    name: str
    data: str
    shape: str
    basis: str | None
    width: float
    epochs: int
    copies: int = 1
    upright: bool = False

    def builder(self, pictures: Pictures) -> Builder:
        """The function that builds it."""
        return Builder("studies.rivals.networks:rival", {
            "shape": self.shape, "basis": self.basis, "width": self.width, "copies": self.copies,
            "in_channels": pictures.image[0], "num_classes": pictures.classes,
        })  # fmt: skip

    def build(self, pictures: Pictures) -> nn.Module:
        """The network, untrained."""
        return self.builder(pictures).build(("studies",))

    def sizes(self, pictures: Pictures) -> dict[str, int]:
        """Parameters and multiply-adds, as columns."""
        with torch.device("meta"):
            network = self.build(pictures)
        return {
            "parameters": count_parameters(network), "multiply_adds": count_multiply_adds(network, pictures.image),
        }  # fmt: skip


def networks_on_groups(config: RivalStudy, pictures: Pictures) -> dict[str, Rival]:
    """A network for each basis, as large as the plain one, by the name of the basis."""
    plain = of_width(config, pictures, config.plain_width, PARAMETERS)
    budget, found = plain.sizes(pictures)["parameters"], {}
    for basis in config.bases:
        parsed = parse_basis_name(basis)
        name = f"{parsed.family} {parsed.group.name}"
        parsed(SHAPES[plain.shape].kernel_size)  # says what is wrong with a family without that group
        make = maker(plain.shape, basis, pictures.image[0], pictures.classes)
        width = width_within(
            f"{name} on {pictures.name}", make, budget, config.tolerance, plain.shape, 4 * config.plain_width
        )
        found[basis] = replace(plain, name=name, basis=basis, width=width)
    return found


def of_width(config: RivalStudy, pictures: Pictures, width: float, name: str) -> Rival:
    """A plain network."""
    return Rival(
        name=name, data=pictures.name, shape=pictures.kind.shape, basis=None, width=width,
        epochs=config.training.epochs,
    )  # fmt: skip


def rivals_of(config: Rivals, pictures: Pictures) -> dict[str, Rival]:
    """All networks that are known before measuring: all but that of equal time and the free one."""
    groups = networks_on_groups(config, pictures)
    reference = groups[config.reference]
    budget = reference.sizes(pictures)["multiply_adds"]
    count = partial(count_multiply_adds, input_shape=pictures.image)
    make = maker(reference.shape, None, pictures.image[0], pictures.classes)
    order = parse_basis_name(config.reference).group.order
    wide = width_within(
        f"the plain network on {pictures.name}", make, budget, config.tolerance, reference.shape,
        order * int(reference.width + 1), count, "multiply-adds",
    )  # fmt: skip
    plain = of_width(config, pictures, config.plain_width, PARAMETERS)
    untied = replace(reference, name=f"{reference.name} {UNTIED}", basis=None, copies=order)
    return {
        one.name: one
        for one in (
            plain, of_width(config, pictures, wide, MULTIPLY_ADDS), replace(plain, name=UPRIGHT, upright=True), untied,
            *groups.values(),
        )
    }  # fmt: skip


def free_name(width: int, epochs: int) -> str:
    """Name of a candidate for the free network."""
    return f"plain, {width} x width, {epochs} x epochs"


def candidates(config: Rivals, pictures: Pictures) -> dict[str, tuple[int, Rival]]:
    """Candidates for the free network, each with its width over that of the plain one."""
    found = {}
    for width in config.sweep_widths:
        for longer in config.sweep_epochs:
            one = of_width(config, pictures, width * config.plain_width, free_name(width, longer))
            found[one.name] = width, replace(one, epochs=longer * config.training.epochs)
    return found


def described(rival: Rival, pictures: Pictures) -> dict[str, Any]:
    """Columns that name a network and its size."""
    return {
        "data": rival.data, "network": rival.name, "family": rival.family, "group": rival.group,
        "kernel": SHAPES[rival.shape].kernel_size, "width": rival.width, **rival.sizes(pictures),
    }  # fmt: skip
