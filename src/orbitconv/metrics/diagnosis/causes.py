"""Why an operation does not turn with its input: read from its arguments, in words."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orbitconv.groups import Group
from orbitconv.metrics.diagnosis.fields import Field
from orbitconv.metrics.diagnosis.following import Follower, Step, relative_error, tensors_in
from orbitconv.nn import BasisConv2d, GroupAvgPool2d, GroupConvTranspose2d, GroupMaxPool2d, keeps_centre

_SUM = {"add", "add_", "__add__", "__radd__", "__iadd__", "sub", "__sub__", "mul", "mul_", "__mul__", "__rmul__", "div",
        "where", "maximum", "minimum", "scaled_dot_product_attention", "matmul", "__matmul__", "einsum"}  # fmt: skip
_NAMES = {"conv2d": "conv", "conv_transpose2d": "transposed", "max_pool2d": "pool", "max_pool2d_with_indices": "pool",
          "avg_pool2d": "pool", "pad": "pad", "interpolate": "resize", "linear": "linear",
          "layer_norm": "norm", "pixel_shuffle": "shuffle", "roll": "roll", "__getitem__": "slice"}  # fmt: skip
_TYPES = (
    (GroupConvTranspose2d, "transposed"), (nn.ConvTranspose2d, "transposed"), (BasisConv2d, "conv"),
    (nn.Conv2d, "conv"), (nn.MaxPool2d, "pool"), (nn.AvgPool2d, "pool"),
    (GroupMaxPool2d, "pool"), (GroupAvgPool2d, "pool"), (nn.Upsample, "resize"),
    (nn.modules.padding._ConstantPadNd, "pad"), (nn.modules.padding._ReflectionPadNd, "pad"),  # noqa: SLF001
    (nn.modules.padding._ReplicationPadNd, "pad"), (nn.modules.padding.CircularPad2d, "pad"),  # noqa: SLF001
    (nn.Linear, "linear"), (nn.LayerNorm, "norm"), (nn.PixelShuffle, "shuffle"), (nn.PixelUnshuffle, "shuffle"),
)  # fmt: skip


def cause_of(step: Step, follower: Follower, element: int) -> str:
    """Why an operation lost the turn."""
    assert step.call is not None
    owner, group = step.owner, follower.group
    kind = next((kind for cls, kind in _TYPES if isinstance(owner, cls)), None) if owner else _NAMES.get(step.name)
    arguments = _arguments(step)
    x = next(iter(tensors_in((step.call[1], step.call[2]))), None)
    open_since = next((state.origin for state in step.states if not state.fields and state.origin), None)
    if open_since is not None:
        return _after_rearrangement(open_since)
    if any(state.fields and state.fields[0].kind == "minor" for state in step.states) and _is_uneven(step, group):
        return "its weights are not the same for all group elements"
    if kind is not None and x is not None:
        told = _RULES[kind](arguments, x, step, follower, element)
        if told:
            return told
    fixed = _fixed_operand(step, follower)
    if fixed:
        return fixed
    if step.name in {"flatten", "Flatten", "view", "reshape"}:
        return f"it makes a tensor of shape {tuple(step.outputs[0].shape)} in which places are features"
    if step.errors.get(element) == float("inf"):
        return "its output has another shape for turned images, or is not finite"
    return "this operation does not turn with its input"


def _arguments(step: Step) -> dict[str, Any]:
    """Options of a layer, or of a call, by the names that torch gives them."""
    assert step.call is not None
    function, positional, named = step.call
    if step.owner is not None:
        return {name: getattr(step.owner, name) for name in _OPTIONS if hasattr(step.owner, name)}
    order = _ORDERS.get(step.name)
    if order is None:
        try:
            order = list(inspect.signature(function).parameters)
        except (TypeError, ValueError):
            order = []
    return {**dict(zip(order, positional, strict=False)), **named}


_OPTIONS = {
    "stride", "padding", "dilation", "kernel_size", "ceil_mode", "output_padding", "padding_mode", "mode", "size",
    "align_corners", "scale_factor", "normalized_shape", "elementwise_affine", "weight", "groups",
}  # fmt: skip
_ORDERS = {
    "conv2d": ["input", "weight", "bias", "stride", "padding", "dilation", "groups"],
    "conv_transpose2d": ["input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"],
    "avg_pool2d": ["input", "kernel_size", "stride", "padding", "ceil_mode"],
    "max_pool2d": ["input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"],
    "max_pool2d_with_indices": ["input", "kernel_size", "stride", "padding", "dilation", "ceil_mode"],
    "linear": ["input", "weight", "bias"],
}


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[-1])) if isinstance(value, tuple | list) else (int(value), int(value))


def _grid(arguments: dict[str, Any], x: Tensor, kernel: tuple[int, int]) -> str:
    """What a strided window leaves out of the plane at one side."""
    stride = arguments.get("stride") or kernel
    stride, dilation = _pair(stride), _pair(arguments.get("dilation") or 1)
    padding = arguments.get("padding", 0)
    if isinstance(padding, str):
        uneven = padding == "same" and any(d * (k - 1) % 2 for d, k in zip(dilation, kernel, strict=True))
        return f"padding='same' pads its even {_by(kernel)} kernel on one side" if uneven else ""
    if isinstance(padding, tuple | list) and len(padding) == 4:
        top, bottom, left, right = padding
        if (top, left) != (bottom, right):
            return f"it pads {padding} (top, bottom, left, right), more on one side"
        padding = (top, left)
    padding = _pair(padding)
    for side, k, s, p, d in zip(x.shape[-2:], kernel, stride, padding, dilation, strict=True):
        if not keeps_centre(side, k, stride=s, padding=p, dilation=d):
            left = (side + 2 * p - d * (k - 1) - 1) % s
            fits = next(n for n in range(side, side + s) if keeps_centre(n, k, stride=s, padding=p, dilation=d))
            if arguments.get("ceil_mode"):
                return f"ceil_mode lets its last window hang over one side of {side} pixels (stride {s}, kernel {k})"
            return (
                f"stride {s} with kernel {k} and padding {p} leaves {left} of {side} pixels over at one side; "
                f"{fits} pixels would fit"
            )
    return ""


def _by(pair: Sequence[int]) -> str:
    return "x".join(map(str, pair))


def _conv(arguments: dict[str, Any], x: Tensor, step: Step, follower: Follower, element: int) -> str:
    weight = arguments.get("weight")
    kernel = _pair(arguments.get("kernel_size") or (weight.shape[-2:] if isinstance(weight, Tensor) else 1))
    told = _grid(arguments, x, kernel)
    plain = isinstance(step.owner, nn.Conv2d) or step.owner is None
    if told and plain and not _turns_alone(arguments, x, step, follower, element):
        return f"{told}; and its filters do not turn (a plain convolution)"
    if not told and plain:
        return "its filters do not turn: a plain convolution"
    return told or ("its basis does not turn exactly" if isinstance(step.owner, BasisConv2d) else "")


def _turns_alone(arguments: dict[str, Any], x: Tensor, step: Step, follower: Follower, element: int) -> bool:
    """Whether the filters of a convolution turn, apart from stride and padding."""
    weight, state = arguments.get("weight"), step.states[0] if step.states else None
    if not isinstance(weight, Tensor) or state is None or not state.fields or x.ndim != 4:
        return True
    before, out = state.fields[0], step.fields[0][0] if step.fields[0] else Field(2)
    with torch.no_grad():
        dilation, groups = arguments.get("dilation", 1), arguments.get("groups", 1)

        def response(planes: Tensor) -> Tensor:
            return F.conv2d(planes, weight, None, 1, 0, dilation, groups)

        try:
            turned = response(before.turn(x, follower.group, element))
            return relative_error(turned, out.turn(response(x), follower.group, element)) <= follower.tolerance
        except (RuntimeError, ValueError):
            return True


def _pool(arguments: dict[str, Any], x: Tensor, step: Step, follower: Follower, element: int) -> str:  # noqa: ARG001
    return _grid(arguments, x, _pair(arguments.get("kernel_size", 1)))


def _transposed(arguments: dict[str, Any], x: Tensor, step: Step, follower: Follower, element: int) -> str:  # noqa: ARG001
    added = _pair(arguments.get("output_padding", 0))
    if any(added):
        return f"output_padding={added} adds rows and columns on one side only"
    if isinstance(step.owner, GroupConvTranspose2d):
        return "its basis does not turn exactly, or the wanted size adds rows on one side only"
    return "its filters do not turn: a plain transposed convolution"


def _pad(arguments: dict[str, Any], x: Tensor, step: Step, follower: Follower, element: int) -> str:  # noqa: ARG001
    pad = arguments.get("pad") or arguments.get("padding") or ()
    return f"it pads {tuple(pad)} (left, right, top, bottom), more on one side" if _is_one_sided(pad) else ""


def _is_one_sided(pad: Any) -> bool:
    pairs = list(zip(pad[::2], pad[1::2], strict=False)) if isinstance(pad, tuple | list) else []
    return any(a != b for a, b in pairs) or len(set(pairs[:2])) > 1


def _resize(arguments: dict[str, Any], x: Tensor, step: Step, follower: Follower, element: int) -> str:  # noqa: ARG001
    before, after, mode = x.shape[-2:], step.outputs[0].shape[-2:], arguments.get("mode", "nearest")
    if str(mode).startswith("nearest"):
        return (
            f"mode={mode!r} from {_by(before)} to {_by(after)} pixels takes the neighbour at one side; a "
            "whole factor or mode='bilinear' would not"
        )
    return f"resizing from {_by(before)} to {_by(after)} pixels by another factor than that of the sizes"


def _linear(arguments: dict[str, Any], x: Tensor, step: Step, follower: Follower, element: int) -> str:  # noqa: ARG001
    field = step.states[0].fields[0] if step.states and step.states[0].fields else None
    if field is not None and (x.ndim - 1 in field.tokens or field.planes == x.ndim - 2):
        return "it mixes places: the last axis of its input is one of the plane"
    return "its weights do not turn"


def _norm(arguments: dict[str, Any], x: Tensor, step: Step, follower: Follower, element: int) -> str:  # noqa: ARG001
    shape = tuple(arguments.get("normalized_shape", ()))
    return f"it has a weight for each place: normalized_shape={shape}" if len(shape) > 1 else ""


def _shuffle(arguments: dict[str, Any], x: Tensor, step: Step, follower: Follower, element: int) -> str:  # noqa: ARG001
    return "it lays channels out as pixels in a fixed order"


def _roll(arguments: dict[str, Any], x: Tensor, step: Step, follower: Follower, element: int) -> str:  # noqa: ARG001
    return "it shifts the plane in one direction"


def _slice(arguments: dict[str, Any], x: Tensor, step: Step, follower: Follower, element: int) -> str:  # noqa: ARG001
    return f"it cuts {tuple(step.outputs[0].shape)} out of {tuple(x.shape)}, more at one side or in steps"


_RULES: dict[str, Callable[[dict[str, Any], Tensor, Step, Follower, int], str]] = {
    "conv": _conv, "transposed": _transposed, "pool": _pool, "pad": _pad, "resize": _resize, "linear": _linear,
    "norm": _norm, "shuffle": _shuffle, "roll": _roll, "slice": _slice,
}  # fmt: skip


def _after_rearrangement(origin: Step) -> str:
    """What a layer reads that sees places as features."""
    shape = tuple(origin.outputs[0].shape)
    where = f"{origin.name} in {origin.path or 'the network'}"
    if origin.name in {"flatten", "Flatten", "view", "reshape"} and len(shape) == 2:
        return f"it reads the {shape[1]} features into which {where} lays out every place of the plane"
    return (
        f"it reads a tensor of shape {shape} that {where} lays out so that places or group elements mix with channels"
    )


def _is_uneven(step: Step, group: Group) -> bool:
    """Whether a layer with a number for each channel treats the group elements of a channel differently."""
    norms = nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.PReLU  # noqa: SLF001
    if not isinstance(step.owner, norms):
        return False
    values = [t for t in (*step.owner.parameters(False), *step.owner.buffers(False)) if t.ndim and t.numel() > 1]
    return any(len(t) % group.order == 0 and bool((t.unflatten(0, (-1, group.order)).std(1) > 0).any()) for t in values)


def _fixed_operand(step: Step, follower: Follower) -> str:
    """A tensor that does not come from the images and is not the same at all places or group elements."""
    assert step.call is not None
    if step.name not in _SUM and step.name not in {"cat", "stack"}:
        return ""
    own = (*follower.model.named_parameters(), *follower.model.named_buffers())
    names = {_storage(tensor): name for name, tensor in own}
    for tensor in step.fixed:
        if tensor.numel() > 1:
            name = names.get(_storage(tensor))
            what = f"the fixed tensor {name!r}" if name else "a fixed tensor"
            return (
                f"it takes in {what} of shape {tuple(tensor.shape)}, such as a position embedding, which does not turn"
            )
    return ""


def _storage(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):
        return -1
