"""Group convolutions whose filters look at the nearest turns only: one convolution in |G| blocks.

A filter with coefficients at M of the |G| relative elements needs M planes of every input field for an output plane,
not |G|. The planes that each output element needs are copied side by side, and a convolution in |G| blocks has |G| / M
times fewer multiply-adds than the dense one. Values are those of the dense product with zeros at the other elements.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from orbitconv.groups import Group


def near_elements(owner: str, group: Group, size: int) -> tuple[int, ...]:
    """Relative elements of a support in orientation: the nearest turns, and the mirror followed by each of them."""
    if isinstance(size, bool) or not isinstance(size, int | np.integer):
        raise TypeError(f"{owner} expects group_kernel as an odd integer or None, got {size!r}.")
    if size < 1 or size % 2 == 0 or size > group.num_rotations:
        raise ValueError(
            f"{owner} expects group_kernel as an odd number from 1 to the {group.num_rotations} turns of {group}, so "
            f"that it has a middle and takes each turn once, got {size}."
        )
    steps = (group.rotation_steps + size // 2) % group.num_rotations
    return tuple(np.flatnonzero(steps < size).tolist())


def needed_planes(group: Group, near: tuple[int, ...], in_channels: int) -> Int[Tensor, " gim"]:
    """Which input planes, (channels, group), each output element needs: g needs those of h = g m for near m."""
    elements = torch.from_numpy(group.product[:, list(near)].copy())
    channels = torch.arange(in_channels, device="cpu") * group.order
    return (elements[:, None, :] + channels[None, :, None]).flatten()


def spread(
    coefficients: Float[Tensor, "o i near d"], near: Int[Tensor, " near"], order: int
) -> Float[Tensor, "o i m d"]:
    """Coefficients at all relative elements, zero where there are none."""
    shape = (*coefficients.shape[:2], order, coefficients.shape[3])
    return coefficients.new_zeros(shape).index_copy(2, near, coefficients)


def expand_local(
    coefficients: Float[Tensor, "o i near d"], atoms: Float[Tensor, "g d ky kx"]
) -> Float[Tensor, "go im ky kx"]:
    """Filters of the convolution in blocks: filter[g, o, i, m] = sum over d of coefficients[o, i, m, d] * atoms[g, d].

    There are as many blocks as elements, times blocks of channels.
    """
    return torch.einsum("oimd,gdyx->goimyx", coefficients, atoms).flatten(2, 3).flatten(0, 1)
