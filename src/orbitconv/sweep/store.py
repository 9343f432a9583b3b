"""The folder of a sweep: its settings, Optuna's journal of all trials, and a lock for each running trial.

Processes, on one machine or on several that see the folder, work on one sweep together. A process that is killed lets
go of its lock, which is how the others know that its trial will never end.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from orbitconv._support.files import write_atomically
from orbitconv._support.folders import holds_files
from orbitconv._support.json_text import read_json
from orbitconv._support.locks import lock
from orbitconv._support.optional import import_optional
from orbitconv.records.settings import check_same

SETTINGS, JOURNAL = "settings.json", "trials.jsonl"

# Seconds between two looks at the trials that other processes are at.
_PATIENCE = 1.0


class SweepStore:
    """The trials of a sweep, of which so many shall end, in a folder that is made if needed.

    All processes must have the settings in common, with `seed`, `startup` and `prune_after` among them. The space holds
    Optuna's distributions by name.

    Raises:
        FileExistsError: If the folder holds something else.
        ModuleNotFoundError: If Optuna is not installed.
        NotADirectoryError: If the path is a file.
        OSError: If it cannot be written.
        ValueError: If the sweep in the folder has other settings, or its journal is damaged.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], space: Mapping[str, Any], trials: int) -> None:
        self._optuna = optuna = import_optional("optuna", "sweep", "orbitconv sweep")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._folder, self._locks, self._total = folder, folder / ".locks", trials
        self._settings, self._space = json.loads(json.dumps(settings, allow_nan=False)), dict(space)
        self._check_folder()
        self._locks.mkdir(parents=True, exist_ok=True)
        with self._alone():
            self._check_folder()
            if not (folder / SETTINGS).exists():
                write_atomically(folder / SETTINGS, json.dumps(self._settings, indent=2) + "\n")
            self.study = self._open()

    @contextmanager
    def claimed(self) -> Iterator[Any]:
        """Begin a trial, which belongs to this process within the context."""
        with ExitStack() as stack:
            while not self.finished:
                with self._alone():
                    trial = self._begin(stack)
                if trial is not None:
                    yield trial
                    return
                time.sleep(_PATIENCE)  # others are at the last ones, which may yet be killed
            yield None

    @property
    def finished(self) -> bool:
        """Whether enough trials have finished."""
        return len(self.ended) >= self._total

    @property
    def ended(self) -> list[Any]:
        """Trials that were completed or pruned, by any process."""
        states = self._optuna.trial.TrialState
        return self.study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))

    def _begin(self, stack: ExitStack) -> Any:
        """The next trial, or None once finished and running trials reach the limit."""
        running = self._optuna.trial.TrialState.RUNNING
        at_work = [t for t in self.study.get_trials(deepcopy=False, states=(running,)) if self._is_held(t.number)]
        if len(self.ended) + len(at_work) >= self._total:
            return None
        # A seed of its own for every trial: the draws do not depend on which process makes them.
        number = len(self.study.get_trials(deepcopy=False))
        seed = int(np.random.SeedSequence([self._settings["seed"], number]).generate_state(1)[0])
        sampler = self._optuna.samplers.TPESampler(n_startup_trials=self._settings["startup"], seed=seed)
        self.study.sampler = sampler
        trial = self.study.ask(self._space)
        stack.enter_context(lock(self._lock_of(trial.number), wait=True))
        return trial

    def _is_held(self, number: int) -> bool:
        """Whether a process is running a trial."""
        with lock(self._lock_of(number), wait=False) as free:
            return not free

    def _lock_of(self, number: int) -> Path:
        return self._locks / f"trial-{number:06d}"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with lock(self._locks / "sweep", wait=True):
            yield

    def _check_folder(self) -> None:
        """Refuse a folder that holds something else."""
        folder, settings = self._folder, self._folder / SETTINGS
        begun = holds_files(folder, "sweep")
        if settings.exists():
            check_same(read_json(settings), self._settings, folder)
        elif begun:
            raise FileExistsError(f"{folder} holds something else already. Choose another folder with --out.")

    def _open(self) -> Any:
        """Optuna's study, created or loaded."""
        optuna, path = self._optuna, self._folder / JOURNAL
        journal = import_optional("optuna.storages.journal", "sweep", "orbitconv sweep")
        guard = journal.JournalFileOpenLock(str(path))  # works on network file systems too
        backend = journal.JournalFileBackend(str(path), lock_obj=guard)
        guard.acquire()
        try:
            _drop_cut_off_line(path)
        finally:
            guard.release()
        warmup = self._settings["prune_after"]
        pruner = optuna.pruners.MedianPruner(n_startup_trials=self._settings["startup"], n_warmup_steps=warmup)
        try:
            storage = optuna.storages.JournalStorage(backend)
            return optuna.create_study(
                study_name="sweep", direction="minimize", storage=storage, pruner=pruner, load_if_exists=True
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged: {error}. Begin a new sweep in another folder.") from error


def _drop_cut_off_line(path: Path) -> None:
    """Remove a truncated last line before others append to the file."""
    with path.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
