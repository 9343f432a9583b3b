"""What a conversion did, as a table: what became what, what is exact, how large the network is."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from orbitconv.groups import parse_group

Kind = Literal["lifting", "group", "linear", "norm", "each element", "unchanged", "repeated", "plain"]
"""What a module is after a conversion."""

_MEANING: dict[str, str] = {
    "lifting": "from the plane to the group",
    "group": "convolution on the group",
    "linear": "linear layer on the group",
    "norm": "statistics over the group too",
    "each element": "the plain module at every element",
    "unchanged": "as it was",
    "repeated": "parameter repeated over the group",
    "plain": "stays plain: equivariance ends here",
}


_MUCH = 4
"""Times as many multiply-adds, from which on a report says how to have fewer."""


@dataclass(frozen=True)
class ReportLine:
    """What one module became.

    Args:
        path: Where it is; "" for the network itself.
        was: Class of the plain module.
        kind: What it is now.
        note: What else there is to say.
    """

    path: str
    was: str
    kind: Kind
    note: str = ""


@dataclass(frozen=True)
class LostTurn:
    """A module, by its path, after which a quarter turn of the image no longer turns the features exactly, and why."""

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ConversionReport:
    """What became of a network. Prints as a table.

    The report promises: where `is_exact`, the network is exactly equivariant to the quarter or half turns (and mirrors)
    that its group holds, on images of the size of the example, and on squares of `exact_sizes`; on images that are not
    square, to half turns. Turns between are as
    good as the basis turns filters; `orbitconv.check` measures them.

    Args:
        group: Name of the group.
        basis: What filters are made of.
        size: Height and width of the example's images; None if it has none.
        lines: What each module became, in the order of execution.
        exchanged: What stands in place of what, by path.
        lost: Modules that lose a quarter turn on the example, in the order of execution.
        exact_sizes: Sides of square images, of those tried, at which no module loses it.
        tried_sizes: Sides that were tried.
        inherited: Share of the squared plain filters that the basis holds, by path, where weights were inherited.
        width: Channels of the hidden layers, relative to the plain network.
        parameters: Trainable parameters before and after.
        multiply_adds: Products of features with weights on the example, before and after; None if not countable.
    """

    group: str
    basis: str
    size: tuple[int, int] | None
    lines: tuple[ReportLine, ...]
    exchanged: dict[str, str] = field(default_factory=dict)
    lost: tuple[LostTurn, ...] = ()
    exact_sizes: tuple[int, ...] = ()
    tried_sizes: tuple[int, ...] = ()
    inherited: dict[str, float] = field(default_factory=dict)
    width: float = 1.0
    parameters: tuple[int, int] = (0, 0)
    multiply_adds: tuple[int | None, int | None] = (None, None)

    @property
    def is_exact(self) -> bool:
        """Whether quarter turns of the example are kept from the first layer to the last."""
        return not self.lost

    @property
    def first_lost(self) -> LostTurn | None:
        """The first module that loses a quarter turn."""
        return self.lost[0] if self.lost else None

    def of(self, path: str) -> ReportLine:
        """What the module at a path became.

        Raises:
            KeyError: If nothing was done with a module of this path.
        """
        for line in self.lines:
            if line.path == path:
                return line
        raise KeyError(path)

    @property
    def turns(self) -> str:
        """What is exact where the report says so: the turns of the group that map a grid of pixels to itself."""
        rotations, square = parse_group(self.group.lower()).num_rotations, len(set(self.size or ())) < 2
        return (
            "Quarter turns"
            if rotations % 4 == 0 and square
            else "Half turns"
            if rotations % 2 == 0
            else "Turns by 0 degrees"
        )

    def summary(self) -> str:
        """The facts in a few lines, without the modules."""
        counts = Counter(line.kind for line in self.lines)
        told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        size = "the example" if self.size is None else f"{self.size[0]}x{self.size[1]} pixels"
        text = [f"Converted for {self.group} with {self.basis}: {told}."]
        first = self.first_lost
        if first is None:
            text.append(f"{self.turns} are exact on {size}.")
        else:
            text.append(
                f"{self.turns} are not exact on {size}: first lost at {first.path or 'the network'}, {first.reason}."
            )
        if self.tried_sizes:
            sizes = f"at {', '.join(map(str, self.exact_sizes))} pixels" if self.exact_sizes else "at none"
            text.append(f"Squares of {self.tried_sizes[0]} to {self.tried_sizes[-1]} pixels were tried: exact {sizes}.")
        text += [f"Exchanged at {path}: {told}." for path, told in self.exchanged.items()]
        if self.inherited:
            least = min(self.inherited, key=lambda path: self.inherited[path])
            mean = sum(self.inherited.values()) / len(self.inherited)
            text.append(
                f"The basis holds {100 * mean:.1f} % of the squared filters, least at {least}: "
                f"{100 * self.inherited[least]:.1f} %."
            )
        text.append(f"Parameters {self.parameters[0]:,} -> {self.parameters[1]:,}, widths times {self.width:.3g}.")
        if None not in self.multiply_adds:
            text.append(f"Multiply-adds {self.multiply_adds[0]:,} -> {self.multiply_adds[1]:,}.{self._cheaper()}")
        return "\n".join(text)

    def _cheaper(self) -> str:
        """What to do where the network became much larger."""
        before, after = self.multiply_adds
        if before is None or after is None or after < _MUCH * before:
            return ""
        return " With width='compute' it stays about as costly as it was, with width='params' about as large."

    def __str__(self) -> str:
        rows = [("module", "was", "became", "note")]
        rows += [(one.path or "(network)", one.was, _MEANING[one.kind], one.note) for one in self.lines]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        table = [
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip()
            for row in rows
        ]
        return "\n".join([*table, "", self.summary()])
