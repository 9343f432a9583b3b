"""The study: every trial is trained and tested once; a stopped study resumes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from orbitconv._support.devices import find_device
from orbitconv._support.locks import lock
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.bases import ExactBasis, FixedBasis, LearnedBasis, load_basis, save_basis
from orbitconv.data import ImageSet, rotated
from orbitconv.data.rotation import TEST_SEED
from orbitconv.evaluation.network_facts import turned_copies
from orbitconv.groups import Cyclic, parse_group
from orbitconv.learn import FineTuning, fine_tune_basis, share_learned_basis
from orbitconv.models import count_multiply_adds
from orbitconv.records.record import Provenance, Record, Row
from orbitconv.train import Trained, build_network, error_percent, load_trained, train_network
from orbitconv.train.datasets import load_split
from orbitconv.train.engine.processes import refuse_torchrun
from orbitconv.train.examples import Pixels
from studies.base.journal import Journal
from studies.base.progress import named
from studies.networks.bases import WRITTEN_DOWN, NetworkBases
from studies.networks.measurements import Measurement, error_at_random_angles, own_error
from studies.networks.resuming import fixed_settings, known_rows, record_of
from studies.networks.settings import NetworkStudy
from studies.networks.trials import (
    ABLATIONS_FOLDER,
    NETWORKS_FOLDER,
    Trial,
    copies_of,
    name_of,
    network_of,
    training_of,
    trials,
)  # fmt: skip

_FINE_TUNING_IMAGES = 2000
# Folders of a study beside that of its networks.
_BASES, _TRAINED_BASES = "bases", "trained-bases"


def compare_networks(config: NetworkStudy, progress: ProgressCallback = silent) -> Record:
    """Train and test every network of the settings; finished networks are not repeated."""
    known = known_rows(config)
    comparison = Comparison(config, usual_measurements(config), progress)
    comparison.adopt(*known)
    return comparison.run()


def usual_measurements(config: NetworkStudy) -> tuple[Measurement, ...]:
    """Errors on the test images, and at random angles unless they are rotated already."""
    return (own_error("rotated"),) if config.turned_already else (own_error("upright"), error_at_random_angles)


class Comparison:
    """A running study. Settings are validated at once; the folder is created with the first work."""

    def __init__(
        self, config: NetworkStudy, measurements: Sequence[Measurement], progress: ProgressCallback = silent
    ) -> None:
        self.config, self.measurements, self.progress = config, measurements, progress
        self.trials = list(trials(config))
        self.train, self.test = (
            load_split(config.data, split, config.data_dir, progress) for split in ("train", "test")
        )
        chosen = self.train.take(min(10_000, len(self.train)), 0)
        self._bases = NetworkBases(
            chosen.grey(), config.out / _TRAINED_BASES, dimension=config.atoms, progress=progress
        )
        check_study(config, self.trials, self.train, self._bases)

    @cached_property
    def journal(self) -> Journal:
        """The journal; with `overwrite`, earlier results are deleted on first access."""
        config = self.config
        return Journal(
            config.out, fixed_settings(config.settings()), overwrite=config.overwrite,
            also=(_BASES, _TRAINED_BASES, NETWORKS_FOLDER, ABLATIONS_FOLDER),  # those of others have the same names
        )  # fmt: skip

    def run(self) -> Record:
        """Train and test every network."""
        config = self.config
        self.journal.collect({trial.name: partial(self._work, trial) for trial in self.trials})
        several = [(trial, copies) for trial in self.trials for copies in config.copies]
        done = self.journal.done
        lost = [t.name for t, n in several if name_of(t, n) not in done and not t.folder(config.out).exists()]
        if lost:
            raise ValueError(
                f"--copies tests networks, and records do not hold them: {lost[0]} is not in {config.out}. Leave out "
                "--known to train it there."
            )
        self.journal.collect({name_of(t, copies): partial(self._ask_copies, t, copies) for t, copies in several})
        return self.record()

    def record(self) -> Record:
        """All finished rows, by any call, for the number of epochs of these settings."""
        config = self.config
        rows = [row for part in self.journal.done.values() for row in part if row["epochs"] == config.training.epochs]
        record = record_of(config, rows, self.journal.source)
        for row in rows:
            record.add(**row)
        return record

    def adopt(self, rows: Sequence[Mapping[str, Any]], source: Provenance) -> None:
        """Store networks as finished."""
        parts: dict[str, list[Row]] = {}
        for row in rows:
            trial = Trial(**{name: row[name] for name in ("family", "group", "rotation", "epochs", "seed")})
            parts.setdefault(name_of(trial, copies_of(str(row["test"]))), []).append(dict(row))
        for name, own in parts.items():
            self.journal.adopt(name, own, source)

    def _work(self, trial: Trial) -> list[Row]:
        config, basis, trained = self.config, self._basis(trial), self._train(trial)
        network, test = self._on_device(trial)
        columns: Row = {
            "family": trial.family, "group": trial.group, "kernel": config.kernel_size,
            "num_atoms": self._side**2 if basis is None else load_basis(str(basis)).num_atoms,
            "seed": trial.seed, "train": config.data, "rotation": trial.rotation, "epochs": trial.epochs,
            "precision": trained.config.hardware.precision, "parameters": trained.parameters,
            "multiply_adds": count_multiply_adds(network, tuple(self.train.images.shape[1:])),
            "seconds": round(sum(float(row["seconds"]) for row in trained.rows), 1),
        }  # fmt: skip
        measured = [row for measure in self.measurements for row in measure(network, trained, test)]
        return [{**columns, **row} for row in measured]

    def _ask_copies(self, trial: Trial, copies: int) -> list[Row]:
        network, test = self._on_device(trial)
        asked = turned_copies(network, copies)
        tests: dict[str, Callable[[], Pixels]] = {"rotated": lambda: test.images}
        if not self.config.turned_already:
            tests = {"upright": tests["rotated"], "rotated": lambda: rotated(test, TEST_SEED).images}
        known = {row["test"]: row for row in self.journal.done[trial.name]}
        return [
            {
                **known[name],
                "test": f"{name}, {copies} copies",
                "test_error_percent": error_percent(asked, make(), test.labels),
            }
            for name, make in tests.items()
        ]

    def _on_device(self, trial: Trial) -> tuple[nn.Module, ImageSet]:
        device = find_device(f"study {self.config.study}", self.config.hardware.device)
        return load_trained(trial.folder(self.config.out))[0].to(device), self.test.to(device)

    def _train(self, trial: Trial) -> Trained:
        """Train one network, or load it if it is trained."""
        return train_network(training_of(trial, self.config, self._basis(trial)), named(self.progress, trial.name))

    def _basis(self, trial: Trial) -> Path | None:
        """File of the basis of a trial, written on first use."""
        if trial.family == "plain":
            return None
        first = replace(trial, family="learned", seed=0)
        tuned = trial.family == "fine-tuned"
        # A basis is tuned through one network, which depends on how it was trained.
        through = f"-{first.folder(Path()).name}" if tuned else ""
        path = self.config.out / _BASES / f"{trial.family}-{trial.group}-k{self._side}{through}.safetensors"
        if tuned and not path.exists():
            self.journal.rows(first.name, partial(self._work, first))
            self._train(first)  # only if its rows were taken from a record, which does not hold the network
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock(path.parent / ".lock", wait=True):
            if not path.exists():
                group = parse_group(trial.group)
                made = self._fine_tuned(first) if tuned else self._bases.basis(trial.family, group, self._side)
                save_basis(made, path)
            self.journal.pin(path)
        return path

    def _fine_tuned(self, first: Trial) -> FixedBasis:
        """The basis of the paper's training, refined through its network, and averaged."""
        network, _ = load_trained(first.folder(self.config.out))
        shared = share_learned_basis(network)
        images = self.train.take(min(_FINE_TUNING_IMAGES, len(self.train)), 0).floats()
        fine_tune_basis(shared, images, parse_group(first.group), FineTuning(), progress=self.progress)
        sizes = {module.kernel_size[0]: module for module in shared.modules() if isinstance(module, LearnedBasis)}
        return sizes[self._side].average().frozen()

    @property
    def _side(self) -> int:
        return self.config.kernel_size


def check_study(config: NetworkStudy, trials: Sequence[Trial], train: ImageSet, bases: NetworkBases) -> None:
    """Validate everything that would fail later."""
    refuse_torchrun(f"study {config.study}")
    if not trials:
        raise ValueError(
            f"study {config.study} has nothing to compare: {', '.join(config.families)} on "
            f"{', '.join(config.groups)}. Exact filters are compared on c4 and d4, which the grid allows, all "
            "other families on the rest."
        )
    count = len(train if config.train_images is None else train.take(config.train_images))
    if count < config.training.batch_size:
        raise ValueError(
            f"study {config.study} expects at least one batch of {config.training.batch_size} images, got {count}."
        )
    some_basis = ExactBasis(Cyclic(4), config.kernel_size)
    for basis in {None if trial.family == "plain" else some_basis for trial in trials}:
        with torch.device("meta"):
            build_network(network_of(config, None), train.images.shape[1], len(train.classes), basis)
    for trial in trials:
        if trial.family in WRITTEN_DOWN or trial.family.startswith("spectral"):
            bases.basis(trial.family, parse_group(trial.group), config.kernel_size)
