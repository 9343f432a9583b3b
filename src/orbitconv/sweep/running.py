"""Running a sweep: trial after trial, each a training in memory that may be pruned."""

from collections.abc import Mapping
from typing import Any

from orbitconv._support.optional import import_optional
from orbitconv._support.progress import FIGURES, ProgressCallback, silent
from orbitconv.data import ImageSet
from orbitconv.evaluation.network_facts import network_facts
from orbitconv.records.metric_lines import Row
from orbitconv.sweep.outcome import Outcome, outcome_of
from orbitconv.sweep.search_space import check_space, parse_search, with_values
from orbitconv.sweep.settings import Sweep
from orbitconv.sweep.store import SweepStore
from orbitconv.train import Examples, TrainConfig, train_examples
from orbitconv.train.datasets import load_split
from orbitconv.train.engine.processes import refuse_torchrun
from orbitconv.train.networks import initial_network
from orbitconv.train.run import parted


def run_sweep(config: Sweep, progress: ProgressCallback = silent) -> Outcome:
    """Search for the settings with the smallest validation error, together with all processes in the same folder.

    The test set is not even loaded. Each trial's error is that after its last epoch on images held out of the training
    set; one whose loss is NaN or infinite, or that needs too much memory, counts as cut short.

    Returns:
        All trials that ended, and the best settings, which are also written to `best.json` in the folder.
    """
    refuse_torchrun("sweep")
    base, space = config.base(), parse_search(config.search)
    distributions = {one.name: one.distribution for one in space}
    probes = check_space(base, space)
    images = load_split(base.data, "train", config.data_dir, progress)
    train, validation = parted(base, images)
    if (largest := max(probe.training.batch_size for probe in [base, *probes])) > len(train):
        raise ValueError(f"sweep would make batches of {largest} images, and there are {len(train)} to train on.")
    for probe in [base, *(probe for probe in probes if probe.network != base.network)]:
        initial_network(probe, images.images.shape[1], len(images.classes))
    store = SweepStore(config.out, config.shared(base), distributions, config.trials)
    running = True
    while running:
        with store.claimed() as trial:
            running = trial is not None
            if running:
                progress(f"sweep{FIGURES}trial {trial.number}", len(store.ended), config.trials)
                _run_trial(store, trial, with_values(base, trial.params), train, validation, progress)
    progress("sweep", config.trials, config.trials)
    return outcome_of(config, base, store)


def _run_trial(
    store: SweepStore,
    trial: Any,
    config: TrainConfig,
    train: ImageSet,
    validation: Mapping[str, Examples],
    progress: ProgressCallback,
) -> None:
    """Train one network; the journal records how the trial ended, whatever happens."""
    optuna = import_optional("optuna", "sweep", "orbitconv sweep")
    states, study, total = optuna.trial.TrialState, store.study, config.training.epochs
    done = len(store.ended)
    rows: list[Row] = []

    def judge(row: Row) -> bool:
        rows.append(row)
        if "validation_error_percent" not in row:
            return False
        trial.report(row["validation_error_percent"], row["epoch"])
        return row["epoch"] < total and trial.should_prune()

    def tell(cut_off: Any) -> None:
        if len(rows) == total:  # a request to stop may have come in the last step
            study.tell(trial, rows[-1]["validation_error_percent"])
        else:
            study.tell(trial, state=cut_off)

    def show(what: str, step: int, steps: int) -> None:
        figures = what.partition(FIGURES)[2]
        progress(f"sweep{FIGURES}trial {trial.number} at {step / steps:.0%}, {figures}", done, done + 1)

    try:
        network = initial_network(config, train.images.shape[1], len(train.classes))
        trial.set_user_attr("network", network_facts(network, config.network.basis))
        train_examples(network, Examples.of(train), config.plan(), tests=validation, progress=show, on_epoch=judge)
    except (FloatingPointError, MemoryError) as error:  # the fault of these settings, which others may not have
        trial.set_user_attr("failure", str(error))
        study.tell(trial, state=states.PRUNED)
    except BaseException:
        tell(states.FAIL)
        raise
    else:
        tell(states.PRUNED)
