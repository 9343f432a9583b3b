"""One call from a plain network to an equivariant one."""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Literal

from torch import nn

from orbitconv.conversion.bases import BasisChoice, KernelSizes
from orbitconv.conversion.converted import Converted
from orbitconv.conversion.exchange import exchange
from orbitconv.conversion.observation import Example, FailedRun, observe
from orbitconv.conversion.outputs import OutputChoice, Outputs
from orbitconv.conversion.report import ConversionReport
from orbitconv.conversion.rules import RULES, Rule
from orbitconv.conversion.surgery import Entry, Plan, operate
from orbitconv.groups import Group, parse_group


def convert(
    model: nn.Module,
    group: Group | str,
    basis: BasisChoice = "spectral",
    *,
    example: Example,
    output: OutputChoice = "invariant",
    pool: Literal["max", "mean"] = "max",
    exact: bool = False,
    strict: bool = True,
) -> Converted:
    """Make a network equivariant: exchange its layers, keep its forwards."""
    group = parse_group(group) if isinstance(group, str) else group
    plain = copy.deepcopy(model)
    bases = KernelSizes(group, basis)
    if exact:
        plain, exchanged = exchange(plain, example)
    kept: dict[str, str] = {}
    while True:
        working = copy.deepcopy(plain)
        seen = observe(working, example)
        plan = Plan(bases, seen, {}, kept, pool)
        try:
            network, found, entries = operate(working, example, plan)
            break
        except FailedRun as error:
            raise ValueError(f"convert cannot convert {error.path!r}: {error}") from error
    outputs = Outputs(seen.output, found.output, output, group, pool)
    return Converted(network, outputs, group, ConversionReport(group.name, tuple(entries)))
