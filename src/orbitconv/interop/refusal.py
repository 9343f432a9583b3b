"""How the conversion says no: who refuses, where in the network, what stands there."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Place:
    """A module inside the network that is converted, with its path, and the function that the user called (`owner`)."""

    owner: str
    library: str
    path: str
    module: Any

    def below(self, name: str, module: Any) -> "Place":
        """The place of a child."""
        return Place(self.owner, self.library, f"{self.path}.{name}" if self.path else name, module)

    def refusal(self, reason: str) -> ValueError:
        """An error that names this place."""
        where = f"at {self.path}" if self.path else "the module itself"
        return ValueError(f"{self.owner} cannot convert {type(self.module).__name__} ({where}): {reason}")
