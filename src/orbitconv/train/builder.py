"""Networks that a file can name: a function by its module and name, its arguments as JSON, and perhaps a conversion."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

import torch
from torch import nn

TRUSTED = ("orbitconv.models",)
"""Packages whose functions a file may name without asking."""


@dataclass(frozen=True)
class Builder:
    """A function that makes a network.

    Args:
        function: Module and function, such as `"timm:create_model"`.
        arguments: Its keyword arguments, such as JSON can hold.
        conversion: Arguments of `orbitconv.convert` for the network that the function makes, such as JSON can hold,
            with `"image"` (channels, height, width) in place of the example: `{"group": "c8", "image": [3, 32, 32]}`.
            None for the network as it is.

    Raises:
        ValueError: If the function is not named so, or the arguments are more than JSON can hold.
    """

    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    conversion: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        module, _, name = self.function.partition(":")
        if not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
            raise ValueError(f"Builder expects a function as 'module:function', got {self.function!r}.")
        object.__setattr__(self, "arguments", _in_json(self.arguments))
        if self.conversion is not None:
            conversion = _in_json(self.conversion)
            image = conversion.get("image")
            if "group" not in conversion or not isinstance(image, list) or len(image) != 3:
                raise ValueError(
                    "Builder expects a conversion with a group and an image (channels, height, width), got "
                    f"{conversion}."
                )
            object.__setattr__(self, "conversion", conversion)

    def trusted_by(self, packages: Collection[str]) -> bool:
        """Whether the function is of one of some modules and packages."""
        module = self.function.partition(":")[0]
        return any(module == one or module.startswith(f"{one}.") for one in packages)

    @property
    def basis(self) -> str:
        """Name of the basis of the network: that of the conversion with its group, or the argument `basis`, or none."""
        if self.conversion is not None and "basis" in self.conversion:
            return f"{self.conversion['basis'].partition('-')[0]}-{self.conversion['group']}".lower()
        named = self.arguments.get("basis") if self.conversion is None else None
        return named if isinstance(named, str) else "none"

    def build(self, trusted: Collection[str] = TRUSTED) -> nn.Module:
        """Call the function of a trusted module or package; the network has the weights that it gives it.

        A file could name any function of any package, so those that may be called are listed.

        Raises:
            PermissionError: If the function is of another module.
            ValueError: If there is no such function, or it refuses the arguments.
            TypeError: If it gives no module.
        """
        module, _, name = self.function.partition(":")
        if not self.trusted_by(trusted):
            raise PermissionError(
                f"The network is built by {self.function}, which is not trusted: it would run code of that package. If "
                f"you trust the file and the package, say trusted=[{module.partition('.')[0]!r}] (--trust "
                f"{module.partition('.')[0]})."
            )
        try:
            make: Any = import_module(module)
            for part in name.split("."):
                make = getattr(make, part)
            network = make(**self.arguments)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"{self.function} does not build the network: {error}.") from error
        if not isinstance(network, nn.Module):
            raise TypeError(f"Builder expects a function that returns a network, got {type(network).__name__}.")
        return network if self.conversion is None else converted(network, self.conversion)

    def of(self, network: nn.Module) -> "Builder":
        """The builder of a network with any weights, with its conversion if `orbitconv.convert` made it.

        Raises:
            ValueError: If it builds another network, whose file could not be loaded.
        """
        conversion = getattr(network, "conversion", None) if self.conversion is None else self.conversion
        builder = replace(self, conversion=conversion)
        with torch.random.fork_rng(devices=[]):
            built = builder.build((self.function.partition(":")[0],)).state_dict()
        own = {name: tensor.shape for name, tensor in network.state_dict().items()}
        other = [
            name for name in {**own, **built} if name not in own or name not in built or own[name] != built[name].shape
        ]
        if other:
            raise ValueError(
                f"{self.function} builds another network than the one that is trained, so that its file could not be "
                f"loaded: {other[0]} differs. Give the function and the arguments that it was built with"
                + (", for a converted network those of the plain one." if hasattr(network, "conversion") else ".")
            )
        return builder


def converted(network: nn.Module, conversion: Mapping[str, Any]) -> nn.Module:
    """Convert a plain network as a builder says."""
    from orbitconv.conversion import convert  # it imports the fits of bases, which few need

    options = {name: _frozen(value) for name, value in conversion.items() if name != "image"}
    dtype = next((p.dtype for p in network.parameters()), torch.get_default_dtype())
    draw = torch.Generator().manual_seed(0)
    example = torch.randn(1, *conversion["image"], generator=draw).to(dtype)
    with torch.random.fork_rng(devices=[]):
        return convert(network, example=example, **options)


def _in_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """What comes back from JSON."""
    try:
        return json.loads(json.dumps(dict(values), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"Builder expects arguments that JSON can hold: {error}.") from error


def _frozen(value: Any) -> Any:
    """Tuples for the lists of JSON."""
    if isinstance(value, dict):
        return {key: _frozen(one) for key, one in value.items()}
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value
