"""Networks that a file can name: a function by its module and name, and its arguments as JSON."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from torch import nn

TRUSTED = ("orbitconv.models",)
"""Packages whose functions a file may name without asking."""


@dataclass(frozen=True)
class Builder:
    """A function that makes a network.

    Args:
        function: Module and function, such as `"timm:create_model"`.
        arguments: Its keyword arguments, such as JSON can hold.

    Raises:
        ValueError: If the function is not named so, or the arguments are more than JSON can hold.
    """

    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        module, _, name = self.function.partition(":")
        if not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
            raise ValueError(f"Builder expects a function as 'module:function', got {self.function!r}.")
        try:
            same = json.loads(json.dumps(dict(self.arguments), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ValueError(f"Builder expects arguments that JSON can hold: {error}.") from error
        object.__setattr__(self, "arguments", same)

    def trusted_by(self, packages: Collection[str]) -> bool:
        """Whether the function is of one of some modules and packages.

        Args:
            packages: Their names.

        Returns:
            True if it is.
        """
        module = self.function.partition(":")[0]
        return any(module == one or module.startswith(f"{one}.") for one in packages)

    def build(self, trusted: Collection[str] = TRUSTED) -> nn.Module:
        """Call the function.

        A file could name any function of any package, so those that may be called are listed.

        Args:
            trusted: Modules and packages whose functions may be called.

        Returns:
            The network, with the weights that the function gives it.

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
        return network
