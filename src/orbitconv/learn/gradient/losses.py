"""The three losses that make free atoms a filter basis that turns.

Draw two elements g1 and g2 and put `delta = g2 g1^-1`. If the atoms are turned copies of each other, then turning an
image and an atom together turns the response, `(T_r f) * e[r h] = T_r (f * e[h])`. With `r = delta`, `T_g1 f` in place
of `f`, and `h = delta^-1 g1`:

    T_delta( T_g1 f * e[delta^-1 g1] ) = T_g2 f * e[g1].

The right-hand side turns the image only, the left-hand side the response; both element pairs (image, atom) run over the
whole group.

Source: Diaconu & Worrall (2019), section 3.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.precision import without_autocast
from orbitconv.groups import Group
from orbitconv.learn.gradient.rotators import ImageRotator

Norm = Literal["l1", "l2"]


@dataclass(frozen=True)
class Pair:
    """Images turned for one draw of two elements: all that the losses of any atoms need, and no atom in it.

    Turning is linear, so the turned response is the response to the turned patches, and the rotator is out of reach
    of the gradient.

    Args:
        source: The element delta^-1 g1, whose atoms the turned responses come from.
        target: The element g1.
        turned: `T_delta` of every pixel's one-pixel filter applied to `T_g1 f`.
        expected: Every pixel's one-pixel filter applied to `T_g2 f`.
        image: `T_g2 f`.
    """

    source: int
    target: int
    turned: Float[Tensor, "n p h2 w2"]
    expected: Float[Tensor, "n p h2 w2"]
    image: Float[Tensor, "n 1 h w"]

    def equivariance(self, atoms: Float[Tensor, "g d ky kx"], norm: Norm = "l1") -> Float[Tensor, ""]:
        """The equivariance loss of this draw, see `equivariance_loss`."""
        both = torch.cat([atoms[self.source].flatten(1), -atoms[self.target].flatten(1)], dim=1)
        patches = torch.cat([central(self.turned), central(self.expected)], dim=1)
        return _mean(F.conv2d(patches, both[:, :, None, None]), norm)

    def reconstruction(self, atoms: Float[Tensor, "g d ky kx"], norm: Norm = "l1") -> Float[Tensor, ""]:
        """The reconstruction loss of this draw, see `reconstruction_loss`."""
        height, width = atoms.shape[-2:]
        encode, decode = atoms[self.source].flatten(1), atoms[self.target].flatten(1)
        # Decoded image at x: sum over pixels p, q of (encode^T decode)[q, p] times the turned response of q at x - p.
        kernel = (encode.T @ decode / min(decode.shape)).unflatten(1, (height, width)).flip(-2, -1)
        top, left = (size // 6 for size in self.image.shape[-2:])
        padding = max(height - 1 - top, 0), max(width - 1 - left, 0)
        decoded = F.conv2d(_cut(self.turned, top - height + 1, left - width + 1), kernel[None], padding=padding)
        return _mean(decoded - _cut(self.image, top, left), norm)


@without_autocast
def draw_pair(
    images: Float[Tensor, "b c h w"], kernel_size: int, group: Group, g1: int, g2: int, rotate: ImageRotator
) -> Pair:
    """Turn images, each channel as a grey one, for one draw of two elements; delta = g2 g1^-1."""
    group.check_element(g1)
    group.check_element(g2)
    if images.ndim != 4 or min(images.shape[-2:]) < kernel_size:
        raise ValueError(
            f"The losses expect images of shape (batch, channels, height, width), at least {kernel_size} pixels a "
            f"side, got {tuple(images.shape)}."
        )
    delta = int(group.product[g2, group.inverse[g1]])
    planes = images.detach().flatten(0, 1)[:, None]
    image = rotate(planes, group, g2)
    return Pair(
        source=int(group.product[group.inverse[delta], g1]),
        target=g1,
        turned=rotate(_patches(rotate(planes, group, g1), kernel_size), group, delta),
        expected=_patches(image, kernel_size),
        image=image,
    )


@without_autocast
def equivariance_loss(
    atoms: Float[Tensor, "g d ky kx"],
    images: Float[Tensor, "b c h w"],
    group: Group,
    g1: int,
    g2: int,
    rotate: ImageRotator,
    norm: Norm = "l1",
) -> Float[Tensor, ""]:
    """Difference of `T_delta(T_g1 f * e[delta^-1 g1])` and `T_g2 f * e[g1]` over the central region.

    Args:
        atoms: Atoms at every group element.
        images: Images; every channel counts as a grey image.
        group: The group.
        g1: First element.
        g2: Second element; delta = g2 g1^-1.
        rotate: Turns images and responses, see `orbitconv.learn.image_rotator`.
        norm: `"l1"`, the mean absolute difference, or `"l2"`, the mean square.

    Returns:
        The loss.
    """
    return draw_pair(images, atoms.shape[-1], group, g1, g2, rotate).equivariance(atoms, norm)


@without_autocast
def reconstruction_loss(
    atoms: Float[Tensor, "g d ky kx"],
    images: Float[Tensor, "b c h w"],
    group: Group,
    g1: int,
    g2: int,
    rotate: ImageRotator,
    norm: Norm = "l1",
) -> Float[Tensor, ""]:
    """Difference of `T_g2 f` and what the transposed convolution with `e[g1]` decodes from the turned responses.

    It keeps the atoms from all becoming the few filters that turn best. The decoded image is divided by the number of
    pixels of a filter (of atoms, if these are fewer), which is right for orthonormal atoms: if they are complete too,
    only the error of the turning remains. The arguments are those of `equivariance_loss`.
    """
    return draw_pair(images, atoms.shape[-1], group, g1, g2, rotate).reconstruction(atoms, norm)


@without_autocast
def orthogonality_loss(atoms: Float[Tensor, "g d ky kx"], norm: Norm = "l1") -> Float[Tensor, ""]:
    """How far the atoms of every element are from orthonormal: sum over g of mean |B_g B_g^T - 1|.

    With "l2" it is the mean square. More atoms than pixels cannot be orthonormal; they shall be a tight frame then,
    `B_g^T B_g = 1`.
    """
    flat = atoms.flatten(2)
    gram = flat @ flat.mT if flat.shape[1] <= flat.shape[2] else flat.mT @ flat
    return len(flat) * _mean(gram - torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device), norm)


def central(planes: Float[Tensor, "*b h w"]) -> Float[Tensor, "*b h2 w2"]:
    """The central region: a sixth of height and width cut away from every side, rounded down."""
    return _cut(planes, planes.shape[-2] // 6, planes.shape[-1] // 6)


def _cut(planes: Float[Tensor, "*b h w"], top: int, left: int) -> Float[Tensor, "*b h2 w2"]:
    """Planes without as many rows above and below, and columns left and right; none if negative."""
    height, width = planes.shape[-2:]
    top, left = max(top, 0), max(left, 0)
    return planes[..., top : height - top, left : width - left]


def _patches(planes: Float[Tensor, "n 1 h w"], kernel_size: int) -> Float[Tensor, "n p h2 w2"]:
    """Responses of the one-pixel filters: the plane, shifted by every pixel of the kernel."""
    return planes[:, 0].unfold(1, kernel_size, 1).unfold(2, kernel_size, 1).flatten(3).movedim(-1, 1)


def _mean(difference: Tensor, norm: Norm) -> Float[Tensor, ""]:
    if norm not in {"l1", "l2"}:
        raise ValueError(f"The losses expect norm 'l1' or 'l2', got {norm!r}.")
    return difference.abs().mean() if norm == "l1" else difference.square().mean()
