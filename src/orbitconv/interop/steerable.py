"""Networks of escnn and e2cnn as networks here, and their weights back."""

import copy
import sys
from typing import Any

from torch import nn

from orbitconv.interop.layers import RULES, Rule, is_regular
from orbitconv.interop.refusal import Place

_VERSIONS = {"escnn": "1.0.11", "e2cnn": "0.2.3"}
"""The versions whose layouts are known."""


def from_escnn(module: nn.Module) -> nn.Module:
    """A network of escnn 1.0.11 as a network here, with the same outputs.

    The network is a `SequentialModule`, one layer, or `torch.nn.Sequential` of those and, where the features are planar
    again, of plain torch layers. `torch.nn.Sequential` stands for the order of the layers only: with
    `GeometricTensor` between them it need not run. What the network is made of, `docs/interop.md` lists.

    The result takes and returns plain tensors: trivial fields as (batch, channels, height, width), regular ones as
    (batch, channels, group, height, width) in our order of the group. Names of layers, mode and `requires_grad` stay;
    nothing is shared. Its filters are coefficients in the circular harmonics of escnn, a `FilterBasis`, and train on.

    Args:
        module: The network.

    Returns:
        The network here.

    Raises:
        TypeError: If the module is no torch module.
        ValueError: If it is of another version, or a layer, field or group has no counterpart; says which and where.

    Source: Weiler & Cesa (2019), General E(2)-equivariant steerable CNNs.
    """
    return _read("from_escnn", "escnn", module)


def from_e2cnn(module: nn.Module) -> nn.Module:
    """A network of e2cnn 0.2.3 as a network here, with the same outputs: as `from_escnn`, arguments and errors too."""
    return _read("from_e2cnn", "e2cnn", module)


def to_escnn(network: nn.Module, module: nn.Module) -> None:
    """Write the weights of a converted network, also after training, into a network of escnn of the same layers.

    Args:
        network: What `from_escnn` made.
        module: The network of escnn that it was made of, or another of the same layers; its weights are overwritten.

    Raises:
        TypeError: If the module is no torch module.
        ValueError: If the layers do not fit, or the module is of another version or has layers of no counterpart.
    """
    _write("to_escnn", "escnn", network, module)


def to_e2cnn(network: nn.Module, module: nn.Module) -> None:
    """Write the weights of what `from_e2cnn` made into a network of e2cnn: as `to_escnn`, arguments and errors too."""
    _write("to_e2cnn", "e2cnn", network, module)


def _read(owner: str, library: str, module: nn.Module) -> nn.Module:
    made: dict[nn.Module, nn.Module] = {}  # a layer that stands at several places does so here too
    is_on_group = False

    def read(place: Place) -> nn.Module:
        nonlocal is_on_group
        theirs = place.module
        if _is_container(place):
            ours = nn.Sequential()
            for name, child in _children(theirs):
                ours.add_module(name, read(place.below(name, child)))
            ours.training = theirs.training
            return ours
        rule = _rule(place)
        if rule is None and is_on_group:
            raise place.refusal(
                "it is a plain torch layer, and its input is on the group. Put GroupPooling before it, or convert the "
                "layers before it alone."
            )
        is_on_group = rule is not None and is_regular(place)
        if theirs not in made:
            made[theirs] = copy.deepcopy(theirs) if rule is None else rule.read(place).train(theirs.training)
        return made[theirs]

    return read(_root(owner, library, module))


def _write(owner: str, library: str, network: nn.Module, module: nn.Module) -> None:
    def write(place: Place, ours: nn.Module) -> None:
        if _is_container(place):
            names, given = ([name for name, _ in _children(m)] for m in (place.module, ours))
            if names != given:
                raise place.refusal(
                    f"its layers are {', '.join(names)}, those of the network given {', '.join(given)}."
                )
            for (name, child), (_, layer) in zip(_children(place.module), _children(ours), strict=True):
                write(place.below(name, child), layer)
        elif (rule := _rule(place)) is None:
            place.module.load_state_dict(ours.state_dict())
        elif rule.write is not None:
            rule.write(place, ours)

    write(_root(owner, library, module), network)


def _root(owner: str, library: str, module: Any) -> Place:
    """The network, once its library is known to be one whose layouts are."""
    if not isinstance(module, nn.Module):
        raise TypeError(f"{owner} expects a network of {library}, got {type(module).__name__}.")
    place = Place(owner, library, "", module)
    if not any(_is_of(library, m) for m in module.modules()):
        raise place.refusal(f"it holds no layer of {library}.")
    version = getattr(sys.modules.get(library), "__version__", "of an unknown version")
    if version != _VERSIONS[library]:
        raise ValueError(f"{owner} knows {library} {_VERSIONS[library]}, got a network of {library} {version}.")
    return place


def _children(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Children by name; `named_children` leaves out one that comes a second time."""
    return [(name, child) for name, child in module._modules.items() if child is not None]  # noqa: SLF001


def _is_container(place: Place) -> bool:
    """Whether a module runs its children one after the other, and does nothing else."""
    kind = type(place.module)
    return kind is nn.Sequential or (kind.__name__ == "SequentialModule" and _defines(place.library, kind))


def _rule(place: Place) -> Rule | None:
    """The rule of a layer of theirs; none for layers of torch."""
    kind, library = type(place.module), place.library
    if _defines(library, kind):
        rule = RULES.get(kind.__name__.removesuffix("2D"))
        if rule is None:
            raise place.refusal(
                f"this layer of {library} has no counterpart. docs/interop.md lists those that have one."
            )
        return rule
    if any(_is_of(library, m) for m in place.module.modules()):
        raise place.refusal(
            f"it is a class of your own around layers of {library}, whose forward cannot be read. Name its layers in "
            f"their order: {place.owner}(torch.nn.Sequential(network.first, network.second, ...))."
        )
    return None


def _is_of(library: str, module: nn.Module) -> bool:
    """Whether a module is a layer of a library, or of a class derived from one."""
    return any(_defines(library, kind) for kind in type(module).__mro__)


def _defines(library: str, kind: type) -> bool:
    return kind.__module__.partition(".")[0] == library
