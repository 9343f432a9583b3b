"""Group convolutions in cheaper steps: savings and loss of accuracy."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from orbitconv._support.checks import check_positive
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.data import ImageSet
from orbitconv.models import count_parameters, width_for
from orbitconv.models.layers import Mixing
from orbitconv.models.width import Width
from orbitconv.records.record import Provenance, Record, Row
from orbitconv.train import Examples, Plan, Trained, Training, build_network, load_trained, read_trained
from orbitconv.train.datasets import load_split
from studies.base.command import Shown, page_table
from studies.base.journal import Journal
from studies.base.summary import Rows, errors, grouped, mean, spread, where
from studies.networks.bases import Family
from studies.networks.measurements import Measurement
from studies.networks.resuming import fixed_settings, record_of
from studies.networks.settings import NetworkStudy
from studies.networks.step_times import step_times
from studies.networks.study import Comparison, usual_measurements
from studies.networks.trials import groups_of, trials
from studies.pages.markdown import test_title

NETWORKS: dict[str, tuple[Mixing, str]] = {
    "dense": ("dense", "none"),
    "full, as many fields": ("full", "fields"),
    "separable, as many fields": ("separable", "fields"),
    "full, as many parameters": ("full", "parameters"),
    "separable, as many parameters": ("separable", "parameters"),
}
"""The networks that are compared: their mixing, and which size equals that of the dense one."""


# Widths are looked for up to so many times that of the dense network.
_WIDEST = 20


@dataclass(frozen=True, kw_only=True)
class SeparableStudy(NetworkStudy):
    """Train networks whose group convolutions are dense, or done in two or three cheaper steps; show error and cost.

    Later calls may add seeds. Several processes may share the work, but steps are best timed by one process.
    """

    study: ClassVar[str] = "separable"
    out: Path = Path("runs/separable")
    data: str = "rotated-mnist"
    families: tuple[Family, ...] = ("spectral",)
    groups: tuple[str, ...] = ("c8",)
    plain_width: int = 5
    training: Training = field(default_factory=lambda: Training(epochs=3, learning_rate=1e-2, weight_decay=1e-2))
    rounds: int = 30
    """Training steps of each network that are timed, one of each in turn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("study separable", rounds=self.rounds)
        kinds = [(family, group) for family in self.families for group in groups_of(family, self)]
        if len(kinds) != 1 or self.families == ("plain",) or len(self.rotations) != 1:
            raise ValueError(
                "study separable expects one family with a basis, one group where that family is compared, and one "
                f"rotation, got {self.families}, {self.groups} and {self.rotations}."
            )
        if self.mixing != "dense" or self.width != "params" or self.known is not None:
            raise ValueError(
                "study separable chooses mixing and width itself and resumes from its folder only, got "
                f"mixing={self.mixing!r}, width={self.width!r} and known={self.known}. Leave all three out."
            )


@dataclass(frozen=True, kw_only=True)
class _Part(NetworkStudy):
    """One way of mixing, in its own folder."""

    study: ClassVar[str] = "separable"


def study_separable(config: SeparableStudy, progress: ProgressCallback = silent) -> Record:
    """Train and test every network, then time their training steps; finished parts are not repeated."""
    timed = {name: value for name, value in config.settings().items() if name != "rounds"}
    Comparison(_part(config, "dense"), [], progress)  # says what speaks against it, before anything is forgotten
    journal = Journal(config.out, fixed_settings(timed), overwrite=config.overwrite)
    rows: list[Row] = []
    source = Provenance()
    trained: dict[str, Path] = {}
    trial = next(trials(config))
    for name, (mixing, matched) in NETWORKS.items():
        width: Width = config.width
        if matched != "none":
            dense = load_trained(trained["dense"])[0]
            width = _width(dense) if matched == "fields" else _width_of_equal_parameters(trained["dense"], mixing)
        part = replace(_part(config, name), mixing=mixing, width=width)
        done = Comparison(part, [_with_width(one) for one in usual_measurements(part)], progress).run()
        rows += [
            {**row, "network": name, "mixing": mixing, "matched": matched}
            for row in done.rows
            if all(row[column] == getattr(trial, column) for column in ("family", "group", "rotation", "epochs"))
        ]
        source |= done.source
        trained[name] = trial.folder(part.out)
    steps = journal.rows(f"{trial.name}, {config.rounds} steps", partial(_time_steps, config, trained, progress))
    record = record_of(config, rows, source | journal.source)
    for row in rows:
        record.add(**row)
    record.extra["training_steps"] = steps
    return record


def _width_of_equal_parameters(dense: Path, mixing: Mixing) -> int | float:
    """Fields of the first stage for which the parameters are nearest to those of the dense network."""
    known = read_trained(dense)
    settings = known.config.network

    def make(width: float) -> nn.Module:
        options = {**settings.options, "mixing": mixing, "width": width}
        return build_network(replace(settings, options=options), known.in_channels, len(known.classes))

    wide, count = _width(known.network), count_parameters(known.network)
    # At most N D numbers of a pair of fields become one, which sqrt(N D) times the fields make up for.
    return width_for(make, count, widths=[eighths / 8 for eighths in range(4, int(8 * _WIDEST * wide))])


def _width(network: nn.Module) -> int | float:
    width = network.width
    assert isinstance(width, int | float)
    return width


def _time_steps(config: SeparableStudy, trained: Mapping[str, Path], progress: ProgressCallback) -> list[Row]:
    """Time of a training step of the networks of the first seed."""
    examples = Examples.of(load_split(config.data, "train", config.data_dir, progress))
    augmentation = replace(config.augmentation, rotation=config.rotations[0])
    plan = Plan(training=config.training, augmentation=augmentation, hardware=config.hardware)
    return step_times(trained, examples, plan, config.rounds, progress)


def _part(config: SeparableStudy, name: str) -> _Part:
    shared: dict[str, Any] = {one.name: getattr(config, one.name) for one in fields(NetworkStudy)}
    return _Part(**{**shared, "out": config.out / name.replace(", ", "-").replace(" ", "-")})


def _with_width(measurement: Measurement) -> Measurement:
    def measure(network: nn.Module, trained: Trained, images: ImageSet) -> list[Row]:
        return [{**row, "width": _width(network)} for row in measurement(network, trained, images)]

    return measure


def show(_config: object, record: Record) -> Shown:
    """The table of all networks."""
    cells = cells_of(record.rows, record.extra["training_steps"])
    return Shown([page_table("Group convolutions in cheaper steps", *cells)])


def cells_of(rows: Rows, steps: Rows) -> tuple[tuple[str, ...], str, list[tuple[str, ...]]]:
    """Every network with its size, its errors and its time: header, alignment and lines."""
    tests, lines = list(grouped(rows, "test")), []
    for step in steps:
        own = where(rows, network=step["network"])
        lines.append((
            step["network"], f"{own[0]['width']:g}", f"{own[0]['parameters']:,}",
            f"{own[0]['multiply_adds'] / 1e6:.1f} M", *(spread(errors(own)[test], 2) for test in tests),
            f"{mean(own, 'seconds'):.0f} s", f"{step['step_ratio']:.2f}",
        ))  # fmt: skip
    header = ("convolutions", "fields", "parameters", "multiply-adds", *map(test_title, tests))
    return (*header, "training", "training step, dense = 1"), "lrrr" + "r" * len(tests) + "rr", lines
