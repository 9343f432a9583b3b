"""How group elements act on images and on feature maps."""

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from orbitconv.groups.grid import grid_permutation, is_exact
from orbitconv.groups.group import Group
from orbitconv.groups.spline import PaddingMode, rotate_images


def act_image(
    images: Shaped[Tensor, "*b h w"],
    group: Group,
    g: int,
    *,
    order: int = 3,
    padding_mode: PaddingMode = "zeros",
    fill: float = 0,
) -> Shaped[Tensor, "*b h w"]:
    """Transform the plane: (T_g f)(x) = f(g^-1 x), about the centre of the array.

    Exact, a permutation of pixels, wherever `g` maps the grid to itself; a spline elsewhere.

    Args:
        images: Images of any leading shape.
        group: The group.
        g: Group element.
        order: Order of the spline where one is needed: 1, 3 or 5; 0 takes the nearest pixel, for masks of any dtype.
        padding_mode: What a spline sees outside the image: `"zeros"` or `"reflect"`.
        fill: Value outside the image where `padding_mode` is `"zeros"`.

    Returns:
        Transformed images of the same shape.
    """
    group.check_element(g)
    height, width = images.shape[-2:]
    if is_exact(group, g, height, width):
        index = torch.from_numpy(grid_permutation(group, g, height, width).copy()).to(images.device)
        return images.flatten(-2).index_select(-1, index).reshape(images.shape)
    mirrored = images.flip(-1) if group.mirrors[g] else images
    angle = float(group.angles[g])
    flat = mirrored.reshape(math.prod(images.shape[:-2]), 1, height, width)
    return rotate_images(flat, angle, order=order, padding_mode=padding_mode, fill=fill).reshape(images.shape)


def act_regular(features: Shaped[Tensor, "..."], group: Group, g: int, *, dim: int = 2) -> Shaped[Tensor, "..."]:
    """Permute the group axis by the regular representation: (T_g F)(h) = F(g^-1 h).

    Args:
        features: Tensor with an axis of length |G|.
        group: The group.
        g: Group element.
        dim: The group axis; 2 in features of shape (batch, channels, group, height, width).

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: If the axis does not have length |G|.
    """
    group.check_element(g)
    if features.shape[dim] != group.order:
        raise ValueError(
            f"act_regular expects a group axis of length {group.order} ({group}), got input of shape "
            f"{tuple(features.shape)} with {features.shape[dim]} at dim {dim}."
        )
    index = torch.from_numpy(group.quotient[g].copy()).to(features.device)
    return features.index_select(dim, index)


def act_features(
    features: Float[Tensor, "b c g h w"],
    group: Group,
    g: int,
    *,
    order: int = 3,
    padding_mode: PaddingMode = "zeros",
) -> Float[Tensor, "b c g h w"]:
    """Transform feature maps on the group: turn every plane, as `act_image` does, and permute the group axis."""
    turned = act_image(features, group, g, order=order, padding_mode=padding_mode)
    return act_regular(turned, group, g)
