"""The receptive field of a network, measured: the margin that tiles need."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

_SHORT, _LONG = 128, 2048
"""Length of the strip of pixels that is tried first, and of the longest."""
_NARROW, _WIDE = 32, 256
"""Width of the strip that is tried first, and of the widest."""
_EXACT = 1e-4
"""Share of the largest answer that rounding explains."""


@dataclass(frozen=True)
class Reach:
    """How far, in pixels along rows or columns, the output of a network depends on its input, and how it moves along.

    A shift of the input by the stride shifts the output likewise.
    """

    radius: int
    stride: int


@torch.no_grad()
def reach_of(network: nn.Module, channels: int) -> Reach:
    """Measure how far the output of a float32 network for every pixel depends on its input; it is not changed.

    One half of a strip is made NaN: whatever depends on it becomes NaN too, even through a weight of zero. For layers
    that stop NaN, such as `torch.where`, the half is replaced by other numbers as well. The stride is the ratio of the
    input to the smallest planes inside the network, and is checked.
    """
    network = copy.deepcopy(network).cpu().eval()
    draw = torch.Generator().manual_seed(0)

    def strip(length: int, width: int) -> Float[Tensor, "1 c h w"]:
        return torch.rand(1, channels, length, width, generator=draw)

    of_length = partial(strip, width=_width(network, strip))
    length, radius = _SHORT, None
    while radius is None and length <= _LONG:
        radius, length = _radius(network, of_length(length)), 2 * length
    if radius is not None:
        stride = _stride(network, (of_length(_SHORT), of_length(2 * _SHORT)))
        if _moves(network, of_length(2 * radius + 6 * stride), stride, radius):
            # A half that begins elsewhere between two strides is seen from up to a stride further away.
            return Reach(radius + stride - 1, stride)
    raise ValueError(
        "predict cannot find out how far the answers of this network depend on its input, as of networks with layers "
        "that see the whole picture, so tiles would change its answer. Give a margin in pixels, or a tile that is no "
        "smaller than the picture."
    )


def _width(network: nn.Module, strip: Callable[[int, int], Tensor]) -> int:
    """A width that the network takes."""
    width = _NARROW
    while width < _WIDE:
        try:
            network(strip(_SHORT, width))
        except (RuntimeError, ValueError):
            width *= 2
        else:
            break
    return width


def _radius(network: nn.Module, image: Float[Tensor, "1 c h w"]) -> int | None:
    """How far the second half of a strip is seen in the first, along either axis; None if up to its end."""
    middle = image.shape[2] // 2
    radius = 0
    for axis in (2, 3):
        upright = image if axis == 2 else image.mT
        half = (slice(None),) * axis + (slice(middle, None),)
        lost, other = upright.clone(), upright.clone()
        lost[half] = torch.nan
        other[half] = 1 - other[half]
        said, of_lost, of_other = (network(one) for one in (upright, lost, other))
        differs = of_lost.isnan() | ((of_other - said).abs() > _EXACT * said.abs().max())
        rows = differs.movedim(axis, 0).flatten(1).any(1).nonzero()
        first = int(rows[0]) if len(rows) else middle
        if first == 0:
            return None
        radius = max(radius, middle - first)
    return radius


def _stride(network: nn.Module, strips: Sequence[Float[Tensor, "1 c h w"]]) -> int:
    """The length of a strip over that of the shortest planes inside the network: those that grow with the strip."""
    lengths: list[list[int]] = []

    def look(_module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim >= 4:
            lengths[-1].append(output.shape[-2])

    hooks = [module.register_forward_hook(look) for module in network.modules()]
    for image in strips:
        lengths.append([image.shape[2]])
        network(image)
    for hook in hooks:
        hook.remove()
    return strips[0].shape[2] // min(short for short, long in zip(*lengths, strict=True) if short < long)


def _moves(network: nn.Module, image: Float[Tensor, "1 c h w"], stride: int, radius: int) -> bool:
    """Whether the answer moves along with a picture that moves by a stride."""
    upper, lower = network(image[:, :, :-stride]), network(image[:, :, stride:])
    inside = slice(radius + stride, upper.shape[2] - radius)
    above, below = upper[:, :, inside], lower[:, :, inside.start - stride : inside.stop - stride]
    return bool((above - below).abs().max() <= _EXACT * above.abs().max())
