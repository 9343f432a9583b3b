"""Settings shared by both studies of pictures."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from orbitconv._support.checks import check_positive
from orbitconv.bases.registry import parse_basis_name
from orbitconv.train import Augmentation, Hardware, Plan, Training
from studies.base.settings import Compared, StudySettings


@dataclass(frozen=True, kw_only=True)
class PictureStudy(StudySettings):
    """Train a plain network and one for each basis on the pictures of a folder, and test them."""

    out: Path = Path("runs/pictures")
    seeds: int = 3
    """Networks of each kind, from different seeds; tables show their mean."""
    bases: tuple[str, ...] = ("exact-d4-k3", "spectral-c8-k3", "spectral-d8-k3")
    """Bases of 3x3 kernels; the plain network is trained in any case."""
    plain_width: int = 8
    """Channels of the first stage of the plain network; all others get widths that make them as large."""
    training: Training = field(default_factory=Training)
    """How to train."""
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(rotation="circle", flip=True))
    """Augmentation of the training pictures, the same for all networks."""
    hardware: Hardware = field(default_factory=Hardware)
    """What to compute on."""
    rounds: int = 30
    """Timed training steps, or pictures, of each network, in turns."""

    def __post_init__(self) -> None:
        owner = f"study {self.study}"
        check_positive(owner, seeds=self.seeds, plain_width=self.plain_width, rounds=self.rounds)
        for name in self.bases:
            if parse_basis_name(name).kernel_size != 3:
                raise ValueError(f"{owner} expects bases of 3x3 kernels, as in spectral-c8-k3, got {name!r}.")
        for part in (self.training, self.augmentation, self.hardware):
            part.check()

    @property
    def pictures(self) -> Path:
        """The folder of the pictures."""
        return folder_of_pictures(self.data_dir, self.study)

    def plan(self, epochs: int) -> Plan:
        """How to train for so many epochs."""
        training = replace(self.training, epochs=epochs)
        return Plan(training=training, augmentation=self.augmentation, hardware=self.hardware)


def folder_of_pictures(data_dir: Path | None, study: str) -> Path:
    """The folder of a study in the folder of data sets, by default ORBITCONV_DATA."""
    root = data_dir or os.environ.get("ORBITCONV_DATA")
    if root is None or not (Path(root) / study).is_dir():
        raise FileNotFoundError(
            f"study {study} expects a folder {study}/ of pictures in --data-dir or ORBITCONV_DATA, got "
            f"{root or 'neither'}."
        )
    return Path(root) / study


@dataclass(frozen=True)
class Subject(Compared):
    """A network that is compared: its name, its basis if it has one, its size and its training."""

    name: str
    basis: str | None
    plain_width: int
    epochs: int


def compared(config: PictureStudy) -> list[Subject]:
    """The plain network and one for each basis, at equal parameters."""
    made = [Subject("plain", None, config.plain_width, config.training.epochs)]
    for name in config.bases:
        parsed = parse_basis_name(name)
        made.append(Subject(f"{parsed.family} {parsed.group.name}", name, config.plain_width, config.training.epochs))
    return made
