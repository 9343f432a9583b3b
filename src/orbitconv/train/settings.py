"""Settings of the optimizer, of the augmentation and of the hardware."""

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from orbitconv._support.checks import check_positive
from orbitconv._support.devices import Device

Optimizer = Literal["adamw", "sgd"]
Schedule = Literal["one-cycle", "cosine"]
Rotation = Literal["none", "quarters", "eighths", "circle"]
Precision = Literal["32", "bf16", "16"]


@dataclass(frozen=True, kw_only=True)
class Training:
    """How to train: the optimizer and its schedule."""

    epochs: int = 5
    """Passes over the training images."""
    batch_size: int = 64
    """Images in each step, over all processes together."""
    learning_rate: float = 5e-3
    """Highest learning rate of the schedule."""
    weight_decay: float = 1e-4
    """Weight decay; AdamW decouples it from the gradient."""
    optimizer: Optimizer = "adamw"
    """AdamW, or stochastic gradient descent with Nesterov momentum."""
    momentum: float = 0.9
    """Momentum of stochastic gradient descent; AdamW does not use it."""
    schedule: Schedule = "one-cycle"
    """How the learning rate falls after the warm-up: along a cosine to nearly nothing, or to exactly zero. One-cycle
    also rises along a cosine, and moves AdamW's momentum against the rate; cosine rises linearly."""
    warmup: float = 0.3
    """Share of the steps in which the learning rate rises."""
    label_smoothing: float = 0.0
    """Share of each label that is spread evenly over all classes."""
    average: float | None = None
    """Decay per step of an exponential moving average of the weights; the average is tested and saved."""
    clip: float | None = None
    """Largest norm of the gradient; larger gradients are rescaled to it."""

    def check(self) -> None:
        """Refuse invalid settings.

        Raises:
            ValueError: If a number is out of its range, or a word is not one of those above.
        """
        check_positive("Training", epochs=self.epochs, batch_size=self.batch_size)
        _check_word("Training", "optimizer", self.optimizer, get_args(Optimizer))
        _check_word("Training", "schedule", self.schedule, get_args(Schedule))
        bounds = {
            "learning_rate > 0": self.learning_rate > 0,
            "weight_decay >= 0": self.weight_decay >= 0,
            "momentum from 0 to below 1": 0 <= self.momentum < 1,
            "warmup between 0 and 1": 0 < self.warmup < 1,
            "label_smoothing from 0 to below 1": 0 <= self.label_smoothing < 1,
            "average between 0 and 1": self.average is None or 0 < self.average < 1,
            "clip > 0": self.clip is None or self.clip > 0,
        }
        for words, holds in bounds.items():
            value = getattr(self, words.partition(" ")[0])
            if not holds or (value is not None and not math.isfinite(value)):
                raise ValueError(f"Training expects {words}, got {value}.")


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Augmentation of the training images, drawn anew in every step."""

    rotation: Rotation = "none"
    """Rotate every image by a random angle: quarter turns, multiples of 45 degrees, or any angle of the full circle."""
    flip: bool = False
    """Mirror images left to right, half of them on average."""
    crop: int = 0
    """Shift every image by up to this many pixels along each axis, padded with zeros."""
    elastic: float = 0.0
    """Elastic deformation: standard deviation of the displacement of 4x4 control points along each axis, in pixels."""

    def check(self) -> None:
        """Refuse invalid settings.

        Raises:
            ValueError: If crop or elastic is below zero, or the rotation is not one of those above.
        """
        _check_word("Augmentation", "rotation", self.rotation, get_args(Rotation))
        if isinstance(self.crop, bool) or not isinstance(self.crop, int) or self.crop < 0:
            raise ValueError(f"Augmentation expects crop as a number of pixels of zero or more, got {self.crop!r}.")
        if not 0 <= self.elastic < math.inf:
            raise ValueError(f"Augmentation expects elastic in pixels, zero or more, got {self.elastic!r}.")


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """What to compute on, and how; a run may resume on other hardware.

    For several processes or machines, start the command with torchrun: it says how many there are.
    """

    device: Device = "auto"
    """Device; "auto" takes a GPU if there is one."""
    precision: Precision = "32"
    """Precision of most layers: 32 bits, bfloat16, or 16 bits (GPU only) with scaled gradients."""
    compile: bool = False
    """Compile the network with torch.compile."""
    channels_last: bool | Literal["auto"] = "auto"
    """Memory format channels last; "auto" uses it where it is faster: on a CPU for group networks, on a GPU in 16
    bits."""
    workers: int = 0
    """Processes that read pictures during training; images in memory need none."""
    deterministic: bool = False
    """Use deterministic algorithms on a GPU, at some cost in speed; on a CPU results are always deterministic."""

    def check(self) -> None:
        """Refuse invalid settings.

        Raises:
            ValueError: If a word is not one of those above, or the device cannot compute in the precision.
        """
        _check_word("Hardware", "device", self.device, get_args(Device))
        _check_word("Hardware", "precision", self.precision, get_args(Precision))
        if self.precision == "16" and self.device == "cpu":
            raise ValueError("Hardware expects a GPU for precision 16, got device cpu. Use 32 or bf16.")
        if self.workers < 0:
            raise ValueError(f"Hardware expects workers >= 0, got {self.workers}.")
        if self.channels_last not in {False, True, "auto"}:
            raise ValueError(f"Hardware expects channels_last as False, True or 'auto', got {self.channels_last!r}.")


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """How user pictures become images; for data that is a folder or a table. See `orbitconv.data.folder`."""

    size: int | None = None
    """Side that pictures are resized to, in pixels, their largest square middle part; not for masks."""
    window: int | None = None
    """Side of windows that training pictures are cut to at random places; by default whole pictures, or up to 256 for
    masks of pictures that differ in size."""
    channels: int | None = None
    """Channels of the images; by default those of the files."""
    scaling: Literal["auto", "type", "file", "percentiles"] = "auto"
    """Scaling to floats: the range of the type to 0 to 1, the range of each file, or percentiles of the training
    pictures. "auto" takes the type for bytes and percentiles for all others."""
    pages: Literal["pictures", "channels"] | None = None
    """Meaning of the pages of stacks."""
    objects: bool | None = None
    """Whether masks number objects; detected by default."""
    ignore_index: int = 255
    """Label in masks that is ignored."""
    val_share: float | None = None
    """Share of the pictures for validation; by default 0.15 without given splits."""
    test_share: float | None = None
    """Share of the pictures for testing, without given splits; by default 0.15."""
    max_unreadable: float = 0.01
    """Largest share of unreadable pictures; they are named and skipped. One is always allowed."""
    balance: Literal["none", "weights", "sampler"] = "none"
    """Balance the classes: by weights in the loss, or by oversampling rare ones (one class for each picture)."""
    dice: float = 1.0
    """Weight of the Dice loss beside the cross-entropy, for masks."""

    def check(self) -> None:
        """Refuse invalid settings.

        Raises:
            ValueError: If a side or a share is out of its range.
        """
        given = {name: getattr(self, name) for name in ("size", "window", "channels")}
        check_positive("Pictures", **{name: value for name, value in given.items() if value is not None})
        if not 0 <= self.dice < math.inf:
            raise ValueError(f"Pictures expects dice of zero or more, got {self.dice!r}.")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The settings of a training without network, data and folder.

    Args:
        training: Optimizer and schedule.
        augmentation: How images are altered.
        hardware: What to compute on.
        seed: Seed of the order of the images, of their augmentation and of dropout.
        seed_layers: Whether dropout draws from `seed` anew in each step, which resuming from a checkpoint needs; if
            not, it draws from torch's generator as it stands.
        test_every: Epochs between two tests; the last epoch is always followed by one.
        checkpoint_every: Steps between two checkpoints; None for one after each epoch only.
    """

    training: Training
    augmentation: Augmentation = field(default_factory=Augmentation)
    hardware: Hardware = field(default_factory=Hardware)
    seed: int = 0
    seed_layers: bool = True
    test_every: int = 1
    checkpoint_every: int | None = None

    def check(self) -> None:
        """Refuse invalid settings.

        Raises:
            ValueError: If a number is out of its range.
        """
        every = {} if self.checkpoint_every is None else {"checkpoint_every": self.checkpoint_every}
        check_positive("Plan", test_every=self.test_every, **every)
        if self.seed < 0:
            raise ValueError(f"Plan expects seed >= 0, got {self.seed}.")
        for part in (self.training, self.augmentation, self.hardware):
            part.check()


def _check_word(owner: str, name: str, value: Any, known: Collection[str]) -> None:
    """Refuse an unknown word."""
    if value not in known:
        raise ValueError(f"{owner} expects {name} to be one of {', '.join(known)}, got {value!r}.")
