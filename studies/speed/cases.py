"""Benchmark cases: one for each task and size, with its reference and its goals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import product
from typing import Literal

from orbitconv.groups import parse_group
from studies.base.peers import PEERS

Task = Literal["expansion", "forward", "training", "inference", "memory", "construction", "import"]
"""The tasks; `DEFINITIONS` describes them."""

DEFINITIONS: Mapping[Task, str] = {
    "expansion": (
        "Forward and backward of the expansion alone, from coefficients to the weight of the convolution. One pass is "
        "forward and backward of weight.clone() of that weight, through autograd; copy is one weight copied over "
        "another, without autograd."
    ),
    "forward": "Forward in training mode, while autograd records.",
    "training": (
        "Forward and backward, to the weights and to the input, without an optimiser: its step costs a group layer "
        "less than nn.Conv2d, which has more weights."
    ),
    "inference": (
        "Forward in evaluation mode without autograd. folded is what orbitconv.nn.fold makes of the layer; escnn and "
        "e2cnn keep their expanded filters in this mode, orbitconv expands them anew."
    ),
    "memory": (
        "Input, parameters, buffers and the largest rise above them during a training step: what torch's allocator "
        "hands out, temporaries included; what libraries such as BLAS take for themselves is not in it."
    ),
    "construction": "Building layers with their initial weights in a new process, after all imports.",
    "import": "Importing in a new process, torch included.",
}
"""Description of each task, for readers of its results."""

COLD: tuple[Task, ...] = ("construction", "import")
"""Tasks of new processes, which know neither device nor dtype."""


# Sizes, and what stands before them in names.
_SIZES = {"group": "", "kernel": "k", "fields": "f", "layers": "l", "size": "s", "batch": "b"}


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A goal of a case."""

    of: str = "orbitconv"
    to: str | None = None
    most: float


@dataclass(frozen=True, kw_only=True)
class Case:
    """One task at one size, by several subjects in turn."""

    task: Task
    group: str = "c8"
    kernel: int = 3
    fields: int = 16
    size: int = 32
    batch: int = 16
    layers: int = 1
    reference: str = "conv2d"
    subjects: tuple[str, ...] = ("orbitconv",)
    peers: bool = True
    goals: tuple[Goal, ...] = ()
    quick: bool = False

    @property
    def name(self) -> str:
        """Name of the case in records: everything that it depends on."""
        parts = [self.task, *(f"{_SIZES[name]}{value}" for name, value in self.sizes.items() if value is not None)]
        return "-".join(parts if self.reference in {"conv2d", "pass", "torch"} else [*parts, f"over-{self.reference}"])

    @property
    def sizes(self) -> dict[str, str | int | None]:
        """Its sizes by name; None for those that its task does not have."""
        absent = {
            "import": _SIZES.keys(),
            "expansion": {"size", "batch", "layers"},
            "construction": {"size", "batch"},
        }.get(self.task, {"layers"})
        return {name: None if name in absent else getattr(self, name) for name in _SIZES}

    @property
    def channels(self) -> int:
        """Channels of the expanded plain convolution."""
        return self.fields * parse_group(self.group).order


def _faster_than_peers(factor: float = 1.0) -> tuple[Goal, ...]:
    return tuple(Goal(to=peer, most=1 / factor) for peer in PEERS)


def _expansion(group: str, kernel: int, fields: int, *, bound: bool = True, quick: bool = False) -> Case:
    goals = (Goal(to="pass", most=4.0), *_faster_than_peers(2.5)) if bound else ()
    return Case(
        task="expansion", group=group, kernel=kernel, fields=fields, reference="pass", subjects=("orbitconv", "copy"),
        goals=goals, quick=quick,
    )  # fmt: skip


_SMALL = Case(task="training", fields=8, size=16, batch=4)

CURVES: dict[str, tuple[Case, ...]] = {
    "batch": tuple(replace(_SMALL, batch=batch, quick=batch <= 2) for batch in (1, 2, 4, 16, 64)),
    "width": tuple(replace(_SMALL, fields=fields) for fields in (4, 8, 16, 32, 64)),
    "order": tuple(replace(_SMALL, group=f"c{order}") for order in (4, 6, 8, 12, 16)),
    "size": tuple(replace(_SMALL, size=size) for size in (8, 16, 32, 64)),
}
"""Scaling of a training step: one of its sizes grows, the others are constant."""

# Of a training step over nn.Conv2d, by fields, size and batch.
_BOUNDS = {(16, 32, 16): 1.05, (32, 32, 16): 1.05, **dict.fromkeys(product((16, 32), (8, 16), (2,)), 1.25)}


def _training(fields: int, size: int, batch: int) -> Case:
    """A training step of a C8 layer, dense and in Fourier space; by the peers too where it has a goal or is a point."""
    case = Case(task="training", fields=fields, size=size, batch=batch, subjects=("orbitconv", "dense", "fourier"))
    bound = _BOUNDS.get((fields, size, batch))
    goals = () if bound is None else (Goal(to="conv2d", most=bound), *_faster_than_peers())
    points = {point.name: point for curve in CURVES.values() for point in curve}
    is_quick = fields == 8 and (size, batch) in {(8, 2), (16, 2)}
    return replace(case, goals=goals, peers=bound is not None or case.name in points, quick=is_quick)


CROSSOVER = tuple(
    _training(fields, size, batch)
    for fields, (batch, size) in product((8, 16, 32, 64), product((2, 16), (8, 16, 32)))
    if (fields, size, batch) != (64, 32, 16)  # minutes, and larger than where it crosses
)
"""Sizes around which the product in Fourier space becomes faster than the dense one."""

_ALL = (
    _expansion("c8", 3, 64),
    _expansion("c16", 5, 16),
    _expansion("c8", 3, 16, bound=False, quick=True),
    _expansion("d4", 5, 16, bound=False),
    *CROSSOVER,
    *(
        Case(task="training", group=group, kernel=kernel, fields=fields, goals=_faster_than_peers())
        for group, kernel, fields in (("c4", 3, 32), ("d4", 3, 16), ("c16", 5, 8))
    ),
    *(
        Case(
            task="training", fields=fields, size=16, reference="dense", subjects=("separable",), peers=False,
            goals=(Goal(of="separable", to="dense", most=0.5),) if fields == 64 else (),
        )
        for fields in (16, 32, 64)
    ),
    Case(task="forward", goals=_faster_than_peers()),
    Case(task="forward", size=8, batch=2, goals=_faster_than_peers(), quick=True),
    *(
        Case(
            task="inference", fields=fields, batch=batch, subjects=("orbitconv", "folded"), quick=quick,
            goals=(Goal(of="folded", to="conv2d", most=1.0),),
        )
        for fields, batch, quick in ((16, 16, False), (32, 16, False), (16, 1, True))
    ),
    Case(task="memory", goals=(Goal(to="conv2d", most=1.1),), quick=True),
    Case(task="memory", fields=32, goals=(Goal(to="conv2d", most=1.1),)),
    Case(task="memory", fields=32, size=8, batch=2),
    Case(task="construction", fields=64, layers=12, goals=(Goal(most=0.2),)),
    Case(task="construction", group="c16"),
    Case(task="construction", fields=8, quick=True),
    Case(task="import", reference="torch", quick=True),
)  # fmt: skip

CASES = {case.name: case for case in (*(c for curve in CURVES.values() for c in curve), *_ALL)}
"""All cases by name, in the order of their tasks below; a point of a curve that has goals too is measured once."""


def select(patterns: Sequence[str], *, quick: bool = False) -> list[Case]:
    """The cases that match patterns."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in CASES):
            raise ValueError(
                f"No benchmark case is called {pattern!r}. Cases begin with {', '.join(_tasks())}; see them all with "
                "python -m studies bench --list."
            )
    found = [case for name, case in CASES.items() if any(fnmatchcase(name, pattern) for pattern in patterns)]
    found = [case for case in found if case.quick or not quick]
    if not found:
        raise ValueError(f"None of the cases {' '.join(patterns)} is a quick one. Leave out --quick.")
    order = list(_tasks())
    return sorted(found, key=lambda case: order.index(case.task))


def _tasks() -> dict[Task, None]:
    return dict.fromkeys(case.task for case in _ALL)
