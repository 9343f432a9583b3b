"""Narrow a plain network, so that its converted twin is as large as the network itself.

Every hidden layer gets a share of its channels, the same share for the same number: so layers that a sum ties together
stay alike. What comes in decides how many channels a layer reads: so concatenated feature maps are right too. Layers
whose channels are those of the output keep them.
"""

import copy
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from orbitconv.conversion.observation import (
    Example,
    FailedRunError,
    as_arguments,
    observe,
    observe_branches,
    replace_modules,
    tensors_in,
)
from orbitconv.conversion.rules import base_rule, is_leaf
from orbitconv.metrics.outputs import select

Width = float | Literal["channels", "params", "compute"]
"""A number to multiply the widths of hidden layers with; 1 for `"channels"`; or what shall be as large as before."""

_TRIALS = 5
_CLOSE = 0.02
_Weighted = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


def output_layers(model: nn.Module, example: Example, places: Collection[str] | None = None) -> set[str]:
    """Layers, and parameters, whose channels are those of the output: no other layer stands between.

    `places` are those of the tensors of the output that count; by default all, and those of training mode.
    """
    model = copy.deepcopy(model).eval().requires_grad_(requires_grad=True)
    made: dict[Any, str] = {}
    for path, module in model.named_modules():
        if isinstance(module, _Weighted):

            def mark(_module: nn.Module, _inputs: Any, y: Tensor, path: str = path) -> None:
                made[y.grad_fn] = path

            module.register_forward_hook(mark)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    positional, named = as_arguments(example)
    tensors = select(model(*positional, **named), None, "convert")
    outputs = [x for place, x in tensors.items() if places is None or place in places]
    if places is None and observe_branches(model, example, observe(model, example)) is not None:
        for module in model.modules():
            module.training = not is_leaf(module)
        outputs += tensors_in(model(*positional, **named))
    waiting, seen, found = [x.grad_fn for x in outputs if x.grad_fn is not None], set(), set()
    while waiting:
        node = waiting.pop()
        if node in made:
            found.add(made[node])
        elif node not in seen:
            seen.add(node)
            parameter = getattr(node, "variable", None)
            if parameter is not None:
                found.add(names[id(parameter)])
            waiting += [before for before, _ in node.next_functions if before is not None]
    return found


def narrowed(model: nn.Module, example: Example, factor: float) -> nn.Module:
    """An untrained copy of the network, with the channels of hidden layers times a factor.

    Raises:
        ValueError: If its forward does not take other widths.
    """
    if factor == 1:
        return model
    fixed, before = output_layers(model, example), observe(model, example)
    branches = observe_branches(model, example, before)
    share = _Share(model, factor)
    model = copy.deepcopy(model)
    pending: dict[nn.Module, nn.Module] = {}
    for path, module in list(model.named_modules()):
        base = base_rule(module)
        if base in {nn.Conv2d, nn.ConvTranspose2d, nn.Linear}:
            pending[module] = _Pending(module, share, base, keeps=path in fixed)
        elif is_leaf(module) and any(True for _ in module.parameters()):
            pending[module] = _Pending(module, share, None, keeps=False)
        else:
            for name, values in list(module.named_parameters(recurse=False)):
                if (f"{path}.{name}" if path else name) not in fixed:
                    setattr(module, name, _resized_parameter(values, share))
    model = replace_modules(model, pending)
    try:
        after = observe(model, example)
        if branches is not None:
            observe(model, example, training=True)
    except FailedRunError as error:
        raise ValueError(
            f"convert cannot change the widths of this network: {error.path or 'the network'} fails ({error}). Take "
            "width='channels'."
        ) from error
    shapes = [[tuple(x.shape) for x in tensors_in(seen.output)] for seen in (before, after)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"convert cannot change the widths of this network: its output would have the shapes {shapes[1]}, not "
            f"{shapes[0]}. Take width='channels'."
        )
    return replace_modules(model, {one: one.plain for one in pending.values() if isinstance(one, _Pending)})


def choose_factor(width: Width, plain: int, count: Callable[[float], int]) -> float:
    """The factor that brings a converted network, whose size `count` gives, nearest to the size of the plain one."""
    if not isinstance(width, str):
        if isinstance(width, bool) or not 0 < width < math.inf:
            raise ValueError(f"convert expects width 'channels', 'params', 'compute' or a number > 0, got {width!r}.")
        return float(width)
    if width == "channels":
        return 1.0
    factor, tried = 1.0, dict[float, int]()
    for _ in range(_TRIALS):
        tried[factor] = count(factor)
        if abs(tried[factor] / plain - 1) < _CLOSE:
            break
        factor = round(factor * math.sqrt(plain / tried[factor]), 4)  # counts grow about with the square
        if factor in tried:
            break
    return min(tried, key=lambda one: abs(math.log(tried[one] / plain)))


class _Share:
    """From the width of a layer to its new width; the same for the same width.

    Norms and convolutions in blocks need widths that their number of blocks divides; even widths stay even, since
    networks cut them in two.
    """

    def __init__(self, model: nn.Module, factor: float) -> None:
        self.factor = factor
        self.steps: defaultdict[int, int] = defaultdict(lambda: 1)
        for module in model.modules():
            if isinstance(module, nn.GroupNorm):
                self._step(module.num_channels, module.num_groups)
            elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not _is_depthwise(module):
                self._step(module.in_channels, module.groups)
                self._step(module.out_channels, module.groups)

    def _step(self, width: int, blocks: int) -> None:
        self.steps[width] = math.lcm(self.steps[width], blocks)

    def __call__(self, width: int) -> int:
        if width == 1:
            return 1
        step = self.steps[width] if width % 2 else math.lcm(2, self.steps[width])
        return max(1, round(width * self.factor / step)) * step


class _Pending(nn.Module):
    """A layer that waits for its first call to learn how many channels come in."""

    def __init__(self, plain: Any, share: _Share, base: type[nn.Module] | None, *, keeps: bool) -> None:
        super().__init__()
        self.plain, self.share, self.base, self.keeps, self.done = plain, share, base, keeps, False

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("plain"), name)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Take the width that comes in."""
        if not self.done:
            self.done = True
            shape: tuple[int, ...] = tuple(inputs[0].shape)
            if self.base is nn.Linear:
                _resize_linear(self.plain, shape[-1], self._out(self.plain.out_features))
            elif self.base is not None:
                _resize_conv(self.plain, shape[1], self._out(self.plain.out_channels))
            else:
                _resize_leaf(self.plain, shape, self.share)
        return self.plain(*inputs, **named)

    def _out(self, width: int) -> int:
        return width if self.keeps else self.share(width)


def _is_depthwise(conv: Any) -> bool:
    return conv.groups > 1 and conv.groups == conv.in_channels


def _resize_conv(conv: Any, before: int, after: int) -> None:
    """A convolution of other channels; a depthwise one has as many as come in for each that it had."""
    if _is_depthwise(conv):
        after = before * (conv.out_channels // conv.in_channels)
        conv.groups = before
    conv.in_channels, conv.out_channels = before, after
    shape = (after, before // conv.groups) if isinstance(conv, nn.Conv2d) else (before, after // conv.groups)
    conv.weight = nn.Parameter(conv.weight.new_empty(*shape, *conv.kernel_size))
    conv.bias = None if conv.bias is None else nn.Parameter(conv.bias.new_empty(after))
    conv.reset_parameters()


def _resize_linear(linear: Any, before: int, after: int) -> None:
    linear.in_features, linear.out_features = before, after
    linear.weight = nn.Parameter(linear.weight.new_empty(after, before))
    linear.bias = None if linear.bias is None else nn.Parameter(linear.bias.new_empty(after))
    linear.reset_parameters()


def _resize_leaf(module: nn.Module, shape: tuple[int, ...], share: _Share) -> None:
    """Parameters and buffers of channels, with as many as come in; the numbers that say how many, too."""
    lengths = {
        max(values.shape) for values in module.parameters(recurse=False) if values.ndim and max(values.shape) > 1
    }
    for old in lengths:
        channels = [side for side in (shape[1:2] + shape[-1:]) if side in {share(old), old}]
        new = channels[0] if channels else shape[1]  # of concatenated feature maps
        for name, values in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            if values.ndim and max(values.shape) == old:
                data = _resized(values.detach(), old, new)
                setattr(module, name, nn.Parameter(data) if isinstance(values, nn.Parameter) else data)
        for name, value in vars(module).items():
            if isinstance(value, int) and not isinstance(value, bool) and value == old and name != "num_groups":
                setattr(module, name, new)
            elif value == (old,):
                setattr(module, name, (new,))


def _resized(values: Tensor, old: int, new: int) -> Tensor:
    """As many entries on the axis that has them."""
    axis = list(values.shape).index(old)
    return values.index_select(axis, torch.arange(new, device=values.device) % old).clone()


def _resized_parameter(values: nn.Parameter, share: Mapping[int, int] | _Share) -> nn.Parameter:
    long = [side for side in values.shape if side > 1]
    if len(long) != 1:
        return values
    return nn.Parameter(_resized(values.detach(), long[0], share(long[0])))  # pyright: ignore[reportCallIssue]
