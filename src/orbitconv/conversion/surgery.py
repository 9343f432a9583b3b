"""Exchange the layers of a network in place: its forwards stay, features keep rank 4 with the group in the channels.

Which layer becomes what is decided while the network runs on the example: each layer is made when it is first called,
from the width that comes in.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn.utils import parametrize

from orbitconv.conversion.axes import AxesMode, Disorder, disorder
from orbitconv.conversion.bases import KernelSizes
from orbitconv.conversion.observation import (
    Call,
    Event,
    Example,
    FailedRunError,
    Observation,
    Shape,
    observe,
    replace_modules,
    shape_of,
    tensors_in,
)
from orbitconv.conversion.probing import is_identity, keeps_turns
from orbitconv.conversion.report import ReportLine
from orbitconv.conversion.rules import (
    REFUSED,
    RULES,
    UNCHANGED,
    Made,
    RefusalError,
    Rule,
    base_rule,
    convert_each,
    field_axis,
    is_leaf,
)
from orbitconv.nn.flat import FlatLayer, FlatLinear, PooledBefore, RepeatElements

NEVER_CALLED = "never called"

_ORDER_ADVICE = (
    "Put a global pool (torch.nn.AdaptiveAvgPool2d(1)) before a linear layer, and a module of its own "
    "(torch.nn.ChannelShuffle) around a shuffle."
)


@dataclass(frozen=True)
class Entry:
    """What one module became: the line of the report, the plain module, and the one in its place."""

    line: ReportLine
    before: nn.Module
    now: nn.Module


@dataclass
class Plan:
    """What a conversion needs to know while the network runs.

    Args:
        bases: Bases by kernel size.
        plain: What the plain network was given.
        kept: Paths of the modules that stay plain, with the reason.
        reduction: How gates of one channel, and what goes into a module that stays plain, are pooled.
        disordered: Paths of the modules whose input has channels in an order that takes the group apart, with the
            reason.
        axes: What follows the group while the network runs.
        singles: Names of parameters whose numbers are read one by one, and belong to no channels.
        branches: What the plain network was given in training mode, where that calls more layers.
        unpooled: Paths of the layers of one channel that are outputs which turn, and keep the group.
        normalizing: Paths of the layers that make invariant outputs of probabilities, and pool the group before.
    """

    bases: KernelSizes
    plain: Observation
    kept: Mapping[str, str]
    reduction: Literal["max", "mean"]
    disordered: Mapping[str, Disorder] = field(default_factory=dict)
    axes: AxesMode | None = None
    singles: Collection[str] = ()
    branches: Observation | None = None
    unpooled: Collection[str] = ()
    normalizing: Collection[str] = ()

    def of(self, path: str) -> list[Call]:
        """The calls of a plain module: in eval mode, or in training mode if that calls none."""
        return self.plain.of(path) or (self.branches.of(path) if self.branches else [])


class _Pending(nn.Module):
    """A module that waits for its first call to become what its input asks for."""

    def __init__(self, path: str, plain: nn.Module, rule: Rule, plan: Plan) -> None:
        super().__init__()
        self.path, self.plain, self.rule, self.plan = path, plain, rule, plan
        self.made: Made | None = None
        self.axes: tuple[int | None, ...] = ()
        self.expect(plan.plain)

    def expect(self, plain: Observation) -> None:
        """Begin a run that follows one of the plain network, and what that was given."""
        calls = plain.of(self.path)
        self.calls, self.shapes, self.results = 0, [call.inputs for call in calls], [call.outputs for call in calls]

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("plain"), name)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Become what the input asks for, and do it."""
        if named and not inputs:
            raise RefusalError(f"it is called by keyword ({', '.join(named)}=...).", "Call it by position: layer(x).")
        axes = self._axes(inputs)
        self.calls += 1
        if self.made is None:
            self.axes = axes
            self._check_order(axes)
            self.made = self._make(axes)
            self.made.module.train(self.training)
        elif axes != self.axes:
            raise RefusalError(
                "it is called with planar features and with features on the group.",
                "Give each place a layer of its own.",
            )
        output = self.made.module(*inputs, **named)
        for y, shape in zip(tensors_in(output), self.results[self.calls - 1], strict=False):
            if self.plan.axes is not None and shape_of(y) is not None:
                self.plan.axes.note(y, field_axis(shape, y, self.plan.bases.group.order))
        return output

    def _check_order(self, axes: tuple[int | None, ...]) -> None:
        """Refuse channels in an order that takes the group apart."""
        found = self.plan.disordered.get(self.path)
        holds = found is not None and (found.always or any(axis is not None for axis in axes))
        if found is not None and holds and self.path not in self.plan.kept:
            raise RefusalError(found.reason, _ORDER_ADVICE)

    def _make(self, axes: tuple[int | None, ...]) -> Made:
        if self.path in self.plan.kept:
            order, found = self.plan.bases.group.order, self.plan.disordered.get(self.path)
            pooled = PooledBefore(self.plain, order, axes, self.plan.reduction, found.inner if found else 1)
            return Made(pooled, "plain", self.plan.kept[self.path])
        different = {axis for axis in axes if axis is not None}
        if len(different) > 1:
            raise RefusalError("its inputs hold the group on different axes.", "")
        if different and self.path in self.plan.normalizing:
            pooled = PooledBefore(self.plain, self.plan.bases.group.order, axes, self.plan.reduction)
            return Made(pooled, "unchanged", "the group is pooled before it, not after")
        made = self.rule(self.plain, next(iter(different), None), self.plan.bases)
        for layer in made.module.modules():
            if isinstance(layer, FlatLayer | FlatLinear):
                layer.reduction = self.plan.reduction
                if self.path in self.plan.unpooled and layer.pool:
                    layer.keep_group()
                    made = Made(made.module, made.kind, "an output that turns: not pooled")
        return made

    def _axes(self, inputs: tuple[Any, ...]) -> tuple[int | None, ...]:
        """The axis at which each input holds the group."""
        if self.calls >= len(self.shapes):
            raise RefusalError("it is called more often than in the plain network.", "Look for branches on shapes.")
        order = self.plan.bases.group.order
        plain: tuple[Shape | None, ...] = self.shapes[self.calls]
        for shape, x in zip(plain, inputs, strict=False):
            if (
                shape is not None
                and shape == shape_of(x)
                and self.path not in self.plan.kept
                and self.plan.axes is not None
                and self.plan.axes.holds_group(x)
            ):
                raise RefusalError(
                    f"it gets as many planes as in the plain network, {shape}, though they hold the group.",
                    "Take channels as a share of their number (chunk, x[:, : x.shape[1] // 2]), not by number.",
                )
        return tuple(
            None if shape is None or shape_of(x) is None else field_axis(shape, x, order)
            for shape, x in zip(plain, inputs, strict=False)
        )


def operate(model: nn.Module, example: Example, plan: Plan) -> tuple[nn.Module, list[Observation], list[Entry]]:
    """Exchange the layers of a network, in place.

    Returns the network; what it was given in the runs that made it, the last one in training mode if the plan has
    branches; and what each module became.

    Raises:
        FailedRunError: If a module cannot be converted, or the network does not run with the new layers; its cause is a
            RefusalError where that is known.
    """
    known = {path for path, _ in model.named_modules()}
    runs = [plan.plain] + ([plan.branches] if plan.branches else [])
    called = {call.path for run in runs for call in run.calls}
    pending: dict[nn.Module, nn.Module] = {}
    entries: list[Entry] = []
    _prepare(model, "", plan, called, pending, entries)
    model = replace_modules(model, pending)
    hidden = {waiting.path for waiting in pending.values() if isinstance(waiting, _Pending)}
    seen = []
    for run in runs:
        for waiting in pending.values():
            if isinstance(waiting, _Pending):
                waiting.expect(run)
        seen.append(_observe_group(model, example, plan, training=run is plan.branches))
        _check_branches(*(one.seen_outside(hidden, known) for one in (run, seen[-1])))
    finished: dict[nn.Module, nn.Module] = {}
    for waiting in pending.values():
        assert isinstance(waiting, _Pending)
        made = waiting.made or Made(waiting.plain, "unchanged", NEVER_CALLED)
        finished[waiting] = made.module
        was = type(waiting.plain).__name__
        line = ReportLine(waiting.path, was, made.kind, made.note)
        entries.append(Entry(line, waiting.plain, made.module))
    calls = [call for run in runs for call in run.calls]
    order = {call.path: index for index, call in reversed(list(enumerate(calls)))}
    entries.sort(key=lambda entry: order.get(entry.line.path, len(order)))
    model = replace_modules(model, finished)
    observe(model, example)  # forwards that ask layers for attributes may do so of the new ones only
    return model, seen, entries


def _check_branches(plain: list[Event], found: list[Event]) -> None:
    """Refuse forwards that do something else with the new layers, or have the group alone where channels were."""
    for before, after in zip_longest(plain, found, fillvalue=Event(("",), "return")):
        names = [one.name or f"the module {one.inside[-1]!r}" for one in (before, after)]
        if (before.inside, before.name) != (after.inside, after.name):
            common = [p for p, q in zip(before.inside, after.inside, strict=False) if p == q]
            raise FailedRunError(
                common[-1],
                RefusalError(
                    f"its forward calls {names[1]}, where it calls {names[0]} in the plain network.",
                    "It branches on classes or shapes (isinstance, x.shape == y.shape, loops over channels), which "
                    "differ. Decide in __init__, by a flag of its own.",
                ),
            )
        for shape, now, groups in zip(before.shapes, after.shapes, after.groups, strict=False):
            whole = groups is not None and math.prod(now) == math.prod(shape) * math.prod(groups)
            if whole and any(a > 1 and b == g > 1 for a, b, g in zip(shape, now, groups or (), strict=False)):
                raise FailedRunError(
                    before.inside[-1],
                    RefusalError(
                        f"{names[0]} makes {now} there, where the plain network has {shape}: an axis of channels holds "
                        "the group alone.",
                        "Look for literal numbers of channels (view, reshape, x[:, :n]).",
                    ),
                )


def _observe_group(model: nn.Module, example: Example, plan: Plan, *, training: bool) -> Observation:
    """Run the network that is being made, and follow the group through every view."""

    def mode(inside: list[str]) -> AxesMode:
        waiting = {module.path for module in model.modules() if isinstance(module, _Pending)}
        plan.axes = AxesMode(plan.bases.group.order, lambda: any(path in waiting for path in inside))
        return plan.axes

    def watch(_path: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(module, _Pending) and module.path not in plan.kept and plan.axes is not None:
            for x in inputs:
                axes = plan.axes.of(x) if isinstance(x, Tensor) else None
                wrong = None if axes is None else disorder(axes)
                if wrong is not None:
                    raise RefusalError(wrong.reason, _ORDER_ADVICE)

    return observe(model, example, mode, watch, training=training)


def _prepare(
    module: nn.Module,
    path: str,
    plan: Plan,
    called: set[str],
    pending: dict[nn.Module, nn.Module],
    entries: list[Entry],
) -> None:
    """Find the modules that are exchanged as a whole, and repeat the parameters that others own."""
    if module in pending:
        return
    if path in plan.kept:
        pending[module] = _Pending(path, module, convert_each, plan)
        return
    rule = _rule_of(module, path, plan, called)
    if rule is not None:
        pending[module] = _Pending(path, module, rule, plan)
    elif not (base_rule(module) or is_leaf(module)):
        children = list(module.named_children())  # without those that repeat parameters
        entries += _repeat_parameters(module, path, plan)
        for name, child in children:
            _prepare(child, f"{path}.{name}" if path else name, plan, called, pending, entries)


def _rule_of(module: nn.Module, path: str, plan: Plan, called: set[str]) -> Rule | None:
    """The rule of a module that is exchanged as a whole; None for what stays, or is looked into."""
    cls = base_rule(module)
    if cls is not None:
        if path in called and cls in RULES:
            _check_ordinary(module, path)
        return RULES.get(cls)
    for refused, (reason, advice) in REFUSED.items():
        if isinstance(module, refused) and path in called:
            raise FailedRunError(path, RefusalError(reason, advice))
    known = next((c for c in type(module).__mro__ if c in RULES or c in UNCHANGED), None)
    if path in called and (known or is_leaf(module)) and not isinstance(module, nn.Sequential):
        return _rule_by_trial(known, plan.of(path)[0].inputs)
    return None


def _check_ordinary(module: nn.Module, path: str) -> None:
    """Refuse layers whose weights are computed, or that call functions of others: an exchange would drop these."""
    if any(values.is_complex() for values in module.parameters(recurse=False)):
        raise FailedRunError(path, RefusalError("its weights are complex.", "Write it with two real layers."))
    if parametrize.is_parametrized(module):
        reason = "its parameters are computed by a parametrization."
        raise FailedRunError(
            path, RefusalError(reason, "Remove it first: torch.nn.utils.parametrize.remove_parametrizations.")
        )
    if module._forward_hooks or module._forward_pre_hooks:  # noqa: SLF001
        reason = "it has forward hooks (weight norm, pruning, ...), which an exchange would drop."
        raise FailedRunError(path, RefusalError(reason, "Remove them first."))


def _rule_by_trial(known: type[nn.Module] | None, shapes: tuple[Shape | None, ...]) -> Rule:
    """The rule of a class with a forward of its own: at every element alike, if it commutes with turns."""

    def rule(plain: nn.Module, axis: int | None, bases: KernelSizes) -> Made:
        if axis is None and not any(True for _ in plain.parameters()):
            return Made(plain, "unchanged", "its input is planar")
        if not any(True for _ in plain.parameters()) and is_identity(plain, shapes):
            return Made(plain, "unchanged", "the identity in eval mode")
        if not keeps_turns(plain, shapes, channels_last=axis == -1):
            name, kind = type(plain).__name__, f"a {known.__name__} with" if known else "a module with"
            raise RefusalError(
                f"{name} is {kind} a forward of its own, which does not commute with turns of the image.",
                f"Say what it is: convert(..., replace={{{name}: function}}), where function(module) returns plain "
                "layers of torch to convert in its place. Position embeddings and relative position tables fix "
                "positions: leave them out.",
            )
        made = convert_each(plain, axis, bases)
        return Made(made.module, made.kind, made.note or "own forward, which commutes with turns")

    return rule


def _repeat_parameters(module: nn.Module, path: str, plan: Plan) -> list[Entry]:
    """Repeat over the group what a module owns for each channel: layer scale, class tokens."""
    entries, order = [], plan.bases.group.order
    for name, values in list(module.named_parameters(recurse=False)):
        long = [axis for axis, size in enumerate(values.shape) if size > 1]
        where = f"{path}.{name}" if path else name
        if len(long) > 1:
            raise FailedRunError(
                path,
                RefusalError(
                    f"its parameter {name} of shape {tuple(values.shape)} has an axis beside the channels: it fixes "
                    "positions, or mixes channels by hand.",
                    "Leave position embeddings out, or write products with torch.nn.Linear.",
                ),
            )
        if long and where not in plan.singles:
            parametrize.register_parametrization(module, name, RepeatElements(long[0], order), unsafe=True)
            line = ReportLine(where, "Parameter", "repeated", f"on axis {long[0]}")
            entries.append(Entry(line, module, module))
    return entries
