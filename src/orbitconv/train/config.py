"""The settings of one whole training, and their file."""

import types
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from orbitconv._support.checks import check_positive, check_seed
from orbitconv._support.files import write_atomically
from orbitconv._support.folders import to_json
from orbitconv._support.json_text import parse_json
from orbitconv._support.optional import import_optional
from orbitconv.train.settings import Augmentation, Hardware, Pictures, Plan, Training

Option = int | float | bool | str


@dataclass(frozen=True, kw_only=True)
class Network:
    """Which network to train."""

    model: str = "small"
    """Name of the network: small, p4cnn, all-cnn-c, resnet, wide-resnet; unet for masks, which take it by default. Or a
    file of a network to begin with, such as convert writes, which then brings its own basis and options."""
    basis: str = "spectral-c8-k3"
    """Basis of its filters: the name of one that comes with the package, the path of a .safetensors file, a family
    with a group such as exact-c4 or harmonic-d8, or none for the plain twin. docs/how-to/which_basis.md says which."""
    options: dict[str, Option] = field(default_factory=dict)
    """Further options of the network by name, such as plain_width 16: as many parameters as a plain network of 16
    channels. All are listed in docs/training.md."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The settings that determine a training."""

    data: str = "mnist"
    """Path of your own pictures: class folders, images/ beside masks/, either below train/ and test/, or a CSV. Or
    the name of a data set: mnist, fashion-mnist, cifar10, rotated-mnist, rotated-cifar10, or rotated-mnist-original,
    which is read from its .amat files; those that are not turned also inside a disc or padded, as mnist-disc."""
    train_images: int | None = None
    """Number of training images, chosen at random; all by default."""
    test_images: int | None = None
    """Number of test images, the first, or evenly spaced ones of user pictures; all by default."""
    validation_images: int = 0
    """Images held out of training; the weights with the smallest error on them are saved as best.safetensors."""
    test_every: int = 1
    """Epochs between two tests; the last epoch is always tested."""
    seed: int = 0
    """Random seed."""
    network: Network = field(default_factory=Network)
    """The network."""
    training: Training = field(default_factory=Training)
    """Optimizer and schedule."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """Augmentation of the training images."""
    pictures: Pictures = field(default_factory=Pictures)
    """Preparation of user pictures."""
    hardware: Hardware = field(default_factory=Hardware)
    """Device and precision."""

    def check(self) -> None:
        """Refuse invalid settings.

        Raises:
            ValueError: If a number is out of its range.
        """
        check_positive("TrainConfig", test_every=self.test_every)
        for name in ("train_images", "test_images"):
            if getattr(self, name) is not None:
                check_positive("TrainConfig", **{name: getattr(self, name)})
        check_seed("TrainConfig", self.seed)
        if self.validation_images < 0:
            raise ValueError(f"TrainConfig expects validation_images >= 0, got {self.validation_images}.")
        for part in (self.training, self.augmentation, self.hardware, self.pictures):
            part.check()

    def plan(self, checkpoint_every: int | None = None) -> Plan:
        """What the training does, apart from network and data.

        Without steps, there is a checkpoint after each epoch only.
        """
        return Plan(
            training=self.training, augmentation=self.augmentation, hardware=self.hardware, seed=self.seed,
            test_every=self.test_every, checkpoint_every=checkpoint_every,
        )  # fmt: skip


def write_config(path: Path, config: TrainConfig) -> None:
    """Write settings as JSON, in one step."""
    write_atomically(path, to_json(asdict(config)))


def read_config(path: Path, others: TrainConfig | None = None) -> TrainConfig:
    """Read and check settings that `write_config` wrote, or that were written by hand.

    What the file leaves out is that of `others`, or the default.

    Raises:
        ValueError: If a field is unknown, or its value is of another type or out of range.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (IsADirectoryError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no file of settings in JSON: {error}.") from error
    config = parse_config(text, str(path))
    if others is not None:
        config = merge(config, others, parse_json(text))
    config.check()
    return config


def parse_config(text: str | bytes, where: str) -> TrainConfig:
    """Settings from JSON, every field of its exact type.

    The error names a field, what was expected and what arrived.
    """
    pydantic = import_optional("pydantic", "train", "orbitconv's training")
    adapter = pydantic.TypeAdapter(TrainConfig, config=None)
    try:
        return adapter.validate_json(text, strict=True, extra="forbid")
    except pydantic.ValidationError as error:
        raise ValueError(f"{where} is no configuration of a training: {_explain(error)}.") from error


def merge(given: Any, saved: Any, named: Mapping[str, Any] | None = None) -> Any:
    """Merge given settings with saved ones, of one dataclass.

    `named` are the fields that were given, as in a file of settings; those that are not the default if None.
    """
    merged, defaults = {}, type(given)()
    for one in fields(given):
        value, old = getattr(given, one.name), getattr(saved, one.name)
        if is_dataclass(value):
            merged[one.name] = merge(value, old, None if named is None else named.get(one.name, {}))
        else:
            chosen = value != getattr(defaults, one.name) if named is None else one.name in named
            merged[one.name] = value if chosen else old
    return type(given)(**merged)


def _explain(error: Any) -> str:
    """List the wrong fields, what was expected, and what arrived."""
    words = []
    for one in error.errors():
        place = ".".join(map(str, one["loc"])) or "the file"
        if one["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
            words.append(f"{place} is unknown; known beside it are {', '.join(_names(one['loc'][:-1]))}")
        else:
            words.append(f"{place}: {one['msg'].removeprefix('Input ')}, got {one['input']!r}")
    return "; ".join(words)


def _names(place: tuple[int | str, ...]) -> list[str]:
    """Fields of the dataclass at a place in the settings."""
    kind: Any = TrainConfig
    for name in place:
        kind = next(one.type for one in fields(kind) if one.name == name)
        assert not isinstance(kind, types.UnionType)
    return [one.name for one in fields(kind)] if is_dataclass(kind) else []
