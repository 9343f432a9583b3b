"""Single layers compared with `nn.Conv2d` of the expanded shape."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from orbitconv.nn import GroupConv2d
from orbitconv.nn.products.kernel import layer as fused
from studies.base.peers import PEERS, import_peer, quiet
from studies.speed.checks import naive_weight, relative_error
from studies.speed.fused.contender import Contender


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A C8 layer at one size, and the largest share of a training step of `nn.Conv2d` that it may take."""

    basis: str = "spectral-c8-k3"
    fields: int
    size: int
    batch: int
    goal: float | None = None
    memory: float | None = None

    @property
    def kernel(self) -> int:
        """Side of the filters."""
        return int(self.basis.split("-k")[1].split("-")[0])

    @property
    def words(self) -> str:
        """The case in words."""
        side = f"{self.kernel}x{self.kernel}"
        atoms = f", {self.basis.split('-d')[1]} atoms" if "-d" in self.basis else ""
        return f"C8 {side}{atoms}, {8 * self.fields} channels, {self.size}x{self.size}, batch {self.batch}"


LAYERS = (
    Layer(fields=16, size=32, batch=16, goal=0.30, memory=0.8),
    Layer(fields=32, size=32, batch=16, goal=0.25, memory=0.6),
    Layer(fields=64, size=16, batch=16, goal=0.25),
    Layer(basis="spectral-c8-k5-d7", fields=13, size=14, batch=64, goal=0.25),
    *(Layer(fields=f, size=s, batch=b, goal=0.9) for f in (8, 4) for s, b in ((16, 4), (16, 2), (8, 4), (8, 2))),
)
"""Cases with goals."""
SIZES = tuple(Layer(fields=f, size=s, batch=b) for f in (2, 16, 32) for s, b in ((8, 4), (32, 4)))
"""Further cases, for scaling."""


def contenders(case: Layer, peers: Iterable[str], seed: int) -> dict[str, Contender]:
    """`nn.Conv2d`, this library's layer and the peers', for a training step with gradients of input and weights."""
    generator = torch.Generator().manual_seed(seed)
    channels, padding = 8 * case.fields, case.kernel // 2
    plain = nn.Conv2d(channels, channels, case.kernel, padding=padding, bias=False)
    layer = GroupConv2d(case.fields, case.fields, case.basis, padding=padding, bias=False)
    shape = (case.batch, channels, case.size, case.size)
    gradient = torch.randn(shape, generator=generator)

    def contender(module: nn.Module, run: Callable[[Tensor], Tensor], error: float | None = None) -> Contender:
        x = torch.randn(shape, generator=generator).requires_grad_()
        return Contender(module, lambda: run(x).backward(gradient), (x,), case.batch, error)

    def on_planes(x: Tensor) -> Tensor:
        return layer(x.unflatten(1, (case.fields, 8))).flatten(1, 2)

    found = {
        "conv2d": contender(plain, plain),
        "orbitconv": contender(layer, on_planes, _error(case, layer, on_planes, gradient)),
    }
    for library in peers:
        with quiet():
            gspaces, layers = import_peer(library, "python -m studies bench-fused")
            plane = getattr(gspaces, PEERS[library][0])(8)
            field = layers.FieldType(plane, case.fields * [plane.regular_repr])
            theirs = layers.R2Conv(field, field, case.kernel, padding=padding, bias=False, initialize=False)
            nn.init.normal_(theirs.weights, std=(channels * case.kernel**2) ** -0.5)
        run = partial(_call, theirs, layers.GeometricTensor, field)
        found[library] = contender(theirs, run)
    return found


def _call(module: nn.Module, wrap: Callable[[Tensor, Any], Any], field: Any, x: Tensor) -> Tensor:
    return module(wrap(x, field)).tensor


def _error(case: Layer, layer: GroupConv2d, on_planes: Callable[[Tensor], Tensor], gradient: Tensor) -> float:
    """Largest relative error of output and gradients, beside a convolution in float64."""
    x = torch.randn(gradient.shape).requires_grad_()
    y = on_planes(x)
    found = [y, *torch.autograd.grad(y, (x, layer.coefficients), gradient)]
    exact, coefficients = x.detach().double().requires_grad_(), layer.coefficients.detach().double().requires_grad_()
    weight = naive_weight(coefficients, layer.basis(torch.float64), layer.group)
    z = nn.functional.conv2d(exact, weight, padding=case.kernel // 2)
    right = [z, *torch.autograd.grad(z, (exact, coefficients), gradient.double())]
    return max(relative_error(one.detach(), other.detach()) for one, other in zip(found, right, strict=True))


def products(case: Layer, seed: int) -> dict[str, Contender]:
    """A layer by each of its products, filters expanded where that is needed, and by the one that it chooses."""
    generator = torch.Generator().manual_seed(seed)
    shape = (case.batch, case.fields, 8, case.size, case.size)
    gradient = torch.randn(shape, generator=generator)

    def contender(module: nn.Module) -> Contender:
        x = torch.randn(shape, generator=generator).requires_grad_()
        return Contender(module, lambda: module(x).backward(gradient), (x,), case.batch)

    def layer(fourier: Any) -> GroupConv2d:
        made = GroupConv2d(case.fields, case.fields, case.basis, padding=case.kernel // 2, bias=False, fourier=fourier)
        return made.requires_grad_()

    found = {"dense": layer(False), "fourier": layer(True), "fused": _Fused(layer("auto")), "orbitconv": layer("auto")}
    return {name: contender(module) for name, module in found.items()}


class _Fused(nn.Module):
    """A layer that uses the fused product whatever it costs."""

    def __init__(self, layer: GroupConv2d) -> None:
        super().__init__()
        self.layer = layer
        self._expand = layer._expand  # noqa: SLF001  # for gradients of gradients only

    def forward(self, x: Tensor) -> Tensor:
        """By the fused product."""
        planes = x.flatten(1, 2)
        known = fused.offer(self.layer, planes)
        if isinstance(known, str):
            raise TypeError(f"The fused product does not take this layer: {known}.")
        return fused.multiply(self.layer, planes, known, self._expand).unflatten(1, x.shape[1:3])
