"""What a network does with an input: which pixels every output sees, and how many multiply-adds it takes.

Both are read off the operations that run on the meta device, so it makes no difference how a network is written, and
nothing is computed.
"""

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten


@dataclass(frozen=True)
class Span:
    """The input pixels that the pixels of a feature map see along one axis, borders aside.

    A window is the first and the last of them. Interpolated pixels see more or less by turns, so there is a window for
    each of some neighbours, after which all repeats: with q, r = divmod(i, len(windows)), pixel i sees window r,
    `period * q` pixels further on.
    """

    windows: tuple[tuple[int, int], ...] = ((0, 0),)
    period: int = 1

    @property
    def field(self) -> int:
        """Receptive field: the largest window, in input pixels."""
        return max(last - first + 1 for first, last in self.windows)

    @property
    def step(self) -> float:
        """Input pixels between neighbours."""
        return self.period / len(self.windows)

    def at(self, pixel: int) -> tuple[int, int]:
        """First and last input pixel that a pixel sees."""
        turns, rest = divmod(pixel, len(self.windows))
        first, last = self.windows[rest]
        return first + turns * self.period, last + turns * self.period

    def gathered(self, scale: Fraction, reads: Callable[[int], Iterable[int]]) -> "Span":
        """After an operation each of whose pixels, `scale` pixels of this map apart, reads some pixels of this map."""
        repeats = len(self.windows) // math.gcd(len(self.windows), scale.numerator)
        seen = [[self.at(i) for i in reads(o)] for o in range(repeats * scale.denominator)]
        windows = tuple((min(first for first, _ in some), max(last for _, last in some)) for some in seen)
        return Span(windows, self.period * repeats * scale.numerator // len(self.windows))

    def window(self, taps: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> "Span":
        """After a convolution or pool."""
        return self.gathered(Fraction(stride), lambda o: [o * stride - padding + tap * dilation for tap in range(taps)])

    def resized(self, before: int, after: int, mode: Literal["nearest", "linear", "corners"]) -> "Span":
        """After interpolation; `"corners"` is linear with corners on corners."""
        if before == after:
            return self
        scale = Fraction(before - 1, max(after - 1, 1)) if mode == "corners" else Fraction(before, after)
        shift = (scale - 1) / 2 if mode == "linear" else Fraction(0)

        def reads(o: int) -> list[int]:
            place = scale * o + shift
            return [math.floor(place)] if mode == "nearest" else [math.floor(place), math.ceil(place)]

        return self.gathered(scale, reads) if scale else self

    def union(self, other: "Span") -> "Span":
        """Where two feature maps meet."""
        if self.step != other.step:  # one of them is spread out by broadcasting
            return max(self, other, key=lambda span: span.field)
        count = math.lcm(len(self.windows), len(other.windows))
        pairs = [(self.at(i), other.at(i)) for i in range(count)]
        return Span(tuple((min(a[0], b[0]), max(a[1], b[1])) for a, b in pairs), round(count * self.step))


Spans = tuple[Span, Span]
"""Spans along height and width."""


class Tracer(TorchDispatchMode):
    """Follows an input, on the meta device, through every operation, while it is the active mode."""

    multiply_adds: int
    """Products of features with weights so far, for the whole batch; biases and Fourier transforms do not count."""
    expansion: int
    """Products among weights so far: what it takes to make filters, once for a batch of any size."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.multiply_adds = self.expansion = 0
        # By identity; the tensors are kept so that no other takes the place of one that is gone.
        self._seen: dict[int, tuple[Tensor, Spans | None]] = {id(x): (x, (Span(), Span()))}

    def spans(self, x: Tensor) -> Spans | None:
        """What the pixels of a feature map see, along height and width.

        None if that is nothing, or its plane is pooled away.
        """
        return self._seen[id(x)][1] if id(x) in self._seen else None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        y = func(*args, **kwargs)
        operation = func.overloadpacket
        sources = [a for a in tree_leaves((args, kwargs)) if isinstance(a, Tensor) and id(a) in self._seen]
        if operation in _PRODUCTS:
            cost = _PRODUCTS[operation](args, y)
            self.multiply_adds += cost if sources else 0
            self.expansion += 0 if sources else cost
        if sources:
            known = [spans for x in sources if (spans := self.spans(x)) is not None]
            outputs = [leaf for leaf in tree_leaves(y) if isinstance(leaf, Tensor)]
            for leaf in outputs:
                self._seen[id(leaf)] = leaf, _spans_after(operation, args, outputs[0], known)
        return y


def _spans_after(operation: Any, args: Sequence[Any], y: Tensor, spans: list[Spans]) -> Spans | None:
    """Spans of the output of an operation."""
    if not spans or operation in _MIXES or (operation in _REDUCTIONS and y.shape[-2:] != args[0].shape[-2:]):
        return None
    if operation is aten.convolution and (args[6] or y.ndim != 4):  # transposed, or not on planes
        return None
    rows, cols = zip(*spans, strict=True)
    merged = functools.reduce(Span.union, rows), functools.reduce(Span.union, cols)
    if operation in _WINDOWS:
        options = zip(*(_pair(value) for value in _WINDOWS[operation](args)), strict=True)
        height, width = (span.window(*option) for span, option in zip(merged, options, strict=True))
        return height, width
    if operation in {aten.upsample_bilinear2d, aten.upsample_nearest2d}:
        linear = "corners" if operation is aten.upsample_bilinear2d and args[2] else "linear"
        mode = "nearest" if operation is aten.upsample_nearest2d else linear
        sides = zip(merged, args[0].shape[-2:], y.shape[-2:], strict=True)
        height, width = (span.resized(old, new, mode) for span, old, new in sides)
        return height, width
    if operation in _PADS:
        left, _, top, *_ = (*args[1], 0, 0)
        return merged[0].window(1, padding=top), merged[1].window(1, padding=left)
    return merged


def _pair(value: Any) -> tuple[int, int]:
    """Height and width of an option that may be given once for both."""
    values = tuple(value) if isinstance(value, Sequence) else (value,)
    return (values[0], values[0]) if len(values) == 1 else (values[0], values[1])


def _pool_window(args: Sequence[Any]) -> tuple[Any, Any, Any]:
    """Kernel, stride and padding of a pool; torch leaves out those that have their default."""
    kernel = args[1]
    return kernel, (args[2] if len(args) > 2 else None) or kernel, args[3] if len(args) > 3 else 0


_PRODUCTS: dict[Any, Callable[[Sequence[Any], Any], int]] = {
    aten.convolution: lambda args, y: (args[0] if args[6] else y).numel() * args[1][0].numel(),
    aten.mm: lambda args, y: y.numel() * args[0].shape[-1],
    aten.bmm: lambda args, y: y.numel() * args[0].shape[-1],
    aten.addmm: lambda args, y: y.numel() * args[1].shape[-1],
    aten.baddbmm: lambda args, y: y.numel() * args[1].shape[-1],
}
_WINDOWS: dict[Any, Callable[[Sequence[Any]], tuple[Any, ...]]] = {
    aten.convolution: lambda args: (args[1].shape[2:], args[3], args[4], args[5]),
    aten.max_pool2d_with_indices: _pool_window,
    aten.avg_pool2d: _pool_window,
}
_PADS = {aten.constant_pad_nd, aten.reflection_pad2d, aten.replication_pad2d}
_REDUCTIONS = {aten.mean, aten.amax, aten.sum, aten.max, aten.adaptive_max_pool2d, aten._adaptive_avg_pool2d}  # noqa: SLF001
# What the last two axes are after these, no one knows.
_MIXES = {aten.mm, aten.bmm, aten.addmm, aten.baddbmm, aten._fft_r2c, aten._fft_c2r}  # noqa: SLF001
