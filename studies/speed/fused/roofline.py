"""Multiply-adds and bytes per second of the product, compared with a matrix product and a copy in the same run."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from orbitconv.nn import GroupConv2d
from orbitconv.nn.products.kernel.structure import structure_of
from studies.speed.fused.layers import Layer


@dataclass(frozen=True, eq=False)
class Rate:
    """Work of a call: multiply-adds, those of the dense product, and bytes that must be read and written."""

    run: Callable[[], object]
    multiply_adds: float
    dense: float
    bytes: float


def rates(cases: tuple[Layer, ...]) -> dict[str, Rate]:
    """A matrix product, a copy, and the forward pass of layers without gradients."""
    a, b = (torch.randn(1024, 1024) for _ in range(2))
    source, target = torch.randn(2**24), torch.empty(2**24)
    found = {
        "matrix product, 1024 x 1024 x 1024": Rate(lambda: a @ b, 2.0**30, 2.0**30, 3 * 4 * 2**20),
        "copy of 64 MiB": Rate(lambda: target.copy_(source), 0, 0, 2 * 4 * 2**24),
    }
    for case in cases:
        layer = GroupConv2d(case.fields, case.fields, case.basis, padding=case.kernel // 2, bias=False)
        known = structure_of(layer.basis(torch.float64))
        if known is None:
            continue
        x = torch.randn(case.batch, case.fields, 8, case.size, case.size)
        pixels, fields, area = case.batch * case.size**2, case.fields, case.kernel**2
        orbits = (area - 1) // 4
        inner = (orbits + 1, orbits, 2 * orbits)
        filtering = known.order * fields * sum(n * rows for n, rows in zip(inner, known.classes, strict=True))
        mixing = known.products * known.rank * fields**2
        dense = (fields * known.order) ** 2 * area
        moved = 2 * 4 * x.numel()

        @torch.inference_mode()
        def run(layer: GroupConv2d = layer, x: torch.Tensor = x) -> torch.Tensor:
            return layer(x)

        found[case.words] = Rate(run, (filtering + mixing) * pixels, dense * pixels, moved)
    return found
