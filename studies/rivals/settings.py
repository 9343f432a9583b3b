"""Settings shared by both studies of rivals."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from orbitconv._support.checks import check_positive, check_share
from orbitconv.bases.registry import parse_basis_name
from orbitconv.train import Hardware, Training
from studies.base.settings import StudySettings
from studies.rivals.data import KINDS


@dataclass(frozen=True, kw_only=True)
class RivalStudy(StudySettings):
    """Train plain networks and group networks on rotated pictures, all of one size."""

    may_change: ClassVar[frozenset[str]] = frozenset({"seeds", "data", "hardware"})

    out: Path = Path("runs/rivals")
    data: tuple[str, ...] = tuple(KINDS)
    """Data sets: rotated-mnist, eurosat (a folder of pictures), rotated-cifar10."""
    seeds: int = 3
    """Networks of each kind, from different seeds."""
    bases: tuple[str, ...] = ()
    """Families and groups of the group networks."""
    plain_width: int = 8
    """Channels of the first stage of the plain network; group networks get widths of equal size."""
    tolerance: float = 0.12
    """Largest relative difference between sizes that should be equal; networks outside it are refused."""
    train_images: int = 2000
    """Training pictures, drawn at random, the same for all."""
    test_images: int = 3000
    """Largest number of test pictures."""
    side: int = 32
    """Side that pictures of a folder are resized to, in pixels."""
    training: Training = field(
        default_factory=lambda: Training(epochs=4, batch_size=64, learning_rate=1e-2, weight_decay=1e-2)
    )
    """How to train. Every epoch rotates every picture at random, and mirrors it where mirror images are equivalent."""
    hardware: Hardware = field(default_factory=Hardware)
    """Device and precision."""

    def __post_init__(self) -> None:
        owner = f"study {self.study}"
        check_positive(
            owner, seeds=self.seeds, plain_width=self.plain_width, train_images=self.train_images,
            test_images=self.test_images, side=self.side,
        )  # fmt: skip
        check_share(owner, tolerance=self.tolerance)
        if not self.data or not set(self.data) <= set(KINDS):
            raise ValueError(f"{owner} expects data out of {', '.join(KINDS)}, got {', '.join(self.data) or 'none'}.")
        for name in self.bases:
            if parse_basis_name(name).kernel_size is not None:
                raise ValueError(f"{owner} expects bases without a size, as in spectral-c8, got {name!r}.")
        self.training.check()
        self.hardware.check()


@dataclass(frozen=True, kw_only=True)
class Rivals(RivalStudy):
    """Turned filters beside turned pictures: at equal parameters, multiply-adds and training time, and with all free.

    Learning rates, and the size of the free network, are chosen on pictures that are held out of the training set.
    """

    study: ClassVar[str] = "rivals"
    bases: tuple[str, ...] = (
        "exact-c4", "exact-d4", "harmonic-c8", "spectral-c8", "spectral-c16", "spectral-d8",
    )  # fmt: skip
    reference: str = "spectral-c8"
    """The group network whose multiply-adds and training time the plain networks get."""
    turns: int = 8
    """Number of rotated copies of every picture for the test-time augmentation of a plain network."""
    rates: tuple[float, ...] = (1e-2, 3e-2)
    """Candidate learning rates, for plain and for group networks."""
    sweep_widths: tuple[int, ...] = (1, 3)
    """Candidate widths of the free plain network, as multiples of plain_width."""
    sweep_epochs: tuple[int, ...] = (1, 4)
    """Candidate epochs of the free plain network, as multiples of those of all others."""
    validation: float = 0.15
    """Share of the training pictures held out for validation; networks of the tables are trained on all."""
    rounds: int = 12
    """Timed training steps, and batches of inference, of each network, in turns."""
    timed_pictures: int = 16
    """Pictures in a timed batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = "study rivals"
        check_share(owner, validation=self.validation)
        check_positive(
            owner, rounds=self.rounds, timed_pictures=self.timed_pictures, turns=self.turns,
            **{f"sweep_widths[{i}]": one for i, one in enumerate(self.sweep_widths)},
            **{f"sweep_epochs[{i}]": one for i, one in enumerate(self.sweep_epochs)},
        )  # fmt: skip
        if self.reference not in self.bases:
            raise ValueError(f"{owner} expects a reference out of {', '.join(self.bases)}, got {self.reference!r}.")
        if not self.rates or not self.sweep_widths or not self.sweep_epochs:
            raise ValueError(f"{owner} expects one rate, one width and one number of epochs, or more, to choose from.")


@dataclass(frozen=True, kw_only=True)
class Labels(RivalStudy):
    """Error against the share of labelled pictures, after equally many steps."""

    study: ClassVar[str] = "labels"
    out: Path = Path("runs/labels")
    data: tuple[str, ...] = ("rotated-mnist", "eurosat")
    train_images: int = 4000
    bases: tuple[str, ...] = ("exact-c4", "spectral-c8", "harmonic-c8")
    shares: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0)
    """Shares of the labels of every class."""
    steps: int = 125
    """Steps of every training, rounded to whole epochs; replaces training.epochs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("study labels", steps=self.steps)
        if not self.shares or not all(0 < share <= 1 for share in self.shares):
            raise ValueError(f"study labels expects shares above 0, at most 1, got {self.shares}.")
