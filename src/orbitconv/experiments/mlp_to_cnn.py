"""From an MLP to a CNN: digits classified by networks that ignore, learn or know what a translation is.

The talk's experiment, and one step on: all pixels in one fixed random order. What an MLP learns is then the same, a CNN
loses what it is built on, and the action of translations is learned from pairs of vectors as before.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from torch import nn

from orbitconv.checks import check_positive
from orbitconv.data import load
from orbitconv.experiments.commands import command_of, settings_of
from orbitconv.experiments.files import write_arrays
from orbitconv.experiments.journal import Journal
from orbitconv.experiments.mlp_bench import FAMILIES, Bench, measure
from orbitconv.experiments.mlp_curves import few_labels, few_pairs
from orbitconv.experiments.mlp_lessons import Lessons
from orbitconv.experiments.record import Record, Row
from orbitconv.experiments.training import Training
from orbitconv.nn import OrbitLinear
from orbitconv.progress import ProgressCallback, silent

TESTS = ("plain", "permuted", "zero-filled")
"""Pixels row by row; in a fixed random order; in that order, with an action learned from shifts with zero fill."""


@dataclass(frozen=True, kw_only=True)
class MlpToCnn:
    """Train an MLP, a network with learned translations, and a CNN, on digits in plain and in random pixel order."""

    out: Path = Path("runs/mlp-to-cnn")
    """Folder of the result; a study that was stopped goes on from what is in it."""
    overwrite: bool = False
    """Begin anew."""
    data_dir: Path | None = None
    """Folder with the data sets; by default ORBITCONV_DATA, then the user's cache, then a download."""
    results: Path | None = None
    """Write the record to this JSON file too."""
    parts: Literal["main", "pairs", "labels", "all"] = "all"
    """What to do: the main comparison, the curve over pairs, that over labels. What is done already takes no time."""
    seeds: int = 3
    """Networks of each kind in the main comparison, from different seeds."""
    train_images: int = 60_000
    """Training digits."""
    test_images: int = 10_000
    """Test digits."""
    pairs: int = 5000
    """Pairs to learn each of the two shifts from."""
    reach: int = 8
    """Where shifts are filled with zeros: how far digits are shifted at random first, in pixels."""
    curve_pairs: tuple[int, ...] = (20, 50, 200, 800, 3000, 10_000, 60_000)
    """Numbers of pairs for the curve."""
    curve_pair_labels: int = 6000
    """Labelled digits of the networks on that curve."""
    curve_labels: tuple[int, ...] = (100, 300, 1000, 3000, 10_000)
    """Numbers of labelled digits for the other curve; the main comparison adds the last point."""
    curve_steps: int = 1500
    """Fewest steps of any training: with few labels every network takes more epochs, up to these."""
    curve_seeds: int = 1
    """Networks of each kind on the curves."""
    training: Training = field(
        default_factory=lambda: Training(epochs=12, batch_size=100, learning_rate=5e-3, weight_decay=1e-2)
    )
    """How to train the networks."""

    def __post_init__(self) -> None:
        counts = ("seeds", "train_images", "test_images", "pairs", "curve_pair_labels", "curve_steps", "curve_seeds")
        check_positive("mlp-to-cnn", **{name: getattr(self, name) for name in counts})
        for name in ("curve_pairs", "curve_labels"):
            check_positive("mlp-to-cnn", **{f"{name}[{i}]": n for i, n in enumerate(getattr(self, name))})
        check_positive("mlp-to-cnn", epochs=self.training.epochs, batch_size=self.training.batch_size)
        if max(self.curve_pair_labels, *self.curve_labels, 1) > self.train_images:
            raise ValueError(
                f"mlp-to-cnn expects no more labels on the curves than its {self.train_images} training digits, got "
                f"{self.curve_labels} and {self.curve_pair_labels}. Lower --curve-labels and --curve-pair-labels."
            )

    def settings(self) -> dict[str, Any]:
        """Everything that a result depends on, for the record.

        Returns:
            Names and values.
        """
        return settings_of(self)


def compare_mlp_to_cnn(config: MlpToCnn, progress: ProgressCallback = silent) -> Record:
    """Learn the actions, train the networks, measure them; what is done already is not done again.

    Args:
        config: Settings.
        progress: Called as the work goes on.

    Returns:
        One row for each network; `extra["actions"]` holds what was learned for each test.

    Raises:
        FileExistsError: If the folder holds a study with other settings.
    """
    goes_on_under = {k: v for k, v in config.settings().items() if k not in {"parts", "seeds", "curve_seeds"}}
    journal = Journal(config.out, goes_on_under, overwrite=config.overwrite)
    digits = load("mnist", "train", data_dir=config.data_dir, progress=progress)
    test = load("mnist", "test", data_dir=config.data_dir, progress=progress)
    bench = Bench(
        digits=digits.take(config.train_images), test=test.take(config.test_images), training=config.training,
        steps=config.curve_steps, progress=progress,
    )  # fmt: skip
    lessons = Lessons(bench.digits, config.pairs, config.reach, progress)
    record = Record(
        study="mlp_to_cnn",
        command=command_of("study mlp-to-cnn", config, "mlp_to_cnn"),
        config={**config.settings(), "data": "mnist"},
    )
    if config.parts in {"main", "all"}:
        _compare(config, bench, lessons, journal, record)
    if config.parts in {"pairs", "all"}:
        few_pairs(config, bench, journal, record)
    if config.parts in {"labels", "all"}:
        few_labels(config, bench, lessons, journal, record)
    record.source = journal.source
    return record


def _compare(config: MlpToCnn, bench: Bench, lessons: Lessons, journal: Journal, record: Record) -> None:
    """The main comparison: every family, pixel order and seed."""
    facts = {test: journal.rows(f"action, {test}", partial(lessons.save, test, config.out))[0] for test in TESTS}
    record.extra["actions"] = facts
    for seed in range(config.seeds):
        for test in TESTS:
            for family in FAMILIES if test != "zero-filled" else ("learned",):
                part = f"{family}, {test}, seed {seed}"
                row = journal.rows(part, partial(_train, family, test, seed, config, bench, lessons, part))[0]
                known = facts[test] if family == "learned" else {}
                record.add(**row, part="main", **known)


def _train(family: str, test: str, seed: int, config: MlpToCnn, bench: Bench, lessons: Lessons, part: str) -> list[Row]:
    """One network of the main comparison; the filters of the first learned ones are kept for the figures."""
    group = lessons.group(test) if family == "learned" else None
    row, network = measure(family, test, group, bench, seed=seed, what=part)
    if family == "learned" and seed == 0:
        _save_filters(network, config.out / f"filters-{test}.npz")
    return [row]


def _save_filters(network: nn.Module, path: Path) -> None:
    """Keep the first layer's filters, as vectors of pixels in the order that the network was given."""
    first = next(network.children())
    assert isinstance(first, OrbitLinear)
    write_arrays(path, filters=first.filters().detach()[:, 0].numpy())
