"""What a conversion did, as a table."""

from dataclasses import dataclass, field
from typing import Any

from orbitconv.conversion.surgery import Entry


@dataclass(frozen=True)
class ConversionReport:
    """What became of a network.

    Args:
        group: Name of the group.
        entries: What each module became, in the order of execution.
        exchanged: What stands in place of what broke the symmetry, by path.
        losses: Where a turn by a multiple of 90 degrees is lost on the example, by path, in the order of execution.
        sizes: Sides of square images at which such turns are kept from the first layer to the last.
        parameters: Trainable parameters before and after.
        multiply_adds: Products of features with weights on the example, before and after; None if not countable.
    """

    group: str
    entries: tuple[Entry, ...]
    exchanged: tuple[tuple[str, str], ...] = ()
    losses: tuple[tuple[str, str], ...] = ()
    sizes: tuple[int, ...] = ()
    parameters: tuple[int, int] = (0, 0)
    multiply_adds: tuple[int | None, int | None] = (None, None)
    notes: dict[str, Any] = field(default_factory=dict)
