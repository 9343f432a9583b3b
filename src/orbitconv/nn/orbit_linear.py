"""A layer of an MLP whose rows are the orbits of a few filters under a learned group: weight tying without a grid."""

import math
from collections.abc import Sequence
from typing import Literal, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import check_positive
from orbitconv.nn.orbit_layout import (
    OrbitLayout,
    check_generators,
    closing_error,
    orbit_layout,
    orbit_rows,
    seed_vector,
)

_CORRELATE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}

# Relative error up to which generators count as closed for a window, and as exact for a Fourier transform.
_CLOSES, _REGULAR = 0.1, 1e-5


@final
class OrbitLinear(nn.Module):
    """Correlate features with a few filters at every element of a learned group.

    y[b, o, g] = bias[o] + sum over i of <x[b, i], L_g filter[o, i]>, and L_g = M_1^g_1 M_2^g_2 ... for commuting
    generators M_k, as they come from `orbitconv.learn.close_group`. Transforming x by M_k moves y on by one along
    axis k, if M_k^orders[k] = 1.

    Filters are either whole (`"dense"`: one number for each feature), or local: combinations of few group elements
    applied to one feature, filter[o, i] = sum over h in a window around 0 of weight[o, i, h] L_h seed. Local filters
    lay the features out by the orbit of the seed and correlate that grid with a small window. For the cyclic shifts of
    images they are `torch.nn.Conv2d` with circular padding, whatever the order of the pixels.

    Args:
        in_channels: Channels of the input; the group acts on each in the same way.
        out_channels: Number of filters.
        generators: Commuting orthogonal matrices, one for each group axis.
        orders: Order of each generator.
        filters: `"dense"` or `"local"`.
        kernel_size: Local only: odd side of the window along every group axis, in powers of a generator.
        seed: Index of a feature, or a vector of norm one, whose orbit is the layout. It makes no difference to dense
            filters, but for speed: where there is a layout, they are correlated by Fourier transforms.
        padding_mode: Local only: `"circular"`, the group's own; or `"zeros"`, which forgets that the axes close: for
            images with a border, laid out from its corner.
        bias: Whether to add a bias for each filter, the same at all group elements.
        device: Device of the parameters; that of the generators by default.
        dtype: Dtype of parameters and generators; torch's default by default.

    Shapes:
        (batch, in_channels, ...) -> (batch, out_channels, *orders); all that follows the channels is flattened to the
        features. With one channel, (batch, features) will do.

    Raises:
        TypeError: If the generators are no tensor of real numbers.
        ValueError: If an argument is out of range, or, for local filters, the orbit of the seed is no layout or the
            generators do not close on it, or, for dense filters, the generators change norms; at call time, if the
            input has another shape.

    Source: Diaconu & Worrall (2019), and the experiment "MLP to CNN" of its talk.
    """

    layout: OrbitLayout | None
    generators: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        generators: Float[Tensor, "k p p"],
        orders: Sequence[int],
        *,
        filters: Literal["dense", "local"] = "local",
        kernel_size: int = 5,
        seed: int | Float[Tensor, " p"] = 0,
        padding_mode: Literal["circular", "zeros"] = "circular",
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        orders = tuple(orders)
        check_positive("OrbitLinear", in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size)
        check_generators("OrbitLinear", generators, orders)
        if filters not in {"dense", "local"} or padding_mode not in {"circular", "zeros"}:
            raise ValueError(
                "OrbitLinear expects filters 'dense' or 'local' and padding_mode 'circular' or 'zeros', got "
                f"{filters!r} and {padding_mode!r}."
            )
        self.in_channels, self.out_channels, self.orders = in_channels, out_channels, orders
        self.num_features, self.padding_mode, self.is_local = generators.shape[-1], padding_mode, filters == "local"
        generators = generators.detach()
        factory = {
            "device": generators.device if device is None else device,
            "dtype": dtype or torch.get_default_dtype(),
        }
        if filters == "local":
            _check_window(generators, orders, kernel_size, seed, padding_mode)
            self.layout = OrbitLayout(generators, orders, seed, **factory)
            shape = (kernel_size,) * len(orders)
        else:
            _check_norms(generators)
            regular = _is_regular(generators, orders, seed)
            self.layout = OrbitLayout(generators, orders, seed, **factory) if regular else None
            shape = (self.num_features,)
        kept = None if self.layout else torch.empty_like(generators, **factory).copy_(generators)
        self.register_buffer("generators", kept)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, *shape, **factory))
        self.bias = nn.Parameter(torch.empty(out_channels, **factory)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights and bias as `torch.nn.Conv2d` does."""
        bound = 1 / math.sqrt(self.weight[0].numel())
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b o ..."]:
        """Correlate `x` with the orbits of all filters."""
        if x.ndim == 2 and self.in_channels == 1:
            x = x[:, None]
        if x.ndim < 3 or x.shape[1] != self.in_channels or math.prod(x.shape[2:]) != self.num_features:
            raise ValueError(
                f"OrbitLinear expects input of shape (batch, {self.in_channels}, ...) with {self.num_features} "
                f"features in each channel, got {tuple(x.shape)}."
            )
        x = x.flatten(2)
        if not len(x):  # there is no Fourier transform of nothing; gradients are zero
            return (x.sum() * self.weight.sum()).expand(0, self.out_channels, *self.orders)
        if self.is_local:
            return self._correlate_window(x)
        y = self._correlate_orbits(x) if self.layout is None else self._correlate_layout(x)
        return y if self.bias is None else y + self.bias.reshape(-1, *(1,) * len(self.orders))

    def filters(self) -> Float[Tensor, "o i p"]:
        """The filters as features: with circular padding, the output at group element g is `<x, L_g filter>`."""
        if not self.is_local or self.layout is None:
            return self.weight
        grid = self.weight.new_zeros(*self.weight.shape[:2], *self.orders)
        axes = tuple(range(2, self.weight.ndim))
        side = self.weight.shape[-1]
        grid[(..., *(slice(side),) * len(axes))] = self.weight
        reach = side // 2
        return self.layout.transpose(grid.roll((-reach,) * len(axes), axes))

    def _correlate_window(self, x: Float[Tensor, "b i p"]) -> Float[Tensor, "b o ..."]:
        """Local filters: a small window on the group axes."""
        assert self.layout is not None
        grid, reach, axes = self.layout(x), self.weight.shape[-1] // 2, len(self.orders)
        if self.padding_mode == "circular":
            grid = F.pad(grid, (reach,) * 2 * axes, mode="circular")
        return _CORRELATE[axes](grid, self.weight, self.bias, padding=reach if self.padding_mode == "zeros" else 0)

    def _correlate_layout(self, x: Float[Tensor, "b i p"]) -> Float[Tensor, "b o ..."]:
        """Dense filters on a layout: y(g) = sum over h of weight(h) x(g + h), a product of Fourier transforms."""
        assert self.layout is not None
        axes = tuple(range(2, 2 + len(self.orders)))
        wide = torch.promote_types(x.dtype, torch.float32)  # there is no transform of shorter numbers
        grid, weight = (torch.fft.rfftn(self.layout(z).to(wide), dim=axes) for z in (x, self.weight))
        product = torch.einsum("bi...,oi...->bo...", grid, weight.conj())
        return torch.fft.irfftn(product, self.orders, dim=axes).to(x.dtype)

    def _correlate_orbits(self, x: Float[Tensor, "b i p"]) -> Float[Tensor, "b o ..."]:
        """Dense filters without a layout: one product with all their transformed copies."""
        assert self.generators is not None
        rows = orbit_rows(self.weight, self.generators, self.orders)  # (o, i, g, p)
        return torch.einsum("bip,oigp->bog", x, rows).unflatten(2, self.orders)

    def extra_repr(self) -> str:
        """Channels and options, for `print`."""
        window = f", kernel_size={self.weight.shape[-1]}, padding_mode={self.padding_mode}" if self.is_local else ""
        kind = "local" if self.is_local else "dense"
        return f"{self.in_channels}, {self.out_channels}, orders={self.orders}, filters={kind}{window}"


def _check_window(
    generators: Tensor, orders: tuple[int, ...], kernel_size: int, seed: int | Tensor, padding_mode: str
) -> None:
    """Refuse windows that do not fit the group, and generators that do not close where they should."""
    if kernel_size % 2 == 0 or kernel_size > min(orders) or len(orders) not in _CORRELATE:
        raise ValueError(
            f"OrbitLinear with local filters expects an odd kernel_size that no order is smaller than, and one to "
            f"three generators, got kernel_size={kernel_size} and orders {orders}."
        )
    error = closing_error(orbit_layout(generators, orders, seed), generators, orders)
    if padding_mode == "circular" and error > _CLOSES:
        raise ValueError(
            f"OrbitLinear with circular padding expects generators that commute and close with orders {orders}, got "
            f"ones that are off by {error:.2g} on the layout. Close them with orbitconv.learn.close_group, or take "
            "padding_mode='zeros'."
        )


def _check_norms(generators: Tensor) -> None:
    """Refuse matrices under which filters would grow or shrink from one group element to the next."""
    error = float((generators @ generators.mT @ generators - generators).norm() / generators.norm())
    if not error <= _CLOSES:
        raise ValueError(
            "OrbitLinear expects generators that keep norms, but for what they lose (M M^T M = M), got ones that are "
            f"off by {error:.2g}. Take them from orbitconv.learn.close_group or from fit_action with unitary=True."
        )


def _is_regular(generators: Tensor, orders: tuple[int, ...], seed: int | Tensor) -> bool:
    """Whether the orbit of the seed is all features, each once, and the generators only move it on."""
    if math.prod(orders) != generators.shape[-1]:
        return False
    rows = orbit_rows(seed_vector(generators, seed), generators, orders)
    gram = rows @ rows.T
    exact = float((gram - torch.eye(len(gram)).to(gram)).abs().max()) < _REGULAR
    return exact and closing_error(rows, generators, orders) < _REGULAR
