"""The pictures of both studies: size, held-out part, and subsets with few labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

import orbitconv
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.data import rotated_set
from orbitconv.train.datasets import load_split
from studies.pictures.settings import folder_of_pictures
from studies.rivals.upright import Pose

Examples = tuple[Float[Tensor, "n c h w"], Int64[Tensor, " n"]]


@dataclass(frozen=True)
class Kind:
    """Requirements of a data set: the network, whether mirror images are equivalent, and the pose."""

    shape: str
    flip: bool
    pose: Pose


KINDS: Mapping[str, Kind] = {
    "rotated-mnist": Kind("digits", False, "moments"),
    "eurosat": Kind("pictures", True, "gradient"),
    "rotated-cifar10": Kind("pictures", True, "gradient"),
}
"""The supported data sets."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """A data set in memory."""

    name: str
    kind: Kind
    train: Examples
    test: Examples

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.train[1].max()) + 1

    @property
    def image(self) -> tuple[int, ...]:
        """Channels, height and width."""
        return tuple(self.train[0].shape[1:])


def load_pictures(
    name: str, train_images: int, test_images: int, side: int, data_dir: Path | None,
    progress: ProgressCallback = silent,
) -> Pictures:  # fmt: skip
    """Load the same pictures in every call; `side` is that of pictures in a folder, in pixels."""
    counts = {"train": train_images, "test": test_images}
    if name == "eurosat":
        found = orbitconv.data.folder(folder_of_pictures(data_dir, name), size=side, progress=progress)
        parts = [found.split(split).stacked(progress) for split in ("train", "test")]
        _check_count(name, train_images, len(parts[0][1]))
        train, test = (_drawn(part, count) for part, count in zip(parts, counts.values(), strict=True))
    else:
        train, test = (_turned(name, split, count, data_dir, progress) for split, count in counts.items())
    return Pictures(name, KINDS[name], train, test)


def _turned(name: str, split: str, count: int, data_dir: Path | None, progress: ProgressCallback) -> Examples:
    """Part of a set, rotated at random. Photographs are sampled first, as rotating all would take too long."""
    upright = "cifar10" if name == "rotated-cifar10" else None
    found = load_split(upright or name, split, data_dir, progress)
    if split == "train":
        _check_count(name, count, len(found))
    found = found.take(min(count, len(found)), 0)
    if upright:
        found = rotated_set(found, int(split == "test"))
    return found.floats(), found.labels


def _check_count(name: str, asked: int, there: int) -> None:
    """Refuse to train on more pictures than there are."""
    if asked > there:
        raise ValueError(
            f"The studies of rivals expect --train-images of at most {there:,}, which {name} has, got {asked:,}."
        )


def held_out(examples: Examples, share: float, seed: int, owner: str) -> tuple[Examples, Examples]:
    """Split off a stratified validation part; returns the rest and that part."""
    counts = _counts(examples)
    least = min(counts.values())
    if least * share < 1 or least - round(least * share) < 1:
        raise ValueError(
            f"{owner} holds out {share:.0%} of the labels of every class for validation, which takes at least "
            f"{max(2, round(1 / share + 0.5))} of each; the rarest class has {least}. Give more training images."
        )
    index = _by_class(examples[1], share, seed)
    left = torch.ones(len(examples[1]), dtype=torch.bool)
    left[index] = False
    return _picked(examples, left.nonzero()[:, 0]), _picked(examples, index)


def labelled(examples: Examples, share: float, seed: int, owner: str) -> Examples:
    """A share of each class; for one seed, larger shares contain smaller ones."""
    least = min(_counts(examples).values())
    if least * share < 1:
        raise ValueError(
            f"{owner} expects at least one label of every class, and {share:.2%} of the {least} labels of the rarest "
            "class are less. Give more training images or a larger share."
        )
    return _picked(examples, _by_class(examples[1], share, seed))


def _by_class(labels: Int64[Tensor, " n"], share: float, seed: int) -> Int64[Tensor, " m"]:
    """Indices of a share of each class, in ascending order."""
    draw = torch.Generator().manual_seed(seed)
    chosen = []
    for label in labels.unique():
        places = (labels == label).nonzero()[:, 0]
        places = places[torch.randperm(len(places), generator=draw)]
        chosen.append(places[: round(share * len(places))])
    return torch.cat(chosen).sort().values


def _counts(examples: Examples) -> dict[int, int]:
    return dict(enumerate(examples[1].bincount().tolist()))


def _drawn(examples: Examples, count: int) -> Examples:
    """At most this many pictures, drawn at random, the same in every call."""
    return _picked(examples, torch.randperm(len(examples[1]), generator=torch.Generator().manual_seed(0))[:count])


def _picked(examples: Examples, index: Int64[Tensor, " m"]) -> Examples:
    return examples[0][index], examples[1][index]
