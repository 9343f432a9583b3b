"""Settings of a study of networks, with the defaults for each data set."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar

from orbitconv._support.checks import check_positive, check_sizes
from orbitconv.groups import parse_group
from orbitconv.models.layers import Downsample, Mixing, PoolGroup
from orbitconv.models.width import Width
from orbitconv.records.command import settings_of
from orbitconv.train import Augmentation, Hardware, Training
from orbitconv.train.config import Option
from orbitconv.train.datasets import is_turned
from orbitconv.train.settings import Rotation
from studies.base.settings import StudySettings
from studies.networks.bases import FAMILIES, Family


@dataclass(frozen=True, kw_only=True)
class NetworkStudy(StudySettings):
    """Train networks of every family and group on one data set, all as large and trained alike, and test them."""

    data: str = "mnist"
    """Name of the data set."""
    known: Path | None = None
    """Record of a study with the same settings, such as results/mnist.json: its networks count as finished."""
    seeds: int = 3
    """Networks of each kind, from different seeds; tables show their mean."""
    families: tuple[Family, ...] = FAMILIES
    """Families to compare."""
    groups: tuple[str, ...] = ("c4", "d4", "c8")
    """Groups: exact filters on those that the grid allows, all others on the rest."""
    rotations: tuple[Rotation, ...] = ("none",)
    """Rotations of the training images: none, quarters, eighths, circle."""
    kernel_size: int = 5
    """Side of the filters, in pixels."""
    atoms: int | None = None
    """Atoms of the spectral basis and the harmonic one, whose frequencies are then cut; by default as many as circular
    harmonics have."""
    model: str = "small"
    """Network: small, p4cnn, all-cnn-c, resnet, wide-resnet."""
    options: dict[str, Option] = field(default_factory=dict)
    """Further options of the network by name, such as depth 44 for a ResNet."""
    plain_width: int = 16
    """Channels of the first stage of the plain network; all others get widths that make them as large."""
    width: Width = "params"
    """What is the same for all: trainable parameters, multiply-adds, or the fields of the first stage, by a number."""
    downsample: Downsample = "max"
    """How planes are halved: 2x2 max pool, anti-aliased low-pass, or stride 2."""
    pool_group: PoolGroup = "max"
    """How the group is pooled after the last layer on it: max or mean; none keeps every copy for the last layer, for
    photographs, which have an upper side."""
    mixing: Mixing = "dense"
    """How convolutions on the group mix its axis and fields: dense, or in cheaper steps, full or separable; the plain
    network has no group to mix."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """How training images are augmented, besides rotation."""
    copies: tuple[int, ...] = ()
    """Also test every network averaged over this many rotated copies of each image, within one step of its group."""
    train_images: int | None = None
    """Number of training images; all by default."""
    training: Training = field(default_factory=lambda: Training(epochs=10, learning_rate=1e-2, weight_decay=1e-2))
    """How to train."""
    hardware: Hardware = field(default_factory=Hardware)
    """Device and precision; tests run in 32 bits."""
    tensorboard: bool = False
    """Also write TensorBoard event files for every training."""

    def __post_init__(self) -> None:
        owner = f"study {self.study}"
        check_positive(owner, seeds=self.seeds, plain_width=self.plain_width)
        check_sizes(owner, (self.kernel_size,))
        for name in ("train_images", "atoms"):
            if getattr(self, name) is not None:
                check_positive(owner, **{name: getattr(self, name)})
        if not self.families or not self.rotations:
            raise ValueError(f"{owner} expects one family or more, and one rotation or more.")
        for group in self.groups:
            parse_group(group)
        if not (self.width in {"params", "compute"} if isinstance(self.width, str) else self.width > 0):
            raise ValueError(f"{owner} expects width > 0, 'params' or 'compute', got {self.width!r}.")
        if taken := sorted({one.name for one in fields(NetworkStudy)} & set(self.options)):
            raise ValueError(f"{owner} has options of its own for {', '.join(taken)}; leave them out of options.")
        if any(copies < 2 for copies in self.copies):
            raise ValueError(f"{owner} expects two copies or more, got {self.copies}.")
        self.training.check()
        self.hardware.check()
        if self.augmentation.rotation != "none":
            raise ValueError(f"{owner} turns training images by its rotations; leave augmentation.rotation at none.")
        for rotation in self.rotations:
            replace(self.augmentation, rotation=rotation).check()

    @property
    def turned_already(self) -> bool:
        """Whether the images of the data set are rotated already, so that tests rotate nothing."""
        return is_turned(self.data)

    def settings(self) -> dict[str, Any]:
        """All settings that a result depends on, for the record."""
        return settings_of(self)


@dataclass(frozen=True, kw_only=True)
class MnistStudy(NetworkStudy):
    """Networks trained on upright digits, tested on upright ones and at random angles."""

    study: ClassVar[str] = "mnist"
    data: str = "mnist"
    out: Path = Path("runs/mnist")
    training: Training = field(default_factory=lambda: Training(epochs=3, learning_rate=1e-2, weight_decay=1e-2))


@dataclass(frozen=True, kw_only=True)
class FashionMnistStudy(NetworkStudy):
    """Networks trained on upright clothes, tested on upright ones and at random angles."""

    study: ClassVar[str] = "fashion-mnist"
    data: str = "fashion-mnist"
    out: Path = Path("runs/fashion-mnist")
    training: Training = field(default_factory=lambda: Training(epochs=5, learning_rate=1e-2, weight_decay=1e-2))


@dataclass(frozen=True, kw_only=True)
class RotatedMnistStudy(NetworkStudy):
    """Networks trained on 12,000 digits at any angle, tested on 50,000 at any angle."""

    study: ClassVar[str] = "rotated-mnist"
    data: str = "rotated-mnist"
    out: Path = Path("runs/rotated-mnist")


@dataclass(frozen=True, kw_only=True)
class Cifar10Study(NetworkStudy):
    """Networks trained on upright photographs, tested on upright ones and at random angles."""

    study: ClassVar[str] = "cifar10"
    data: str = "cifar10"
    out: Path = Path("runs/cifar10")
    kernel_size: int = 3
    model: str = "all-cnn-c"
    plain_width: int = 96
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(flip=True, crop=4))
    training: Training = field(
        default_factory=lambda: Training(epochs=100, batch_size=128, learning_rate=1e-2, weight_decay=1e-2)
    )


@dataclass(frozen=True, kw_only=True)
class RotatedCifar10Study(Cifar10Study):
    """Networks trained and tested on photographs at any angle."""

    study: ClassVar[str] = "rotated-cifar10"
    data: str = "rotated-cifar10"
    out: Path = Path("runs/rotated-cifar10")


STUDIES: dict[str, type[NetworkStudy]] = {
    one.study: one for one in (MnistStudy, FashionMnistStudy, RotatedMnistStudy, Cifar10Study, RotatedCifar10Study)
}
"""Studies by the name of their data set."""
