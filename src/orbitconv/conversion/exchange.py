"""Exchange what breaks quarter turns in a plain network for what keeps them at every size.

Outputs keep their sizes: a stride of two gives ceil(n / 2) positions of the n that stride one gives, and so does a blur
pool. The exchanged network is plain still.
"""

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.conversion.grid import GridMode, Loss
from orbitconv.conversion.observation import Example, Observation, observe, replace_modules
from orbitconv.conversion.rules import base_rule
from orbitconv.nn import BlurPool2d

_PASSES = 6


class Exchanged(nn.Module):
    """What stands in place of a layer that moves the centre of the grid: other layers, in order.

    `main` is the layer without its stride.
    """

    def __init__(self, main: nn.Module, before: list[nn.Module] = (), after: list[nn.Module] = ()) -> None:  # pyright: ignore[reportArgumentType]
        super().__init__()
        self.before, self.main, self.after = nn.Sequential(*before), main, nn.Sequential(*after)

    def __getattr__(self, name: str) -> Any:
        """Options of the main layer, for forwards that ask."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("main"), name)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Apply the layers."""
        return self.after(self.main(self.before(x)))


def exchange(model: nn.Module, example: Example, *, quarter: bool = True) -> tuple[nn.Module, dict[str, str]]:
    """Exchange the layers that lose a quarter (or half) turn on the example, in place.

    Also returns what became what, by path.
    """
    told: dict[str, str] = {}
    for _ in range(_PASSES):
        losses, seen = find_losses(model, example, quarter=quarter)
        model, found = _exchanged(model, _candidates(losses, dict(model.named_modules())), seen)
        if not found:
            break
        told |= found
    return model, told


def blur_strides(model: nn.Module, example: Example) -> tuple[nn.Module, dict[str, str]]:
    """Exchange every stride of two, four, ...

    For blur pooling, also where quarter turns are exact with it; as `exchange`.
    """
    seen, modules = observe(model, example), dict(model.named_modules())
    strided = {nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d}
    layers: dict[str, Any] = {c.path: modules[c.path] for c in seen.calls if base_rule(modules[c.path]) in strided}
    return _exchanged(model, [path for path, layer in layers.items() if max(_pair(layer.stride)) > 1], seen)


def _exchanged(model: nn.Module, paths: Iterable[str], seen: Observation) -> tuple[nn.Module, dict[str, str]]:
    """Exchange layers, where there is something to exchange them for."""
    modules, done, told = dict(model.named_modules()), dict[nn.Module, nn.Module](), dict[str, str]()
    for path in paths:
        sizes = [call for call in seen.of(path) if call.inputs and call.inputs[0] is not None]
        made = _EXCHANGES[base_rule(modules[path])](modules[path], sizes[0]) if sizes else None
        if made is not None:
            new, told[path] = made
            done[modules[path]] = new.train(modules[path].training)
    return replace_modules(model, done), told


def find_losses(model: nn.Module, example: Example, *, quarter: bool = True) -> tuple[list[Loss], Observation]:
    """Where a network loses a quarter (or half) turn of the example, and what its modules were given.

    There is one loss for each module, in the order of execution. If none is certain, those that are not are left out:
    they are for a measurement to find.
    """
    modes: list[GridMode] = []

    def mode(inside: list[str]) -> GridMode:
        modes.append(GridMode(inside, quarter=quarter))
        return modes[-1]

    seen = observe(model, example, mode)
    first: dict[str, Loss] = {}
    for loss in modes[0].losses:
        if loss.path not in first or (loss.is_certain and not first[loss.path].is_certain):
            first[loss.path] = loss
    is_certain = any(loss.is_certain for loss in first.values())
    return list(first.values()) if is_certain else [], seen


def _candidates(losses: list[Loss], modules: Mapping[str, nn.Module]) -> list[str]:
    """Layers to exchange: those that lose the turn, and strided ones after padding that a forward does for them."""
    paths = []
    for loss in (one for one in losses if one.is_certain):
        if base_rule(modules[loss.path]) in _EXCHANGES:
            paths.append(loss.path)
        elif "pad" in loss.operation:
            for name, child in modules[loss.path].named_children():
                if isinstance(child, nn.Conv2d) and base_rule(child) is nn.Conv2d and max(child.stride) > 1:
                    paths.append(f"{loss.path}.{name}" if loss.path else name)
    return paths


def _blurs(steps: Any, size: tuple[int, int]) -> list[nn.Module] | None:
    """Blur pools for a stride, on planes of a size; None if the stride is no power of two."""
    step = steps[0] if isinstance(steps, tuple) else steps
    if (isinstance(steps, tuple) and steps[0] != steps[1]) or step < 2 or step & (step - 1):
        return None
    layers: list[nn.Module] = []
    for _ in range(int(math.log2(step))):
        small = min(size) < 3
        layers.append(nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False) if small else BlurPool2d())
        size = ((size[0] + 1) // 2, (size[1] + 1) // 2)
    return layers


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _after_window(size: tuple[int, int], sides: Any, padding: Any, dilation: Any) -> tuple[int, int]:
    """Positions of a window with stride one."""
    parts = zip(size, _pair(sides), _pair(padding), _pair(dilation), strict=True)
    height, width = (n + 2 * p - d * (k - 1) for n, k, p, d in parts)
    return height, width


def _conv(conv: nn.Conv2d, call: Any) -> tuple[nn.Module, str] | None:
    """Stride one, then blur pools; before a kernel of one pixel, where that is cheaper."""
    padding = (0, 0) if conv.padding == "valid" else conv.padding
    if isinstance(padding, str):
        return None
    size = call.inputs[0][-2:]
    blurs = _blurs(conv.stride, _after_window(size, conv.kernel_size, padding, conv.dilation))
    if blurs is None:
        return None
    main = copy.deepcopy(conv)
    main.stride, told = (1, 1), f"stride {conv.stride[0]} by blur pooling"
    if conv.kernel_size == (1, 1) and max(padding) == 0:
        return Exchanged(main, before=blurs), told
    return Exchanged(main, after=blurs), told


def _max_pool(pool: nn.MaxPool2d, call: Any) -> tuple[nn.Module, str] | None:
    """Stride one, then blur pools."""
    size, after = call.inputs[0][-2:], call.outputs[0][-2:]
    padding = _pair(pool.padding)
    stride = _pair(pool.stride)
    positions = _after_window(size, pool.kernel_size, padding, pool.dilation)
    if pool.ceil_mode and any((n - 1) // s + 1 != o for n, s, o in zip(positions, stride, after, strict=True)):
        padding = (padding[0] + 1, padding[1] + 1)
        positions = (positions[0] + 2, positions[1] + 2)
        if any(2 * p > k for p, k in zip(padding, _pair(pool.kernel_size), strict=True)):
            return None
    blurs = _blurs(stride, positions)
    if blurs is None:
        return None
    main = nn.MaxPool2d(pool.kernel_size, 1, padding, pool.dilation)
    return Exchanged(main, after=blurs), f"stride {stride[0]} by blur pooling"


def _avg_pool(pool: nn.AvgPool2d, call: Any) -> tuple[nn.Module, str] | None:
    """The mean of all pixels for a head; else stride one, then blur pools."""
    size, after = call.inputs[0][-2:], call.outputs[0][-2:]
    if tuple(after) == (1, 1):
        return nn.AdaptiveAvgPool2d(1), "a fixed pool by the mean of all pixels"
    blurs = _blurs(_pair(pool.stride), _after_window(size, pool.kernel_size, pool.padding, 1))
    if blurs is None or pool.ceil_mode:
        return None
    main = nn.AvgPool2d(pool.kernel_size, 1, pool.padding, False, pool.count_include_pad, pool.divisor_override)
    return Exchanged(main, after=blurs), f"stride {_pair(pool.stride)[0]} by blur pooling"


@torch.no_grad()
def _transposed(conv: nn.ConvTranspose2d, call: Any) -> tuple[nn.Module, str] | None:
    """Linear up-sampling by two, then a convolution with the same filters, whose mean gain is kept."""
    size, after = call.inputs[0][-2:], call.outputs[0][-2:]
    odd = all(k % 2 and d == 1 for k, d in zip(conv.kernel_size, conv.dilation, strict=True))
    if tuple(2 * n for n in size) != tuple(after) or not odd:
        return None
    kernel = _pair(conv.kernel_size)
    main = nn.Conv2d(
        conv.in_channels, conv.out_channels, kernel, padding=(kernel[0] // 2, kernel[1] // 2),
        groups=conv.groups, bias=conv.bias is not None, device=conv.weight.device, dtype=conv.weight.dtype,
    )  # fmt: skip
    blocks = conv.weight.unflatten(0, (conv.groups, -1)).transpose(1, 2).flatten(0, 1).flip(2, 3)
    main.weight.copy_(blocks / math.prod(conv.stride))
    if conv.bias is not None and main.bias is not None:
        main.bias.copy_(conv.bias)
    up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    return Exchanged(main, before=[up]), "output padding by linear up-sampling and a convolution"


def _pad(pad: Any, call: Any) -> tuple[nn.Module, str] | None:  # noqa: ARG001
    """The larger side on both."""
    left, right, top, bottom = pad.padding
    new = copy.deepcopy(pad)
    new.padding = (max(left, right),) * 2 + (max(top, bottom),) * 2
    return new, "padding on one side by padding on both"


def _upsample(up: nn.Upsample, call: Any) -> tuple[nn.Module, str] | None:  # noqa: ARG001
    """Linear interpolation."""
    if up.mode == "bilinear":
        return None
    return nn.Upsample(
        up.size, up.scale_factor, "bilinear", align_corners=False
    ), "nearest pixels by linear up-sampling"  # pyright: ignore[reportArgumentType]


_EXCHANGES: Mapping[type[nn.Module] | None, Callable[[Any, Any], tuple[nn.Module, str] | None]] = {
    nn.Conv2d: _conv,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _avg_pool,
    nn.ConvTranspose2d: _transposed,
    nn.ZeroPad2d: _pad,
    nn.ConstantPad2d: _pad,
    nn.ReflectionPad2d: _pad,
    nn.ReplicationPad2d: _pad,
    nn.Upsample: _upsample,
}
