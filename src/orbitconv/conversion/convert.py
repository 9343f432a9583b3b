"""One call from a plain network to an equivariant one."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from typing import Any, Literal, Protocol, runtime_checkable

from torch import Tensor, nn

from orbitconv.conversion.axes import AxesMode, Disorder, disorder, flattened_places
from orbitconv.conversion.bases import BasisChoice, KernelSizes
from orbitconv.conversion.converted import Converted
from orbitconv.conversion.exchange import blur_strides, exchange, find_losses
from orbitconv.conversion.inherit import begin_anew, inherit_weights, input_moments
from orbitconv.conversion.measuring import exact_sizes, multiply_adds_of, small_exact_size
from orbitconv.conversion.observation import (
    Example,
    FailedRunError,
    Observation,
    as_arguments,
    observe,
    observe_branches,
    replace_modules,
    tensors_in,
)
from orbitconv.conversion.outputs import OutputChoice, Outputs, kinds_at
from orbitconv.conversion.promise import broken_promise, inexact_basis, with_loss
from orbitconv.conversion.refusals import check_convolutions, check_example, check_model, reason_of, refusal
from orbitconv.conversion.report import ConversionReport, LostTurn
from orbitconv.conversion.rules import RefusalError, base_rule
from orbitconv.conversion.singles import read_singly
from orbitconv.conversion.surgery import Entry, Plan, operate
from orbitconv.conversion.width import Width, choose_factor, narrowed, output_layers
from orbitconv.groups import Group, parse_group
from orbitconv.metrics.outputs import select
from orbitconv.models.counting import count_parameters

Pool = Literal["max", "mean"]
"""How a group axis is pooled."""

Replacement = Callable[[Any], nn.Module]
"""From a module with a forward of its own to plain layers of torch that compute the same, or nearly."""


@runtime_checkable
class Built(Protocol):
    """A network with what builds it, such as `orbitconv.load_network` gives."""

    @property
    def network(self) -> nn.Module:
        """The network."""
        ...

    @property
    def builder(self) -> Any:
        """What builds it, for files; None if that is not known."""
        ...


def convert(
    model: nn.Module | Built,
    group: Group | str,
    basis: BasisChoice = "spectral",
    *,
    example: Example | None = None,
    width: Width = "channels",
    output: OutputChoice = "invariant",
    pool: Pool = "max",
    exact: bool = False,
    antialias: bool = False,
    weights: Literal["inherit"] | None = None,
    strict: bool = True,
    replace: Mapping[type[nn.Module], Replacement] | None = None,
) -> Converted:
    """Make a network equivariant to turns (and mirrors) of its images.

    Layers are exchanged in place, and the network's own forwards stay: convolutions become lifting and group
    convolutions, linear layers and norms their twins on the group. Features keep their rank, with |G| times as many
    channels, and the group is pooled at the output. Which layer becomes what shows in a run on the example.

    Args:
        model: A plain network of any classes, or what `orbitconv.load_network` gives; it is left as it is.
        group: The group, or its name: "c4", "d4", "c8".
        basis: Family of filter bases, such as "spectral" or "exact"; a basis or the file of one; or a function from the
            kernel size to one. Families serve every kernel size (`orbitconv.conversion.bases`).
        example: What the network is called with: one tensor, a tuple of positional arguments, or a dict of keyword
            arguments. Its images should have the size of those to come.
        width: How wide hidden layers are: `"channels"` for as many channels as in the model, at every group element;
            `"params"` or `"compute"` for about as many parameters or multiply-adds as the model; or a number to
            multiply widths with.
        output: How the channels of the output turn: `"invariant"`, `"vector"`, `"regular"` or `"equivariant"`
            (`orbitconv.conversion.outputs`), for all tensors or by place, as in `{"[0]": ("vector", "invariant")}`.
        pool: How invariant channels, and gates and scores of one channel, are pooled over the group, `"max"` or
            `"mean"`.
        exact: Whether to exchange layers that lose quarter turns at the size of the example: strides for blur pooling,
            fixed heads for means of all pixels, output padding and padding on one side for symmetric layers.
        antialias: Whether to exchange every stride of two, four, ... for blur pooling, also where quarter turns keep:
            turns between lose less, at about four times the multiply-adds of a strided convolution.
        weights: None for a fresh network: filters, biases, affine weights, slopes and statistics of layers begin anew,
            and only parameters that modules of your own hold keep their values; `"inherit"` to start from those of the
            model (`orbitconv.conversion.inherit`), as the mean or maximum over turned copies of it. The projection on
            the basis is made on the example, which should then be a batch of real images.
        strict: Whether to refuse a network with a module that cannot be converted. If not, the module stays plain, its
            input is pooled over the group, and equivariance ends there; the report names it.
        replace: For classes with a forward of their own: a function from the module to plain layers of torch, which are
            then converted in its place.

    Returns:
        A module that is called as the model is, with a `report` of what became of it. Where the model came from a file,
        its `builder` is kept, so that `orbitconv.fit` can save the converted network.

    Raises:
        TypeError: If the model is no module, there is no example, or the basis is of another type.
        ValueError: If a module cannot be converted, or the output does not turn although all layers do: names it by its
            path, and says what to do. If the network has no convolution of planes, shares parameters between modules,
            or is equivariant already.

    Example:
        >>> import torch
        >>> import orbitconv
        >>> from torch import Tensor, nn
        >>> plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
        >>> network = orbitconv.convert(plain, "c4", example=torch.randn(1, 3, 32, 32))
        >>> image = torch.randn(1, 3, 32, 32)
        >>> torch.allclose(network(image), network(image.rot90(1, (2, 3))), atol=1e-5)
        True
    """
    group = parse_group(group) if isinstance(group, str) else group
    builder = None
    if not isinstance(model, nn.Module) and isinstance(model, Built):
        model, builder = model.network, model.builder
    _check_options(pool, weights, width)
    check_model(model)
    example = check_example(example, model)
    plain = _replaced(_copied(model), replace or {})
    check_convolutions(_observe_plain(plain, example), plain)
    exchanged: dict[str, str] = {}
    quarter = group.num_rotations % 4 == 0
    if antialias:
        plain, exchanged = blur_strides(plain, example)
    if exact:
        plain, more = exchange(plain, example, quarter=quarter)
        exchanged |= more
    bases = KernelSizes(group, basis)

    def operate_on(network: nn.Module) -> Operated:
        return _operate(network, example, bases, output, pool, strict=strict)

    def size_of(network: nn.Module) -> int:
        count = count_parameters(network) if width == "params" else multiply_adds_of(network, example)
        if not count:
            raise ValueError(
                "convert cannot count the multiply-adds of this network for width='compute': its forward does not run "
                "on the meta device. Take width='params' or a number."
            )
        return count

    def converted_size(factor: float) -> int:
        return size_of(operate_on(narrowed(plain, example, factor)).network)

    factor = choose_factor(width, size_of(model) if width in {"params", "compute"} else 1, converted_size)
    plain = narrowed(plain, example, factor)
    made = operate_on(plain)
    shares: dict[str, float] = {}
    if weights == "inherit":
        shares = inherit_weights(made.entries, input_moments(plain, example))
    else:
        begin_anew(made.entries)
    report = replace_fields(
        _report(model, plain, made, example, bases, quarter=quarter),
        exchanged=exchanged,
        inherited=shares,
        width=factor,
    )
    network = Converted(made.network, made.outputs, group, report, example)
    inexact = inexact_basis(network)
    loss = inexact or broken_promise(network, example)
    if loss is None and not network.report.exact_sizes and not _keeps_plain(made):
        loss = _hidden_loss(plain, example, operate_on, network)
    named = {"pool": pool, "exact": exact, "antialias": antialias, "strict": strict, "output": output, "width": factor}
    network.conversion = None if replace else _as_json(group, basis, example, named)
    network.builder = builder
    if loss is not None:
        if strict and inexact is None:
            raise ValueError(_broken(loss))
        network = with_loss(network, loss)
    return network.train(model.training)


def _as_json(group: Group, basis: BasisChoice, example: Example, named: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arguments of a conversion as a file can hold them, which brings its own weights; None where it cannot."""
    if not isinstance(basis, str) or not isinstance(example, Tensor):
        return None
    return {"group": group.name.lower(), "basis": basis, "image": list(example.shape[1:]), **named}


def _hidden_loss(
    plain: nn.Module, example: Example, operate_on: Callable[[nn.Module], "Operated"], network: Converted
) -> LostTurn | None:
    """What loses the turn beside strides and pools: measured on a twin that has these exchanged."""
    quarter = network.group.num_rotations % 4 == 0
    plain, exchanged = exchange(copy.deepcopy(plain), example, quarter=quarter)
    side = small_exact_size(plain, example, quarter=quarter) if exchanged else None
    if side is None:
        return None
    made = operate_on(plain)
    twin = Converted(made.network, made.outputs, network.group, network.report, example)
    return broken_promise(twin, example, side)


def _keeps_plain(made: "Operated") -> bool:
    """Whether a module stays plain."""
    return any(one.line.kind == "plain" for one in made.entries)


def _broken(loss: LostTurn) -> str:
    """What is wrong with a network that does not turn, though each of its layers does."""
    return (
        f"convert cannot keep the turn at {repr(loss.path) if loss.path else 'the network itself'}: {loss.reason}. Its "
        "forward fixes positions (coordinates, a plane that is flattened) or takes channels by number. Change that, or "
        "convert with strict=False: equivariance ends there."
    )


def _check_options(pool: str, weights: str | None, width: Width) -> None:
    """Refuse words that are none, and filters of other widths than there are."""
    if pool not in {"max", "mean"}:
        raise ValueError(f"convert expects pool 'max' or 'mean', got {pool!r}.")
    if weights not in {None, "inherit"}:
        raise ValueError(f"convert expects weights None or 'inherit', got {weights!r}.")
    if isinstance(width, str) and width not in {"channels", "params", "compute"}:
        raise ValueError(f"convert expects width 'channels', 'params', 'compute' or a number > 0, got {width!r}.")
    if weights == "inherit" and width not in {"channels", 1}:
        raise ValueError(
            f"convert expects width='channels' to inherit weights, got {width!r}: a narrower network has no place for "
            "all filters."
        )


@dataclass(frozen=True)
class Operated:
    """A network with its layers exchanged, what pools its output, and what each module became."""

    network: nn.Module
    outputs: Outputs
    entries: list[Entry]


def _copied(model: nn.Module) -> nn.Module:
    """A copy of the model, without gradients in its buffers."""
    try:
        return copy.deepcopy(model)
    except RuntimeError as error:
        raise ValueError(
            f"convert cannot copy the model: {str(error).partition('.')[0]}. Remove spectral norm, weight norm and "
            "pruning first (torch.nn.utils.remove_spectral_norm, ...), or convert before the first forward."
        ) from error


def _replaced(model: nn.Module, replace: Mapping[type[nn.Module], Replacement]) -> nn.Module:
    """Put the user's plain layers in place of modules of his classes."""
    made: dict[nn.Module, nn.Module] = {}
    for module in model.modules():
        if type(module) in replace:
            new = replace[type(module)](module)
            if not isinstance(new, nn.Module):
                raise TypeError(
                    f"convert expects the function for {type(module).__name__} to return a module, got "
                    f"{type(new).__name__}."
                )
            made[module] = new
    return replace_modules(model, made)


def _observe_plain(plain: nn.Module, example: Example, mode: Any = None, watch: Any = None) -> Observation:
    """One run of the plain network."""
    try:
        return observe(plain, example, mode, watch)
    except FailedRunError as error:
        where = f" (at {error.path})" if error.path else ""
        raise ValueError(
            f"convert expects an example that the network takes, but it fails on this one{where}: {error}."
        ) from error


def _operate(
    plain: nn.Module, example: Example, bases: KernelSizes, output: OutputChoice, pool: Pool, *, strict: bool
) -> Operated:
    """Exchange the layers of a copy; modules that refuse stay plain, one after the other, if that is allowed."""
    axes, disordered, kept = AxesMode(), dict[str, Disorder](), dict[str, str]()

    def watch(path: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        known = [found for x in inputs if isinstance(x, Tensor) and (found := axes.of(x)) is not None]
        looks = (disorder, flattened_places) if isinstance(module, nn.Linear) else (disorder,)
        found = [wrong for one in known for look in looks if (wrong := look(one)) is not None]
        if found:
            disordered.setdefault(path, found[0])

    seen, singles = _observe_plain(plain, example, lambda _: axes, watch), read_singly(plain, example)
    branches = observe_branches(plain, example, seen)
    unpooled, normalizing = _single_outputs(plain, example, seen, output), _normalizing(plain, example, output)
    while True:
        try:
            plan = Plan(
                bases, seen, kept, pool, disordered, singles=singles, branches=branches, unpooled=unpooled,
                normalizing=normalizing,
            )  # fmt: skip
            network, found, entries = operate(copy.deepcopy(plain), example, plan)
            runs = [seen.output, *([branches.output] if branches else [])], [one.output for one in found]
            outputs = _outputs(list(zip(*runs, strict=True)), output, bases.group, pool, strict=not kept)
            return Operated(network, outputs, entries)
        except FailedRunError as error:
            if unpooled:  # a gate of one channel on what puts out
                unpooled = set()
                continue
            if strict or not error.path or error.path in kept:
                raise refusal(error, plain) from None
            kept[error.path] = reason_of(error)


def _single_outputs(plain: nn.Module, example: Example, seen: Observation, output: OutputChoice) -> set[str]:
    """Layers of one channel that make an output which turns: they are no gates."""
    places = [place for place in select(seen.output, None, "convert") if kinds_at(place, output) != "invariant"]
    if not places:
        return set()
    modules = dict(plain.named_modules())
    made = {path for path in output_layers(plain, example, places) if path in modules}
    widths = {path: getattr(modules[path], "out_channels", getattr(modules[path], "out_features", 0)) for path in made}
    return {path for path, width in widths.items() if width == 1}


def _normalizing(plain: nn.Module, example: Example, output: OutputChoice) -> set[str]:
    """Layers that make invariant outputs of probabilities: the group is pooled before them."""
    made: list[tuple[Tensor, str]] = []
    handles = [
        module.register_forward_hook(lambda _m, _x, y, path=path: made.append((y, path)))
        for path, module in plain.named_modules()
        if base_rule(module) in {nn.Softmax, nn.LogSoftmax, nn.Softmax2d}
    ]
    found = select(observe(plain, example).output, None, "convert") if handles else {}
    for handle in handles:
        handle.remove()
    invariant = [x for place, x in found.items() if kinds_at(place, output) == "invariant"]
    return {path for y, path in made if any(x is y for x in invariant)}


def _outputs(runs: list[tuple[Any, Any]], output: OutputChoice, group: Group, pool: str, *, strict: bool) -> Outputs:
    """What pools the output; the last module that is called is to blame where its shape does not fit."""
    try:
        return Outputs(runs, output, group, pool, strict=strict)
    except RefusalError as error:
        raise FailedRunError("", error) from error


def _report(
    model: nn.Module, plain: nn.Module, made: Operated, example: Example, bases: KernelSizes, *, quarter: bool
) -> ConversionReport:
    """What became of the network."""
    entries, network = made.entries, made.network
    losses, seen = find_losses(plain, example, quarter=quarter)
    order = {call.path: index for index, call in reversed(list(enumerate(seen.calls)))}
    lost = [LostTurn(loss.path, loss.reason) for loss in losses]
    lost += [LostTurn(one.line.path, one.line.note) for one in entries if one.line.kind == "plain"]
    lost.sort(key=lambda one: order.get(one.path, len(order)))
    sizes, tried = exact_sizes(plain, example, quarter=quarter)
    images = [x for x in tensors_in(as_arguments(example)) if x.ndim == 4]
    return ConversionReport(
        group=bases.group.name,
        basis=str(bases),
        size=(images[0].shape[2], images[0].shape[3]) if images else None,
        lines=tuple(one.line for one in entries),
        lost=tuple(lost),
        exact_sizes=() if _keeps_plain(made) else sizes,
        tried_sizes=tried,
        parameters=(count_parameters(model), count_parameters(network)),
        multiply_adds=(multiply_adds_of(model, example), multiply_adds_of(network, example)),
    )
