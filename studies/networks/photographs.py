"""All-CNN-C and ResNet-44 on photographs: on a group, plain at equal parameters, plain at equal multiply-adds."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.models import build_model, count_multiply_adds, width_for
from orbitconv.records.grouping import mean_and_spread
from orbitconv.records.record import Provenance, Record, Row
from orbitconv.train import load_trained
from orbitconv.train.config import Option
from studies.base.command import Shown, table
from studies.base.summary import errors, grouped, mean, values, where
from studies.networks.bases import Family
from studies.networks.resuming import record_of
from studies.networks.settings import Cifar10Study, NetworkStudy
from studies.networks.study import Comparison, usual_measurements
from studies.networks.trials import trials

NETWORKS: Mapping[str, tuple[str, dict[str, Option]]] = {
    "All-CNN-C": ("all-cnn-c", {}),
    "ResNet-44": ("resnet", {"depth": 44}),
}
"""The networks that are compared: their model and its options."""

PARAMETERS, MULTIPLY_ADDS = "parameters", "multiply-adds"

_IMAGE = (3, 32, 32)


@dataclass(frozen=True, kw_only=True)
class Photographs(Cifar10Study):
    """Train All-CNN-C and ResNet-44 plain and on groups at equal parameters, and plain at equal multiply-adds too.

    The defaults are the full runs: all images, 100 epochs, the widths of All-CNN-C. Later calls may add seeds, and
    several processes may share the work.
    """

    study: ClassVar[str] = "cifar10-networks"
    out: Path = Path("runs/cifar10-networks")
    networks: tuple[str, ...] = tuple(NETWORKS)
    """Networks to compare: All-CNN-C, ResNet-44."""
    families: tuple[Family, ...] = ("plain", "spectral")
    groups: tuple[str, ...] = ("c8",)
    resnet_width: int = 16
    """Channels of the first stage of the plain ResNet-44; plain_width is that of All-CNN-C."""

    @property
    def name(self) -> str:
        """Name of the study in its record, of which this is a variant."""
        return "cifar10"

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [name for name in self.networks if name not in NETWORKS]
        if unknown or not self.networks:
            raise ValueError(f"study {self.study} expects networks out of {', '.join(NETWORKS)}, got {self.networks}.")
        if "plain" not in self.families or len(self.families) < 2 or len(self.groups) != 1:
            raise ValueError(
                f"study {self.study} compares plain with one family or more on one group, got {self.families} and "
                f"{self.groups}."
            )
        if self.width != "params" or self.known is not None or self.options or self.copies:
            raise ValueError(
                f"study {self.study} chooses width and options itself and resumes from its folder only. Leave out "
                "width, known, options and copies."
            )


@dataclass(frozen=True, kw_only=True)
class _Part(NetworkStudy):
    """Networks of one model and size, in their own folder."""

    study: ClassVar[str] = "cifar10-networks"


def study_photographs(config: Photographs, progress: ProgressCallback = silent) -> Record:
    """Train and test every network, seed by seed; finished parts are not repeated."""
    rows: list[Row] = []
    source = Provenance()
    for seeds in range(1, config.seeds + 1):
        rows = []
        for name in config.networks:
            equal = replace(part(config, name), seeds=seeds)
            done = {PARAMETERS: _run(equal, progress)}
            first = next(one for one in trials(equal) if one.family != "plain")
            wide = plain_width(load_trained(first.folder(equal.out))[0], name)
            plain = replace(equal, out=config.out / f"{equal.out.name}-wide", families=("plain",), plain_width=wide)
            done[MULTIPLY_ADDS] = _run(plain, progress)
            for matched, record in done.items():
                rows += [{**row, "network": name, "matched": matched} for row in record.rows]
                source |= record.source
    record = record_of(config, rows, source)
    for row in rows:
        record.add(**row)
    return record


def part(config: Photographs, name: str) -> _Part:
    """The settings of the study as those of one network at equal parameters."""
    model, options = NETWORKS[name]
    shared: dict[str, Any] = {one.name: getattr(config, one.name) for one in fields(NetworkStudy)}
    width = config.plain_width if model == "all-cnn-c" else config.resnet_width
    return _Part(
        **{**shared, "out": config.out / name.lower(), "model": model, "options": options, "plain_width": width}
    )


def plain_width(network: nn.Module, name: str) -> int:
    """Channels of the first stage of the plain network that has the multiply-adds of a network on a group."""
    model, options = NETWORKS[name]
    budget = count_multiply_adds(network, _IMAGE)
    make = partial(build_model, model, None, in_channels=_IMAGE[0], **options)
    found = width_for(lambda width: make(width=width), budget, partial(count_multiply_adds, input_shape=_IMAGE))
    return int(found)


def _run(config: NetworkStudy, progress: ProgressCallback) -> Record:
    return Comparison(config, usual_measurements(config), progress).run()


def show(_config: object, record: Record) -> Shown:
    """Every network with its size and its errors."""
    tests, rows = list(grouped(record.rows, "test")), []
    for (name, matched, family, group), own in grouped(record.rows, "network", "matched", "family", "group").items():
        rows.append((
            name, f"{family} {group}" if family != "plain" else f"plain, equal {matched}",
            f"{own[0]['parameters']:,}", f"{own[0]['multiply_adds'] / 1e6:.0f} M",
            *(mean_and_spread(errors(own)[test], 2) for test in tests),
            f"{mean(where(own, test=tests[0]), 'seconds'):.0f}", str(len(values(where(own, test=tests[0]), 'seed'))),
        ))  # fmt: skip
    header = ("network", "filters", "parameters", "multiply-adds", *tests, "training, s", "seeds")
    return Shown([table("Photographs: test error in %", rows, *header, left=("network", "filters"))])
