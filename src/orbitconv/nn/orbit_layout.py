"""Laying features out by the orbit of one of them: where a learned group acts transitively, that is the pixel grid."""

import math
import warnings
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import check_finite, check_positive

# Largest deviation of the Gram matrix of an orbit from the identity, `||L L^T - 1||_F / sqrt(|G|)`.
_ORTHONORMAL = 0.1


def orbit_rows(
    start: Float[Tensor, "... p"], generators: Float[Tensor, "k p p"], orders: Sequence[int]
) -> Float[Tensor, "... g p"]:
    """Every transformed copy of some vectors: `L_g v = M_1^g_1 M_2^g_2 ... v`, group elements in row-major order.

    The powers of a generator are taken by doubling: `log2(N)` products with matrices, and none of the group's |G|
    matrices is ever formed.
    """
    rows = start[..., None, :]
    for generator, order in zip(reversed(list(generators)), reversed(list(orders)), strict=True):
        power, chain = generator, rows[..., None, :, :]  # (..., powers, elements so far, p)
        while chain.shape[-3] < order:
            chain = torch.cat([chain, chain[..., : order - chain.shape[-3], :, :] @ power.mT], dim=-3)
            power = power @ power
        rows = chain.flatten(-3, -2)
    return rows


def orbit_layout(
    generators: Float[Tensor, "k p p"], orders: Sequence[int], seed: int | Float[Tensor, " p"] = 0
) -> Float[Tensor, "g p"]:
    """The orbit of one feature under a group: row g is `L_g seed`.

    For shifts of images and one pixel as seed, the rows are the pixels in the order of the grid, wherever they stand in
    the vector of features.

    Args:
        generators: Commuting matrices M_k that generate the group.
        orders: Order of each.
        seed: Index of a feature, or a vector of norm one.

    Returns:
        Matrix of |G| rows, product of the orders.

    Raises:
        TypeError: If the generators are no tensor of real numbers.
        ValueError: If shapes disagree, the seed is out of range, or the rows are far from orthonormal: then the seed is
            not moved to |G| different places.
    """
    orders = tuple(orders)
    check_generators("orbit_layout", generators, orders)
    rows = orbit_rows(seed_vector(generators, seed), generators, orders)
    gram = rows @ rows.T
    error = float((gram - torch.eye(len(gram)).to(gram)).norm()) / math.sqrt(len(gram))
    if error > _ORTHONORMAL:
        raise ValueError(
            f"orbit_layout expects a seed whose {len(rows)} transformed copies are orthonormal, got copies that are "
            f"off by {error:.2g} (||L L^T - 1||_F / sqrt(|G|)). Take another seed, for example ClosedGroup.origin, or "
            "smaller orders; where the group moves no feature to that many places, take OrbitLinear(filters='dense')."
        )
    return rows


def seed_vector(generators: Float[Tensor, "k p p"], seed: int | Float[Tensor, " p"]) -> Float[Tensor, " p"]:
    """The seed of a layout as a vector of features."""
    size = generators.shape[-1]
    if isinstance(seed, Tensor):
        if tuple(seed.shape) != (size,):
            raise ValueError(f"An orbit layout expects a seed of {size} features, got shape {tuple(seed.shape)}.")
        return seed.to(generators)
    if not 0 <= seed < size:
        raise ValueError(f"An orbit layout expects a seed from 0 to {size - 1}, got {seed}.")
    return torch.eye(size, dtype=generators.dtype, device=generators.device)[seed]


def closing_error(rows: Float[Tensor, "g p"], generators: Float[Tensor, "k p p"], orders: Sequence[int]) -> float:
    """How far generators are from moving a layout on by one along their axes, ends to starts.

    Largest `||M_k applied to the rows - the rows rolled along axis k||_F / sqrt(|G|)`; 0 if the generators commute and
    close on the layout.
    """
    grid = rows.unflatten(0, tuple(orders))
    moved = [grid @ generator.mT - grid.roll(-1, axis) for axis, generator in enumerate(generators)]
    return max(float(difference.norm()) for difference in moved) / math.sqrt(len(rows))


def check_generators(owner: str, generators: Tensor, orders: tuple[int, ...]) -> None:
    """Refuse what cannot be the generators of a group that acts on features."""
    if not isinstance(generators, Tensor) or not generators.is_floating_point():
        kind = f"a tensor of {generators.dtype}" if isinstance(generators, Tensor) else type(generators).__name__
        raise TypeError(
            f"{owner} expects generators as a floating-point tensor of shape (k, features, features), got {kind}. "
            "Stack the matrices with torch.stack and convert them with double()."
        )
    shape = tuple(generators.shape)
    if len(shape) != 3 or shape[1] != shape[2] or shape[0] != len(orders) or not orders:
        raise ValueError(
            f"{owner} expects generators of shape (k, features, features), one for each of the {len(orders)} orders, "
            f"got {shape}. Stack the matrices with torch.stack."
        )
    check_positive(owner, **{f"orders[{k}]": order for k, order in enumerate(orders)})
    check_finite(owner, "generators", generators)


@final
class OrbitLayout(nn.Module):
    """Read features in the order of an orbit: `y[g] = <x, L_g seed>`.

    A gather where the orbit moves feature onto feature, a matrix product otherwise. After it the group axes are a grid,
    and ordinary layers apply.

    Args:
        generators: Commuting orthogonal matrices that generate the group.
        orders: Order of each; at most the number of features in all.
        seed: Index of a feature, or a vector of norm one.
        device: Device of the layout; that of the generators by default.
        dtype: Dtype of a layout that is a matrix.

    Shapes:
        (..., features) -> (..., *orders)

    Raises:
        ValueError: If `orbit_layout` refuses; at call time, if the last axis has another length.
    """

    index: Tensor | None
    rows: Tensor | None

    def __init__(
        self,
        generators: Float[Tensor, "k p p"],
        orders: Sequence[int],
        seed: int | Float[Tensor, " p"] = 0,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.orders, self.num_features = tuple(orders), generators.shape[-1]
        rows = orbit_layout(generators.detach(), self.orders, seed)
        if len(rows) < self.num_features:
            warnings.warn(
                f"OrbitLayout: the orbit of the seed spans {len(rows)} of {self.num_features} features; layers "
                "behind it do not see the others.",
                stacklevel=2,
            )
        index = rows.argmax(1)
        gathers = torch.equal(rows, torch.zeros_like(rows).scatter_(1, index[:, None], 1.0))
        device = generators.device if device is None else device
        self.register_buffer("index", index.to(device) if gathers else None)
        self.register_buffer("rows", None if gathers else rows.to(device, dtype or torch.get_default_dtype()))

    def forward(self, x: Float[Tensor, "... p"]) -> Float[Tensor, "..."]:
        """Lay `x` out."""
        if x.shape[-1] != self.num_features:
            raise ValueError(
                f"OrbitLayout expects {self.num_features} features at the last axis, got input of shape "
                f"{tuple(x.shape)}."
            )
        y = x[..., self.index] if self.rows is None else x @ self.rows.T
        return y.unflatten(-1, self.orders)

    def transpose(self, y: Float[Tensor, "..."]) -> Float[Tensor, "... p"]:
        """The features (..., features) that a function on the group stands for: sum over g of `y[g] L_g seed`."""
        y = y.flatten(-len(self.orders))
        if self.rows is not None:
            return y @ self.rows
        assert self.index is not None
        return y.new_zeros(*y.shape[:-1], self.num_features).index_copy(-1, self.index, y)

    def extra_repr(self) -> str:
        """Sizes, for `print`."""
        return f"{self.num_features}, orders={self.orders}, {'gather' if self.rows is None else 'product'}"
