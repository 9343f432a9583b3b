"""Which product a call of a layer takes: the one place that chooses.

The products differ by rounding only. The choice follows prices of their parts, fitted on one machine, times what this
machine is measured to take of that (`calibration`); it is the same for every call of one size, in this process and,
since the measurement is cached, in later ones.
"""

import math
import sys
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv.nn.conv import BasisConv2d, is_channels_last, is_dense
from orbitconv.nn.products.cached import is_kept
from orbitconv.nn.products.calibration import fused_shares_of_this_machine, shares_of_this_machine
from orbitconv.nn.products.fourier import Work, held, images_at_a_time
from orbitconv.nn.products.frequencies import Plan
from orbitconv.nn.products.gpu import layer as gpu
from orbitconv.nn.products.kernel import layer as fused
from orbitconv.nn.products.kernel.plain import storage_of
from orbitconv.nn.products.kernel.structure import Structure
from orbitconv.nn.products.recompute import is_recorded

ALL = sys.maxsize
"""A number of images that holds all, whatever the batch."""
_MOST_PLANS = 256
"""Sizes of input for which a layer remembers its choice."""
PRICES = {
    True: ((1e6, 90), (4e6, 130), (8e6, 160)),
    False: ((1e6, 160), (4e6, 300), (8e6, 350)),
}
"""Multiply-adds of a dense convolution in the time of one number of `z`, from mixing to its sum over atoms: with and
without gradients, where so many numbers, at most, are worked on at a time. Where one image has more, the dense product
is taken.
"""
TRAFFIC_PRICE = 50
"""The same for arranging one number of input or output."""
WEIGHT_PRICE = 78
"""The same for one number of the expanded weight: expanding it, handing it to the convolution, and its gradient."""
CALL_PRICE = 5e7
"""The same for what a call costs at any size; about equal for both products."""
LAST = 0.7
"""Time of a dense convolution of planes that are channels last, over that of planes that are not."""
AGAIN = 1.4
"""Time of a training step whose forward pass runs twice, over that of one."""
MARGIN = 0.95
"""Share of the dense product's time that the Fourier product must be expected to take at most."""


class Choice(NamedTuple):
    """A product, and why.

    Args:
        product: `"dense"`: one convolution with expanded filters; `"local"`: the same in blocks, one for each element;
            `"fourier"`: with the group axis in Fourier space; `"fused"`: the same in one compiled function, filters
            first; `"triton"`: that order on a GPU.
        together: How many images the Fourier product takes at a time.
        reason: Why, as part of a sentence.
        structure: What the fused product knows of the basis.
        plan: What the product in Triton knows of it.
    """

    product: Literal["dense", "fourier", "fused", "local", "triton"]
    together: int
    reason: str
    structure: Structure | None = None
    plan: Plan | None = None


def choose(layer: Any, planes: Float[Tensor, "b ih h w"]) -> Choice:
    """The product for a call."""
    if layer.group_kernel is not None and layer.fourier is False:
        return Choice("local", 0, "its filters look at the nearest turns only")
    if layer.fourier is False:
        return _dense("fourier=False or recompute=True leaves no other")
    if is_recorded():  # which must not tell sizes apart
        return Choice("fourier", ALL, "fourier=True asks for it") if layer.fourier is True else _RECORDED
    if layer.fourier == "auto" and not _covers(layer, planes):
        return _dense("planes are smaller than the kernel, which torch refuses")
    if layer.fourier == "auto" and planes.is_cuda and not isinstance(plan := gpu.offer(layer, planes), str):
        return Choice("triton", 0, "ORBITCONV_TRITON=1 asks for it", plan=plan)
    if layer.fourier == "auto" and (reason := reason_not_measured(layer, planes)):
        return _dense(reason)
    learns = torch.is_grad_enabled()
    known = fused.offer(layer, planes) if layer.fourier == "auto" else ""
    if not isinstance(known, str) and _fused_share(layer, planes, known, learns=learns) < 1:
        return Choice("fused", 0, _FUSED, known)
    if layer.fourier == "auto" and storage_of(planes) != torch.float32:
        return _dense("torch's own Fourier product is for float32")
    if layer.work is None:
        return _dense("the group is not cyclic, and has no Fourier product in torch")
    key = planes.shape, is_channels_last(planes), learns, layer.fourier
    plan = layer.plans.get(key)
    if plan is None:
        if len(layer.plans) >= _MOST_PLANS:
            layer.plans.clear()
        plan = layer.plans[key] = _plan(layer, *key[:3])
    return plan


def _covers(layer: Any, planes: Tensor) -> bool:
    """Whether padded planes are as large as the kernel."""
    (height, width), (top, bottom, left, right), (rows, columns) = planes.shape[2:], layer.padding, layer.kernel_size
    return 0 < height >= rows - top - bottom and 0 < width >= columns - left - right


def explain(layer: BasisConv2d, x: Tensor) -> str:
    """Which product a call of a layer takes, and why. Nothing is computed.

    Args:
        layer: A layer with filters, such as `GroupConv2d`.
        x: Input for it.

    Returns:
        One sentence.

    Raises:
        TypeError: If the layer is of another kind.
        ValueError: If it does not take such input.

    Example:
        >>> from orbitconv.nn import GroupConv2d
        >>> explain(GroupConv2d(2, 2, "spectral-c8-k3", fourier=True), torch.zeros(1, 2, 8, 9, 9))
        'GroupConv2d takes the fourier product: fourier=True asks for it.'
    """
    if not isinstance(layer, BasisConv2d):
        raise TypeError(
            f"explain expects a layer with filters, such as GroupConv2d or LiftingConv2d, got {type(layer).__name__}. "
            "Ask it about the layers of a network one by one."
        )
    if not hasattr(layer, "fourier"):
        return f"{type(layer).__name__} takes the dense product: it has no other."
    layer.check_features(x)
    planes = x.flatten(1, 2)
    choice = choose(layer, planes)
    reason = f"{type(layer).__name__} takes the {choice.product} product: {choice.reason}"
    if choice.plan is not None:
        return f"{reason}."
    if layer.fourier == "auto" and planes.is_cuda:
        return f"{reason}; the product in Triton is not taken: {gpu.offer(layer, planes)}."
    known = fused.offer(layer, planes) if layer.fourier == "auto" else ""
    if not known:
        return f"{reason}."
    if isinstance(known, str):
        return f"{reason}; the fused product is not taken: {known}."
    share = _fused_share(layer, planes, known, learns=torch.is_grad_enabled())
    return f"{reason}; the fused product is expected to take {share:.2f} of the time of the dense one."


def _dense(reason: str) -> Choice:
    return Choice("dense", 0, reason)


def _fused_share(layer: Any, planes: Float[Tensor, "b ih h w"], known: Structure, *, learns: bool) -> float:
    """Time that the fused product is expected to take on this machine, over that of the dense one."""
    channels = known.copies * layer.out_channels, known.copies * layer.in_channels
    share = fused.expected_share(known, fused.PRICES[learns], channels, layer.stride[0], planes.shape)
    return share * fused_shares_of_this_machine(storage_of(planes))[learns]


def packed_pays_off(known: Structure, channels: tuple[int, int], stride: int, shape: Sequence[int]) -> bool:
    """Whether the fused product of packed coefficients is expected to be faster than a plain convolution."""
    share = fused.expected_share(known, fused.PACKED, channels, stride, shape)
    return share * fused_shares_of_this_machine()[False] < 1


_FUSED = "the compiled product is expected to be faster than the others"
_RECORDED = _dense("torch records the call, for other sizes too")


def reason_not_measured(layer: Any, planes: Float[Tensor, "b ih h w"]) -> str | None:
    """Why a call is not of the kind that prices are known for."""
    if planes.device.type != "cpu" or storage_of(planes) not in {torch.float32, torch.bfloat16}:
        return "prices of the others are known for float32 and bfloat16 on a CPU only"
    if not is_dense(planes):
        return "the input is a part of a larger tensor"
    return "its filters are kept, and cost nothing" if is_kept(layer) else None


def _plan(layer: Any, shape: torch.Size, is_last: bool, learns: bool) -> Choice:
    pixels, mixed = _pixels(layer, shape[-2], shape[-1])
    together = images_at_a_time(layer.work, mixed)
    if layer.fourier is True:
        return Choice("fourier", together, "fourier=True asks for it")
    share = expected_share(layer.work, shape[0], pixels, mixed, learns=learns, channels_last=is_last)
    if share == math.inf:
        return _dense("the batch is empty, or one image of the Fourier product exceeds the caches")
    reason = f"the Fourier product is expected to take {share:.2f} of the time of the dense one"
    return Choice("fourier", together, reason) if share < MARGIN else _dense(reason)


def _pixels(layer: Any, height: int, width: int) -> tuple[int, int]:
    """Pixels of the output for each image, and those of the input for each step of the stride."""
    top, bottom, left, right = layer.padding
    reach = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    padded = (height + top + bottom, width + left + right)
    output = [max(0, (p - r - 1) // s + 1) for p, r, s in zip(padded, reach, layer.stride, strict=True)]
    return math.prod(output), max(math.prod(output), height * width // math.prod(layer.stride), 1)


def expected_share(
    work: Work, images: int, pixels: int, mixed: int, *, learns: bool, channels_last: bool = False
) -> float:
    """Time that the Fourier product of a layer is expected to take, over that of the dense one; infinite if not taken.

    It has fewer multiply-adds and no weight to expand, but moves more numbers: those of input and output and, for
    kernels of more than one pixel, `z`, D times as large as the output. So it wins where fields are many, and with
    fewer fields where pixels are few: late layers, small batches. The prices were fitted to fifty layers, C4 to C16,
    1x1 to 5x5, 8 to 64 fields, 64 to 8,192 pixels, in training steps and in inference, two threads with AVX-512,
    float32. Other CPUs are measured once.

    `pixels` are those of the output for each image; `mixed` the same as the Fourier product counts them, which mixes on
    the grid of the input, before borders fall away. For gradients a batch that is taken in parts is computed once more,
    so that only one part is in memory at a time. Channels last suits dense convolutions: 1x1 layers are then a plain
    matrix product.
    """
    dense, fourier = expected_times(work, images, pixels, mixed, learns=learns, channels_last=channels_last)
    return fourier * shares_of_this_machine()[learns] / dense


def expected_times(
    work: Work, images: int, pixels: int, mixed: int, *, learns: bool, channels_last: bool = False
) -> tuple[float, float]:
    """Times of the dense and of the Fourier product on the machine of the fit, in multiply-adds.

    See `expected_share`.
    """
    at_a_time = min(images, images_at_a_time(work, mixed))
    together, passes = at_a_time * mixed * held(work), AGAIN if learns and at_a_time < images else 1
    dense = work.dense * images * pixels * (LAST if channels_last else 1) + WEIGHT_PRICE * work.weights + CALL_PRICE
    if not images or together > PRICES[learns][-1][0] or (channels_last and not work.between):
        return dense, math.inf
    price = next(price for most, price in PRICES[learns] if together <= most)
    fourier = passes * (work.fourier + TRAFFIC_PRICE * work.arranged + price * work.between)
    return dense, fourier * images * mixed + CALL_PRICE
