"""Learn the matrix of any transformation of images from pairs (f, T f), and measure it on pairs not used."""

import math
import time
import warnings
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from orbitconv._support.checks import check_positive
from orbitconv._support.devices import Device, find_device
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.data import SOURCES
from orbitconv.learn import ClosedGroup, LearnedAction, PairMoments, close_group, fit_action, save_action
from orbitconv.records.command import command_of, settings_of
from orbitconv.records.record import Record
from studies.actions.pairs import TILE, action_images, shift_randomly, windows
from studies.actions.pixels import pixel_order
from studies.actions.transformations import Transformation, find_transformation

# A matrix of so many features has 16 million entries and takes minutes.
_MOST_FEATURES = 4096

# Contrast below is rounding, relative to the size of an image.
_ROUNDING = 1e-9

# Images that are transformed at a time.
_CHUNK = 1000

# Held-out images that are kept for pictures.
_SHOWN = 9


@dataclass(frozen=True, kw_only=True)
class LearnAction:
    """Learn the matrix of any transformation of images from pairs (image, transformed image), in closed form.

    Shifts, turns, scaling, a mirror, colours, or a Python function of yours; it is not told where pixels lie. Writes
    the matrix (read it with orbitconv.learn.read_action), the figures and a picture to runs/learn-action, in seconds.
    """

    transform: str
    """shift-x, shift-y, shift-x-zero, quarter-turn, eighth-turn, mirror, scale, hue; or module:function, a function of
    yours from a batch (n, channels, height, width) to a batch of the same shape."""
    data: str | None = None
    """mnist, fashion-mnist, cifar10, or a folder of pictures; by default mnist, or cifar10 for colours."""
    pairs: int = 5000
    """Pairs to learn from."""
    held_out: int = 1000
    """Pairs to measure the error on."""
    permute: int | None = None
    """Seed of a fixed random pixel order for the learner; by default the pixel order is unchanged."""
    constraint: Literal["unitary", "none"] = "unitary"
    """unitary: keep norms; none: least squares."""
    order: int | None = None
    """Close the group: the power of the transformation that is the identity, as 28 for shifts of MNIST."""
    prior: Literal["none", "identity"] = "none"
    """Prior where the pairs determine nothing: zero output (none) or no change (identity)."""
    pre_shift: bool | None = None
    """Shift the images at random first, to excite every pixel; by default for shifts, quarter turns and the mirror."""
    color: bool = False
    """Learn on red, green and blue rather than on grey; hue always does."""
    patch: int | None = None
    """Learn on windows of this side, cut at random, rather than on whole images; by default 1 for hue."""
    seed: int = 0
    """Seed of the choice of images and of all shifts."""
    device: Device = "auto"
    """Where to learn; "auto" takes a GPU where there is one. Images are transformed on the CPU."""
    out: Path = Path("runs/learn-action")
    """Folder for the result."""
    overwrite: bool = False
    """Replace a result that is there."""
    results: Path | None = None
    """Write the record to this JSON file too."""
    data_dir: Path | None = None
    """Folder with the data sets; by default ORBITCONV_DATA, then the user's cache, then a download."""

    def __post_init__(self) -> None:
        check_positive("learn-action", pairs=self.pairs, held_out=self.held_out)
        for name in ("order", "patch"):
            if (value := getattr(self, name)) is not None:
                check_positive("learn-action", **{name: value})
        find_device("learn-action", self.device)
        if self.seed < 0 or (self.permute or 0) < 0:
            raise ValueError(f"learn-action expects seeds >= 0, got --seed {self.seed} and --permute {self.permute}.")
        if self.order is not None and self.constraint != "unitary":
            raise ValueError(
                "learn-action closes groups of matrices that keep norms only: no power of another matrix need be the "
                "identity. Drop --order, or choose --constraint unitary."
            )


@dataclass(frozen=True, eq=False, kw_only=True)
class ActionResult:
    """A learned transformation and what it was measured on."""

    transformation: Transformation
    action: LearnedAction
    group: ClosedGroup | None
    pixel_order: Int64[Tensor, " p"]
    shown: Float[Tensor, "n c h w"]
    facts: dict[str, Any]
    notes: tuple[str, ...]

    def apply(self, images: Float[Tensor, "n c h w"], power: int = 1) -> Float[Tensor, "n c h w"]:
        """Apply the learned matrix to images, whatever pixel order the learner saw."""
        features = images.movedim(1, -1) if self.facts["patch"] == 1 else images
        flat = features.reshape(-1, len(self.pixel_order))
        moved = torch.empty_like(flat)
        seen = flat[:, self.pixel_order].reshape(-1, *self.action.feature_shape)
        moved[:, self.pixel_order] = self.action.apply(seen, power).flatten(1)
        moved = moved.reshape(features.shape)
        return moved.movedim(-1, 1) if self.facts["patch"] == 1 else moved

    def matrix(self) -> Float[Tensor, "p p"]:
        """The matrix with the features in their own order again."""
        matrix = torch.empty_like(self.action.matrix)
        matrix[self.pixel_order[:, None], self.pixel_order] = self.action.matrix
        return matrix


def learn_action(config: LearnAction, progress: ProgressCallback = silent) -> ActionResult:
    """Learn a transformation and measure it on pairs not used."""
    transformation = find_transformation(config.transform)
    color = config.color or transformation.color
    data = config.data or ("cifar10" if color else "mnist")
    patch = config.patch or transformation.patch
    pre_shift = transformation.pre_shift if config.pre_shift is None else config.pre_shift
    counts = (config.pairs, config.held_out)
    tile = TILE if patch is None or patch == 1 else patch
    pools = action_images(
        data, counts, color=color, tile=tile, seed=config.seed, data_dir=config.data_dir, progress=progress
    )
    random = torch.Generator().manual_seed(config.seed)
    shown = pools[1][:_SHOWN].clone()
    images, held_out = (windows(pool, patch, random) if patch else pool for pool in pools)
    del pools
    num_features = math.prod(images.shape[1:])
    if num_features > _MOST_FEATURES:
        raise ValueError(
            f"learn-action expects at most {_MOST_FEATURES} features, got {num_features} (images of "
            f"{tuple(images.shape[1:])}). Learn on windows, with --patch."
        )
    shown = shown if patch == 1 else held_out[:_SHOWN].clone()
    if pre_shift:
        images, held_out = (shift_randomly(x, random) for x in (images, held_out))
    transformation.check(_telling(images))
    order = pixel_order(num_features, config.permute)

    def see(x: Tensor) -> Tensor:
        return x if config.permute is None else x.flatten(1)[:, order]

    progress("learn", 0, 2)
    start = time.perf_counter()
    moments = PairMoments(tuple(see(images[:1]).shape[1:]), device=find_device("learn-action", config.device))
    for chunk in images.split(_CHUNK):
        moments.update(see(chunk), see(transformation(chunk)))
    held_out_moved = transformation(held_out)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action = fit_action(
            moments,
            unitary=config.constraint == "unitary",
            prior=torch.eye(num_features, dtype=torch.float64) if config.prior == "identity" else None,
        )
        seconds = time.perf_counter() - start
        progress("learn", 1, 2)
        group, refusal = _close(action, config.order)
    facts = {
        "transform": config.transform, "data": data if data in SOURCES else "pictures", "pairs": config.pairs,
        "features": num_features, "patch": patch, "rank": action.rank,
        "error": _error(action.apply(see(held_out)), see(held_out_moved)),
        "error_of_doing_nothing": _error(held_out, held_out_moved), "norm_error": action.norm_error,
        "order": config.order,
        "closure_error": None if group is None or math.isinf(group.closure_errors[0]) else group.closure_errors[0],
        "change_to_close": None if group is None else group.changes[0], "seconds": round(seconds, 2),
    }  # fmt: skip
    progress("learn", 2, 2)
    return ActionResult(
        transformation=transformation, action=action, group=group, pixel_order=order, shown=shown, facts=facts,
        notes=tuple(str(warning.message) for warning in caught) + refusal,
    )  # fmt: skip


def write_action(result: ActionResult, config: LearnAction, folder: Path) -> Record:
    """Write what was learned and the record of it."""
    config = replace(config, data=result.facts["data"])  # without the folder of the user's pictures
    command = command_of("python -m studies learn-action", config, "learn-action")
    record = Record(study="learn-action", command=command, config=settings_of(config))
    record.rows.append(result.facts)
    record.extra["notes"] = list(result.notes)
    known = {k: v for k, v in result.facts.items() if k not in {"error", "norm_error", "rank", "seconds"}}
    save_action(
        result.action, folder / "action.safetensors",
        closed=None if result.group is None else result.group.generators[0], **known,
        held_out_error=result.facts["error"], permute=config.permute, orbitconv_version=version("orbitconv"),
    )  # fmt: skip
    return record


def _telling(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "m c h w"]:
    """The three images with most contrast: a function that mixes up images does nothing to blank ones."""
    features = images.flatten(1)
    contrast = (features - features.mean(1, keepdim=True) if features.shape[1] > 1 else features).norm(dim=1)
    if not bool((contrast > _ROUNDING * features.norm(dim=1)).any()):
        raise ValueError(
            f"learn-action expects images with some contrast, got {len(images)} constant ones. Nothing can be learned "
            "from them: look at --data, or take a larger --patch."
        )
    return images[contrast.topk(min(3, len(images))).indices]


def _error(found: Tensor, expected: Tensor) -> float:
    """Relative error over all images together; infinite only if everything became zero."""
    norm = float(expected.norm())
    return float((found - expected).norm()) / norm if norm else 0.0


def _close(action: LearnedAction, order: int | None) -> tuple[ClosedGroup | None, tuple[str, ...]]:
    """The group that an action generates, or why there is none."""
    if order is None:
        return None, ()
    try:
        return close_group([action], [order]), ()
    except ValueError as error:
        return None, (f"not closed: {error}",)
