"""How stable networks are under turns, layer by layer and angle by angle, and what they lose their stability to."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from orbitconv.checks import check_positive
from orbitconv.data import ImageSet
from orbitconv.experiments.network_study.going_on import known_rows, record_of
from orbitconv.experiments.network_study.measurements import (
    Measurement,
    error_at_random_angles,
    errors_at_angles,
    layer_errors,
    own_error,
    untrained,
)
from orbitconv.experiments.network_study.settings import NetworkStudy
from orbitconv.experiments.network_study.study import Comparison
from orbitconv.experiments.record import Provenance, Record, Row
from orbitconv.experiments.training import Trained, Training
from orbitconv.experiments.training.settings import Rotation
from orbitconv.progress import ProgressCallback, silent

ABLATIONS: dict[str, dict[str, Any]] = {
    "anti-aliased": {"downsample": "blur"},
    "stride": {"downsample": "stride"},
    "mean over the group": {"pool_group": "mean"},
    "wide border": {"data": "mnist-padded"},
    "disc images": {"data": "mnist-disc"},
    "disc filters": {"families": ("spectral, disc",)},
    "atoms normalized at the identity": {"families": ("spectral, identity",)},
    "3x3": {"kernel_size": 3},
    "7x7": {"kernel_size": 7},
    "7 atoms": {"atoms": 7},
    "7 atoms, anti-aliased, wide border": {"atoms": 7, "downsample": "blur", "data": "mnist-padded"},
}
"""One change each to the spectral network of the study; the last one is what lowers the error most, together."""


@dataclass(frozen=True, kw_only=True)
class StabilityStudy(NetworkStudy):
    """Error against the test angle and equivariance error of every layer, before and after training, with ablations."""

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
    """Train, then measure at every angle and at every layer; what is done already is not done again.

    Args:
        config: Settings.
        progress: Called as the work goes on.

    Returns:
        Rows with test "upright", "rotated", "angle" (with degrees) and "layer" (with when, layer, name and
        equivariance_error); column ablation tells what was changed.
    """
    rows: list[Row] = []
    source = Provenance()
    known, made_by = known_rows(config)
    for name, one in _parts(config).items():
        comparison = Comparison(one, _measurements(config), progress)
        own = [
            {key: value for key, value in row.items() if key != "ablation"} for row in known if row["ablation"] == name
        ]
        comparison.adopt(own, made_by)
        done = comparison.run()
        rows += [{**row, "ablation": name} for row in done.rows]
        source |= done.source
    record = record_of(config, [row for row in rows if row["ablation"] == "none"], source)
    for row in rows:
        record.add(**row)
    return record


def _parts(config: StabilityStudy) -> dict[str, StabilityStudy]:
    """The comparison of families, and each ablation, in a folder of its own."""
    parts = {"none": config}
    for name in config.ablations:
        folder = config.out / "ablations" / re.sub(r"[^a-z0-9]+", "-", name)
        usual: dict[str, Any] = {"families": ("spectral",), "groups": ("c8",), "rotations": ("none",)}
        parts[name] = replace(config, **{**usual, "out": folder, "known": None, **ABLATIONS[name]})
    return parts


def _measurements(config: StabilityStudy) -> list[Measurement]:
    """What is measured on every network."""
    curve = errors_at_angles(config.curve_images, range(0, 360, config.step_degrees))

    def layers(network: nn.Module, trained: Trained, images: ImageSet) -> list[Row]:
        few = images.take(min(config.layer_images, len(images)), 0)
        before = untrained(trained.config, images.images.shape[1], len(images.classes)).to(images.images.device)
        return [*layer_errors(before, few, "before"), *layer_errors(network, few, "after")]

    return [own_error("upright"), error_at_random_angles, curve, layers]
