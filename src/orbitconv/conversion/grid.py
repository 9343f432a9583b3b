"""Where a network loses a quarter turn of its input: operations that move the centre of the pixel grid.

Read off the operations that run, so it makes no difference whether they come from modules or from functions. A window
of k pixels with stride s keeps the centre if its steps meet both borders alike; padding and cropping keep it if both
sides get the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten


@dataclass(frozen=True)
class Loss:
    """An operation after which a turned image no longer gives turned features.

    Args:
        path: Module that calls it; "" for the network itself.
        reason: What moves the centre.
        operation: Name of the operation.
        is_certain: Whether it moves the centre for certain. Others may be made good by what follows, as the means of
            rows and of columns are by their sum; only a measurement tells.
    """

    path: str
    reason: str
    operation: str
    is_certain: bool = True


class GridMode(TorchDispatchMode):
    """Notes losses, of quarter turns or of half turns only, while it is the active mode.

    Modules that are being called are in `inside` by their paths, outermost first.
    """

    def __init__(self, inside: list[str], *, quarter: bool = True) -> None:
        super().__init__()
        self.inside = inside
        self.tables = [(_LOOKS, True), (_SUSPECTS, False)]
        if quarter:
            self.tables += [(_QUARTER_LOOKS, True), (_QUARTER_SUSPECTS, False)]
        self.losses: list[Loss] = []
        self.is_paused = False
        self._padding = _CircularPadding(self)

    def __enter__(self) -> "GridMode":
        self._padding.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._padding.__exit__(*error)

    def note(self, reason: str, operation: str, *, is_certain: bool = True) -> None:
        """Add a loss of the module that is being called, as `Loss` describes it."""
        self.losses.append(Loss(self.inside[-1] if self.inside else "", reason, operation, is_certain))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if self.is_paused:
            return output
        for looks, certain in self.tables:
            look = looks.get(func.overloadpacket)
            reason = look(args, kwargs or {}, output) if look is not None else None
            if reason:
                self.note(reason, str(func.overloadpacket), is_certain=certain)
                break
        return output


class _CircularPadding(TorchFunctionMode):
    """Looks at circular padding as a whole: torch makes it of slices, each of which is at one border."""

    def __init__(self, grid: GridMode) -> None:
        super().__init__()
        self.grid = grid

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if func is not F.pad or (*args, None, None, None)[2] != "circular" != named.get("mode"):
            return func(*args, **named)
        self.grid.is_paused = True
        try:
            output = func(*args, **named)
        finally:
            self.grid.is_paused = False
        reason = _pad((args[0], list(args[1] if len(args) > 1 else named["pad"])), {}, output)
        if reason:
            self.grid.note(reason, "pad")
        return output


def _two(values: Any, default: Any = None) -> tuple[int, int]:
    """Height and width of an argument that may be one number, or left out."""
    numbers = list(values) if isinstance(values, list | tuple) else [values]
    if not numbers or numbers == [None]:
        return default
    return (int(numbers[0]), int(numbers[-1]))


def _window(x: Tensor, y: Tensor, sides: Any, steps: Any, padding: Any, dilation: Any, what: str) -> str | None:
    """Whether windows meet both borders of an axis alike."""
    for axis in (0, 1):
        size, after = x.shape[axis - 2], y.shape[axis - 2]
        rest = size + 2 * padding[axis] - dilation[axis] * (sides[axis] - 1) - 1 - (after - 1) * steps[axis]
        if rest:
            options = f"stride {steps[axis]} and padding {padding[axis]}"
            return f"{what} of {sides[0]}x{sides[1]} with {options} on {size} pixels"
    return None


def _uneven(x: Tensor, what: str, *options: tuple[int, int]) -> str | None:
    """Whether the rows of a square plane are treated otherwise than its columns, which a quarter turn swaps."""
    if x.shape[-2] == x.shape[-1] and any(one != other for one, other in options):
        return f"{what} with other options along rows than along columns"
    return None


def _convolution(args: Any, kwargs: Any, y: Tensor) -> str | None:  # noqa: ARG001
    x, weight, _, steps, padding, dilation, transposed, added, *_ = args
    if x.ndim != 4:
        return None
    if transposed:
        return f"output padding of {max(added)} pixels on one side" if any(added) else None
    return _window(x, y, tuple(weight.shape[-2:]), _two(steps), _two(padding), _two(dilation), "a kernel")


def _uneven_convolution(args: Any, kwargs: Any, y: Tensor) -> str | None:  # noqa: ARG001
    x, weight, _, steps, padding, dilation, transposed, *_ = args
    if x.ndim != 4 or transposed or not isinstance(weight, nn.Parameter):
        return None  # fixed filters work along one axis, then along the other
    dilation = _two(dilation)
    margins = [2 * p - d * (k - 1) for p, d, k in zip(_two(padding), dilation, weight.shape[-2:], strict=True)]
    return _uneven(x, "a kernel", _two(steps), dilation, (margins[0], margins[1]))


Pair = tuple[int, int]


def _pool_options(args: Any, *, dilated: bool) -> tuple[Pair, Pair, Pair, Pair]:
    """Size, stride, padding and dilation of the windows of a pool."""
    _, kernel, *rest = args
    steps, padding, dilation = (rest[i] if len(rest) > i else None for i in range(3))
    sides = _two(kernel)
    return sides, _two(steps, sides), _two(padding, (0, 0)), _two(dilation if dilated else None, (1, 1))


def _max_pool(args: Any, kwargs: Any, output: Any) -> str | None:  # noqa: ARG001
    y = output[0] if isinstance(output, tuple) else output
    return _window(args[0], y, *_pool_options(args, dilated=True), "a pool")


def _uneven_max_pool(args: Any, kwargs: Any, output: Any) -> str | None:  # noqa: ARG001
    return _uneven(args[0], "a pool", *_pool_options(args, dilated=True))


def _avg_pool(args: Any, kwargs: Any, y: Tensor) -> str | None:  # noqa: ARG001
    return _window(args[0], y, *_pool_options(args, dilated=False), "a pool")


def _uneven_avg_pool(args: Any, kwargs: Any, y: Tensor) -> str | None:  # noqa: ARG001
    return _uneven(args[0], "a pool", *_pool_options(args, dilated=False))


def _pad(args: Any, kwargs: Any, y: Tensor) -> str | None:  # noqa: ARG001
    x, padding = args[:2]
    pairs = list(zip(padding[::2], padding[1::2], strict=True))
    if x.ndim == 4 and any(before != after for before, after in pairs):
        return f"padding of {', '.join(f'{a} and {b}' for a, b in pairs if a != b)} pixels on both sides"
    return None


def _nearest(args: Any, kwargs: Any, y: Tensor, *, centred: bool = False) -> str | None:  # noqa: ARG001
    """Whether the pixels that are taken are the same from both borders; `centred` for "nearest-exact"."""
    scales = (*args[2:4], None, None)[:2]
    for before, after, scale in zip(args[0].shape[-2:], y.shape[-2:], scales, strict=True):
        step = before / after if scale is None else 1 / scale
        taken = [min(int((place + 0.5 * centred) * step + 1e-9), before - 1) for place in range(after)]
        if any(a + b != before - 1 for a, b in zip(taken, reversed(taken), strict=True)):
            return f"the nearest pixel of {before} for each of {after}"
    return None


def _nearest_exact(args: Any, kwargs: Any, y: Tensor) -> str | None:
    return _nearest(args, kwargs, y, centred=True)


def _interpolation(args: Any, kwargs: Any, y: Tensor) -> str | None:  # noqa: ARG001
    """A scale that is not that of the sizes begins at one border and ends before the other."""
    aligned, *scales = (*args[2:5], None, None)[:3]
    for before, after, scale in zip(args[0].shape[-2:], y.shape[-2:], scales, strict=True):
        if not aligned and scale is not None and abs(before * scale - after) > 1e-6:
            return f"a scale of {scale:g} for {before} pixels, of which {after} become"
    return None


def _adaptive(args: Any, kwargs: Any, output: Any) -> str | None:  # noqa: ARG001
    x, y = args[0], output[0] if isinstance(output, tuple) else output
    (height, width), (rows, columns) = x.shape[-2:], y.shape[-2:]
    return f"a pool of squares to {rows}x{columns} pixels" if height == width and rows != columns else None


def _slice(args: Any, kwargs: Any, y: Tensor) -> str | None:  # noqa: ARG001
    given: list[Any] = [*args, *(0, 0, None, 1)[len(args) - 1 :]]
    x, dim, start, end, step = given[:5]
    dim %= x.ndim
    if x.ndim != 4 or dim < 2 or y.shape[dim] == x.shape[dim]:
        return None
    indices = range(x.shape[dim])[start:end:step]
    kept = len(indices) > 0 and indices[0] == x.shape[dim] - 1 - indices[-1]
    return None if kept else f"pixels {start or 0} to {indices[-1] if len(indices) else 0} of {x.shape[dim]}"


def _roll(args: Any, kwargs: Any, y: Tensor) -> str | None:  # noqa: ARG001
    if y.ndim != 4 or not any(args[1]):
        return None
    dims = _dims(y, args[2] if len(args) > 2 and args[2] else None)
    return "pixels rolled along an axis" if dims & {2, 3} else "channels rolled by number"


def _is_plane(x: Any) -> bool:
    return isinstance(x, Tensor) and x.ndim == 4 and min(x.shape[-2:]) > 1


def _dims(x: Tensor, dims: Any) -> set[int]:
    """Axes that an operation works along."""
    given = range(x.ndim) if dims is None or dims == [] else dims if isinstance(dims, list | tuple) else [dims]
    return {int(dim) % x.ndim for dim in given}


def _reduction(args: Any, kwargs: Any, y: Any) -> str | None:  # noqa: ARG001
    x, dims = args[0], args[1] if len(args) > 1 else kwargs.get("dim")
    if not _is_plane(x) or x.shape[-2] != x.shape[-1] or len(_dims(x, dims) & {2, 3}) != 1:
        return None
    return "rows and columns by themselves, of which a quarter turn makes columns and rows"


def _flip(args: Any, kwargs: Any, y: Tensor) -> str | None:  # noqa: ARG001
    return "a mirror along one axis" if _is_plane(y) and len(_dims(y, args[1]) & {2, 3}) == 1 else None


def _select(args: Any, kwargs: Any, y: Tensor) -> str | None:  # noqa: ARG001
    x, dim, index = args
    side = x.shape[dim]
    if not _is_plane(x) or dim % x.ndim < 2 or 2 * (index % side) + 1 == side:
        return None
    return f"pixel {index % side} of {side}"


def _cumulative(args: Any, kwargs: Any, y: Any) -> str | None:  # noqa: ARG001
    x = args[0]
    return "a sum from one border on" if _is_plane(x) and args[1] % x.ndim > 1 else None


def _sample(args: Any, kwargs: Any, y: Tensor) -> str:  # noqa: ARG001
    return "pixels at coordinates of the forward's own"


def _shuffle(args: Any, kwargs: Any, y: Tensor) -> str:  # noqa: ARG001
    return "channels in a fixed order as pixels, or pixels as channels"


Look = Callable[[Any, Any, Any], str | None]

_LOOKS: Mapping[Any, Look] = {
    aten.convolution: _convolution,
    aten.max_pool2d_with_indices: _max_pool,
    aten.max_pool2d: _max_pool,
    aten.mkldnn_max_pool2d: _max_pool,
    aten.avg_pool2d: _avg_pool,
    aten.constant_pad_nd: _pad,
    aten.reflection_pad2d: _pad,
    aten.replication_pad2d: _pad,
    aten.upsample_nearest2d: _nearest,
    aten._upsample_nearest_exact2d: _nearest_exact,  # noqa: SLF001
    aten.upsample_bilinear2d: _interpolation,
    aten._upsample_bilinear2d_aa: _interpolation,  # noqa: SLF001
    aten.upsample_bicubic2d: _interpolation,
    aten._upsample_bicubic2d_aa: _interpolation,  # noqa: SLF001
    aten.pixel_shuffle: _shuffle,
    aten.pixel_unshuffle: _shuffle,
    aten.slice: _slice,
    aten.roll: _roll,
}
"""What moves the centre of the grid, for half turns and quarter turns alike."""

_QUARTER_LOOKS: Mapping[Any, Look] = {
    aten.convolution: _uneven_convolution,
    aten.max_pool2d_with_indices: _uneven_max_pool,
    aten.max_pool2d: _uneven_max_pool,
    aten.mkldnn_max_pool2d: _uneven_max_pool,
    aten.avg_pool2d: _uneven_avg_pool,
    aten._adaptive_avg_pool2d: _adaptive,  # noqa: SLF001
    aten.adaptive_max_pool2d: _adaptive,
}
"""What treats rows otherwise than columns."""

_SUSPECTS: Mapping[Any, Look] = {
    aten.flip: _flip,
    aten.select: _select,
    aten.cumsum: _cumulative,
    aten.cumprod: _cumulative,
    aten.grid_sampler_2d: _sample,
}
_QUARTER_SUSPECTS: Mapping[Any, Look] = dict.fromkeys(
    (aten.mean, aten.sum, aten.amax, aten.amin, aten.max, aten.min, aten.var, aten.std, aten.logsumexp), _reduction
)
"""What may move the centre, unless what follows makes it good."""
