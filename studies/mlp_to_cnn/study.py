"""From an MLP to a CNN: digits classified by networks that ignore, learn or know what a translation is.

The experiment of the talk, extended to one fixed random order of all pixels. An MLP then learns the same, a CNN loses
its prior, and the action of translations is learned from pairs of vectors as before.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from orbitconv._support.checks import check_positive
from orbitconv._support.devices import Device, find_device
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.data import load
from orbitconv.nn import OrbitLinear
from orbitconv.records.record import Record, Row
from orbitconv.train import Training
from studies.base.arrays import write_arrays
from studies.base.journal import Journal
from studies.base.settings import StudySettings, gathered
from studies.mlp_to_cnn.bench import FAMILIES, Bench, measure
from studies.mlp_to_cnn.curves import few_labels, few_pairs, label_rows, pair_rows
from studies.mlp_to_cnn.lessons import Lessons

PARTS = ("main", "pairs", "labels")
"""The main comparison, the curve over pairs, the curve over labels."""

NOTES = (
    "The learned networks pad circularly throughout, on plain and on permuted pixels, as the axes of a closed group "
    "wrap around; the CNN pads with zeros.",
    "The learned networks are told that there are two generators, that these commute and have the order 28 each (the "
    "side of the images), and close_group tries first whether they permute pixels; 'features move' takes for granted "
    "that they do. They are not told where pixels lie.",
    "The pairs, as many for each of the two shifts, are made of unlabelled digits out of all training images: with few "
    "labels too, the learned networks have seen these.",
    "No validation digits are held out. The settings of the training are the same for all families, and the study "
    "itself chooses none of them on the test digits.",
)
"""What a reader of the record should know about the comparison."""

TESTS = ("plain", "permuted", "zero-filled")
"""Pixels row by row; in a fixed random order; in that order, with an action learned from shifts with zero fill."""


@dataclass(frozen=True, kw_only=True)
class MlpToCnn(StudySettings):
    """Learn from pairs how translations act on digits, in plain and in random pixel order; compare MLP, ours and CNN.

    Takes about an hour and a half on one core; a stopped study resumes.
    """

    study: ClassVar[str] = "mlp-to-cnn"
    may_change: ClassVar[frozenset[str]] = frozenset({"parts", "seeds", "curve_seeds", "device"})

    out: Path = Path("runs/mlp-to-cnn")
    parts: Literal["main", "pairs", "labels", "all"] = "all"
    """Part to run: the main comparison, the curve over pairs, or that over labels. Finished parts are not repeated."""
    seeds: int = 3
    """Networks of each kind in the main comparison, from different seeds."""
    train_images: int = 60_000
    """Training digits."""
    test_images: int = 10_000
    """Test digits."""
    pairs: int = 5000
    """Pairs to learn each of the two shifts from."""
    reach: int = 8
    """For shifts with zero fill: range of a random shift of the digits beforehand, in pixels."""
    curve_pairs: tuple[int, ...] = (20, 50, 200, 800, 3000, 10_000, 60_000)
    """Numbers of pairs for the curve."""
    curve_pair_labels: int = 6000
    """Labelled digits of the networks on that curve."""
    curve_labels: tuple[int, ...] = (100, 300, 1000, 3000, 10_000)
    """Numbers of labelled digits for the other curve; the main comparison adds the last point."""
    curve_steps: int = 1500
    """Least number of steps of any training: with few labels every network is trained for more epochs."""
    curve_seeds: int = 1
    """Networks of each kind on the curves."""
    device: Device = "auto"
    """Where to learn and train; "auto" takes a GPU where there is one."""
    training: Training = field(
        default_factory=lambda: Training(epochs=12, batch_size=100, learning_rate=5e-3, weight_decay=1e-2)
    )
    """How to train the networks."""

    def __post_init__(self) -> None:
        counts = ("seeds", "train_images", "test_images", "pairs", "curve_pair_labels", "curve_steps", "curve_seeds")
        check_positive("mlp-to-cnn", **{name: getattr(self, name) for name in counts})
        for name in ("curve_pairs", "curve_labels"):
            check_positive("mlp-to-cnn", **{f"{name}[{i}]": n for i, n in enumerate(getattr(self, name))})
        self.training.check()
        find_device("mlp-to-cnn", self.device)
        if self.reach < 0:
            raise ValueError(f"mlp-to-cnn expects --reach >= 0, as shifts go both ways, got {self.reach}.")
        if not 2 <= self.training.batch_size <= self.train_images:
            raise ValueError(
                f"mlp-to-cnn expects batches of two digits, for batch norm, to as many as its {self.train_images} "
                f"training digits, got --training.batch-size {self.training.batch_size}."
            )
        labels = [self.curve_pair_labels] if "pairs" in self.asked else []
        labels += self.curve_labels if "labels" in self.asked else ()
        if not all(2 <= count <= self.train_images for count in labels):
            raise ValueError(
                "mlp-to-cnn expects two labels or more on the curves, for batch norm, and no more labels than its "
                f"{self.train_images} training digits, got {', '.join(map(str, labels))}. Change --curve-labels and "
                "--curve-pair-labels."
            )

    @property
    def asked(self) -> tuple[str, ...]:
        """The parts to run."""
        return PARTS if self.parts == "all" else (self.parts,)


def compare_mlp_to_cnn(config: MlpToCnn, progress: ProgressCallback = silent) -> Record:
    """Learn the actions, train and measure the networks; finished parts are not repeated."""
    journal = Journal(config.out, config.fixed, overwrite=config.overwrite)
    digits = load("mnist", "train", data_dir=config.data_dir, progress=progress).take(config.train_images)
    test = load("mnist", "test", data_dir=config.data_dir, progress=progress).take(config.test_images)
    device = find_device("mlp-to-cnn", config.device)
    bench = Bench(
        digits=digits.to(device), test=test.to(device), unlabelled=digits, training=config.training,
        steps=config.curve_steps, progress=progress,
    )  # fmt: skip
    lessons = Lessons(digits, config.pairs, config.reach, progress, device)
    if "main" in config.asked:
        _compare(config, bench, lessons, journal)
    if "pairs" in config.asked:
        few_pairs(config, bench, journal)
    if "labels" in config.asked:
        few_labels(config, bench, lessons, journal)
    return _gather(config, journal)


def _compare(config: MlpToCnn, bench: Bench, lessons: Lessons, journal: Journal) -> None:
    """The main comparison: every family, pixel order and seed."""
    journal.collect({_lesson(test): partial(lessons.save, test, config.out) for test in TESTS})
    journal.collect(
        {
            part: partial(_train, family, test, seed, config, bench, lessons, part)
            for part, (family, test, seed) in _networks(config.seeds)
        }
    )


def _gather(config: MlpToCnn, journal: Journal) -> Record:
    """The record of all finished parts, by any process."""
    done = journal.done
    most = 1 + max((int(row.get("seed") or 0) for rows in done.values() for row in rows), default=0)
    main = dict(_networks(most))
    on_curves = [int(row.get("seed") or 0) for part, rows in done.items() if part not in main for row in rows]
    curve_seeds = 1 + max(on_curves, default=0)
    facts = {test: done[_lesson(test)][0] for test in TESTS if _lesson(test) in done}
    rows = [
        {**row, "part": "main", **(facts[test] if family == "learned" else {})}
        for part, (family, test, _) in main.items() for row in done.get(part, ())
    ]  # fmt: skip
    rows += [*pair_rows(config, done, curve_seeds), *label_rows(config, done, curve_seeds)]
    record = gathered(config, rows, journal.source, data="mnist")
    record.extra |= {"notes": list(NOTES), **({"actions": facts} if facts else {})}
    return record


def _lesson(test: str) -> str:
    return f"action, {test}"


def _networks(seeds: int) -> Iterator[tuple[str, tuple[str, str, int]]]:
    """Every network of the main comparison, by the name of its part: family, test and seed."""
    for seed, test in itertools.product(range(seeds), TESTS):
        for family in FAMILIES if test != "zero-filled" else ("learned",):
            yield f"{family}, {test}, seed {seed}", (family, test, seed)


def _train(family: str, test: str, seed: int, config: MlpToCnn, bench: Bench, lessons: Lessons, part: str) -> list[Row]:
    """Train one network of the main comparison; filters of the first seed are stored for the figures."""
    group = lessons.group(test) if family == "learned" else None
    row, network = measure(family, test, group, bench, seed=seed, what=part)
    if family == "learned" and seed == 0:
        first = next(network.children())
        assert isinstance(first, OrbitLinear)
        filters = first.filters().detach()[:, 0].cpu().numpy()  # vectors of pixels in the order that it was given
        write_arrays(config.out / f"filters-{test}.npz", filters=filters)
    return [row]
