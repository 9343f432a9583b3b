"""The layer of every system that is measured, behind plain planes: (batch, fields * |G|, height, width) in and out.

To measure another layer, write a function from a case and a setting to a `Subject`, and give it a name in `SUBJECTS`;
cases name their subjects.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.groups import parse_group
from orbitconv.nn import GroupConv2d, SeparableGroupConv2d, fold
from studies.base.peers import PEERS, PeerBasis, import_peer, quiet
from studies.speed.cases import Case
from studies.speed.checks import naive_separable_weight, naive_weight, solve_coefficients


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Device, dtype and other settings of the layers."""

    device: torch.device
    dtype: torch.dtype
    threads: int
    seed: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """One system's group layer, without bias and with same padding."""

    module: nn.Module
    weights: tuple[Tensor, ...]
    run: Callable[[Tensor], Tensor]
    reference: Callable[..., Tensor]
    expand: Callable[[], Tensor] | None = None
    learns: bool = True


Builder = Callable[[Case, Setting], Subject]


def plain(case: Case, setting: Setting) -> Subject:
    """`nn.Conv2d` of the same expanded shape."""
    layer = nn.Conv2d(case.channels, case.channels, case.kernel, padding=case.kernel // 2, bias=False)
    layer.to(setting.device, setting.dtype)
    return Subject(
        module=layer, weights=(layer.weight,), run=layer, reference=lambda weight: weight, expand=layer.weight.clone
    )


def copied(case: Case, setting: Setting) -> Subject:
    """The copy of one expanded weight over another, without autograd: the time of memory alone."""
    subject = plain(case, setting)
    source = subject.weights[0].detach()
    target = torch.empty_like(source)
    return replace(subject, expand=lambda: target.copy_(source), learns=False)


def own(case: Case, setting: Setting, *, fourier: bool | Literal["auto"] = "auto") -> Subject:
    """`GroupConv2d` on the spectral basis that comes with the package, which is as large as the peers' bases."""
    layer = GroupConv2d(
        case.fields, case.fields, _basis_name(case), padding=case.kernel // 2, bias=False, fourier=fourier
    )
    layer.to(setting.device, setting.dtype)
    atoms = layer.basis(torch.float64).detach()
    return Subject(
        module=layer, weights=(layer.coefficients,), run=_on_group(layer, case),
        reference=lambda coefficients: naive_weight(coefficients, atoms, layer.group), expand=layer.filters,
    )  # fmt: skip


def separable(case: Case, setting: Setting) -> Subject:
    """`SeparableGroupConv2d` on the same basis, which mixes group axis and channels at once."""
    layer = SeparableGroupConv2d(case.fields, case.fields, _basis_name(case), padding=case.kernel // 2, bias=False)
    layer.to(setting.device, setting.dtype)
    atoms = layer.spatial.basis(torch.float64).detach()
    return Subject(
        module=layer,
        weights=(layer.spatial.coefficients, layer.mixing.coefficients),
        run=_on_group(layer, case),
        reference=lambda spatial, mixing: naive_separable_weight(spatial, mixing, atoms, layer.group),
    )


def folded(case: Case, setting: Setting) -> Subject:
    """`orbitconv.nn.fold` of that layer, for inference."""
    subject = own(case, setting)
    layer = fold(subject.module.eval())
    return replace(subject, module=layer, run=_on_group(layer, case), learns=False)


def peer(library: str, case: Case, setting: Setting) -> Subject:
    """`R2Conv` of a peer from regular to regular fields, with its default basis."""
    group = parse_group(case.group)
    with quiet():
        gspaces, layers = import_peer(library, "python -m studies bench")
        plane = getattr(gspaces, PEERS[library][int(group.mirrors.any())])(group.num_rotations)
        field = layers.FieldType(plane, case.fields * [plane.regular_repr])
        layer = layers.R2Conv(field, field, case.kernel, padding=case.kernel // 2, bias=False, initialize=False)
        nn.init.normal_(layer.weights, std=(case.channels * case.kernel**2) ** -0.5)
        layer.to(setting.device, setting.dtype)
        atoms = PeerBasis(library, group, case.kernel).atoms.double().to(setting.device)

    def expand() -> Tensor:
        return layer.expand_parameters()[0]

    def reference(_: Float[Tensor, " w"]) -> Float[Tensor, "og ih ky kx"]:
        coefficients = solve_coefficients(expand().detach().double(), atoms)
        return naive_weight(coefficients, atoms, group)

    def run(planes: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return layer(layers.GeometricTensor(planes, field)).tensor

    return Subject(module=layer, weights=(layer.weights,), run=run, reference=reference, expand=expand)


SUBJECTS: Mapping[str, Builder] = {
    "conv2d": plain,
    "pass": plain,
    "copy": copied,
    "orbitconv": own,
    "dense": partial(own, fourier=False),
    "fourier": partial(own, fourier=True),
    "separable": separable,
    "folded": folded,
    **{library: partial(peer, library) for library in PEERS},
}
"""Every layer that cases may name."""


def _basis_name(case: Case) -> str:
    return f"spectral-{case.group}-k{case.kernel}"


def _on_group(layer: nn.Module, case: Case) -> Callable[[Tensor], Tensor]:
    """A layer of feature maps on the group as a layer of planes: views before and after."""
    return lambda planes: layer(planes.unflatten(1, (case.fields, -1))).flatten(1, 2)
