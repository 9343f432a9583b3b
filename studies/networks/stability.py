"""Stability of networks under rotation, by layer and by angle, and what reduces it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from orbitconv._support.checks import check_positive
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.data import ImageSet
from orbitconv.records.record import Provenance, Record, Row
from orbitconv.train import Trained, Training
from orbitconv.train.networks import initial_network
from orbitconv.train.settings import Rotation
from studies.networks.measurements import (
    Measurement,
    error_at_random_angles,
    errors_at_angles,
    layer_rows,
    own_error,
)  # fmt: skip
from studies.networks.resuming import known_rows, record_of
from studies.networks.settings import NetworkStudy
from studies.networks.study import Comparison
from studies.networks.trials import ABLATIONS_FOLDER

ABLATIONS: dict[str, dict[str, Any]] = {
    "anti-aliased": {"downsample": "blur"}, "stride": {"downsample": "stride"},
    "mean over the group": {"pool_group": "mean"}, "wide border": {"data": "padded"},
    "disc images": {"data": "disc"}, "disc filters": {"families": ("spectral, disc",)},
    "atoms normalized at the identity": {"families": ("spectral, identity",)}, "3x3": {"kernel_size": 3},
    "7x7": {"kernel_size": 7}, "7 atoms": {"atoms": 7},
    "7 atoms, anti-aliased, wide border": {"atoms": 7, "downsample": "blur", "data": "padded"},
}  # fmt: skip
"""One change each to the spectral network of the study, data by how they are changed; the last one is what helped,
together."""


@dataclass(frozen=True, kw_only=True)
class StabilityStudy(NetworkStudy):
    """Measure error against the test angle and the equivariance error of every layer, before and after training."""

    study: ClassVar[str] = "stability"
    out: Path = Path("runs/stability")
    data: str = "mnist"
    seeds: int = 1
    groups: tuple[str, ...] = ("c4", "d4", "c8", "c16")
    rotations: tuple[Rotation, ...] = ("none", "eighths", "circle")
    train_images: int | None = 12_000
    training: Training = field(default_factory=lambda: Training(epochs=5, learning_rate=1e-2, weight_decay=1e-2))
    curve_images: int = 500
    """Test images for the curve of error against angle."""
    step_degrees: int = 5
    """Step of the angle of that curve."""
    layer_images: int = 100
    """Test images that the equivariance of layers is measured on."""
    ablations: tuple[str, ...] = tuple(ABLATIONS)
    """Changes to the spectral C8 network, one at a time, with upright training images."""

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = ("curve_images", "step_degrees", "layer_images")
        check_positive("study stability", **{name: getattr(self, name) for name in sizes})
        unknown = [name for name in self.ablations if name not in ABLATIONS]
        if unknown or 360 % self.step_degrees:
            raise ValueError(
                f"study stability expects ablations out of {', '.join(ABLATIONS)}, and a step that divides 360 "
                f"degrees, got {self.ablations} and {self.step_degrees}."
            )


def study_stability(config: StabilityStudy, progress: ProgressCallback = silent) -> Record:
    """Train, then measure at every angle and every layer; finished parts are not repeated."""
    rows: list[Row] = []
    source = Provenance()
    known, made_by = known_rows(config)
    by_part: dict[str, list[dict[str, Any]]] = {}
    for row in known:
        by_part.setdefault(row["ablation"], []).append({key: row[key] for key in row if key != "ablation"})
    asked = ("none", *config.ablations)
    there = [name for name in ABLATIONS if name in by_part or (_folder(config, name).exists() and not config.overwrite)]
    parts = {name: _part(config, name) for name in dict.fromkeys((*asked, *there))}
    _check(parts, progress)
    for name, one in parts.items():
        comparison = Comparison(one, _measurements(config), progress)
        comparison.adopt(by_part.get(name, []), made_by)
        done = comparison.run() if name in asked else comparison.record()
        rows += [{**row, "ablation": name} for row in done.rows]
        source |= done.source
    config = replace(config, ablations=tuple(name for name in parts if name != "none"))
    record = record_of(config, [row for row in rows if row["ablation"] == "none"], source)
    for row in rows:
        record.add(**row)
    return record


def _part(config: StabilityStudy, name: str) -> StabilityStudy:
    """The comparison of families (ablation "none"), or an ablation, in its own folder."""
    if name == "none":
        return config
    usual: dict[str, Any] = {"families": ("spectral",), "groups": ("c8",), "rotations": ("none",)}
    changed = {**usual, "out": _folder(config, name), "known": None, **ABLATIONS[name]}
    if "data" in changed:
        changed["data"] = f"{config.data}-{changed['data']}"
    return replace(config, **changed)


def _check(parts: Mapping[str, StabilityStudy], progress: ProgressCallback) -> None:
    """Validate all parts before the first one begins."""
    for name, one in parts.items():
        try:
            Comparison(one, [], progress)
        except ValueError as error:
            if name == "none":
                raise
            raise ValueError(f"The ablation {name!r} cannot be made: {error} Leave it out of --ablations.") from error


def _folder(config: StabilityStudy, ablation: str) -> Path:
    return config.out / ABLATIONS_FOLDER / re.sub(r"[^a-z0-9]+", "-", ablation)


def _measurements(config: StabilityStudy) -> list[Measurement]:
    curve = errors_at_angles(config.curve_images, range(0, 360, config.step_degrees))

    def layers(network: nn.Module, trained: Trained, images: ImageSet) -> list[Row]:
        few = images.take(min(config.layer_images, len(images)), 0)
        before = initial_network(trained.config, images.images.shape[1], len(images.classes)).to(images.images.device)
        return [*layer_rows(before, few, "before"), *layer_rows(network, few, "after")]

    return [own_error("upright"), error_at_random_angles, curve, layers]
