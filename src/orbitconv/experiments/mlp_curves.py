"""How much do translations and classes take to learn? Test error against the number of pairs, and of labels."""

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any

from orbitconv.experiments.journal import Journal
from orbitconv.experiments.mlp_bench import FAMILIES, Bench, measure
from orbitconv.experiments.mlp_lessons import Lessons, facts, learn_from_digits
from orbitconv.experiments.record import Record, Row
from orbitconv.learn import ClosedGroup, match_features
from orbitconv.nn import orbit_layout

if TYPE_CHECKING:
    from orbitconv.experiments.mlp_to_cnn import MlpToCnn

LEARNERS = {"any map": None, "features move": match_features}
"""What is assumed of a translation: that it keeps norms; or that it moves features onto features."""


def few_pairs(config: "MlpToCnn", bench: Bench, journal: Journal, record: Record) -> None:
    """Learn the translations from few and from many pairs of permuted digits, and train networks with them.

    Networks differ in the layout alone, so that one is trained for each layout that was learned; where the pairs do not
    determine a group, there is no network and no error. An MLP and a CNN learn from the same labels, for comparison.

    Args:
        config: Settings.
        bench: Digits and how to train.
        journal: Keeps what is done.
        record: Gets one row for each number of pairs, way to learn and seed, with the part "pairs".
    """
    labels = config.curve_pair_labels
    for seed in range(config.curve_seeds):
        for family in ("mlp", "cnn"):
            part = f"{labels:,} labels, {family}, permuted, seed {seed}"
            rows = journal.rows(part, partial(_train, family, "permuted", labels, seed, bench, None, part))
            record.add(**rows[0], part="pairs", pairs=None, learner=None)
    for pairs in config.curve_pairs:
        for test in ("permuted", "zero-filled"):
            for learner in LEARNERS:
                _one_lesson(_Lesson(config, bench, test, pairs, learner), config, journal, record)


def _one_lesson(lesson: "_Lesson", config: "MlpToCnn", journal: Journal, record: Record) -> None:
    """Learn once, and train a network for each seed if there is a layout."""
    known = journal.rows(f"{lesson.name}, action", lesson.facts)[0]
    for seed in range(config.curve_seeds):
        row: Row = {"family": "learned", "test": lesson.test, "seed": seed, "labels": config.curve_pair_labels}
        if known["layout"] is not None:
            part = f"layout {known['layout']}, seed {seed}"
            row = {**journal.rows(part, partial(lesson.train, seed, part))[0], "test": lesson.test}
        record.add(**{**_NO_NETWORK, **row, **known, "part": "pairs"})


_NO_NETWORK: dict[str, Any] = {
    "group": "c1", "kernel": None, "train": "permuted", "test_error_percent": None, "parameters": None, "seconds": None,
}  # fmt: skip


class _Lesson:
    """The action learned from some pairs, learned when it is first needed."""

    def __init__(self, config: "MlpToCnn", bench: Bench, test: str, pairs: int, learner: str) -> None:
        self.config, self.bench, self.test, self.pairs, self.learner = config, bench, test, pairs, learner
        self.name = f"{pairs:,} pairs, {test}, {learner}"
        self._group: ClosedGroup | None = None

    def facts(self) -> list[Row]:
        """Learn, compare with the truth, and name the layout that a network would get."""
        self.bench.progress(self.name, 0, 1)
        learned = learn_from_digits(self.bench.digits, self.test, self.pairs, self.config.reach, LEARNERS[self.learner])
        self.bench.progress(self.name, 1, 1)
        self._group = learned.group
        known = facts(learned, self.test, self.bench.side)
        return [{**known, "learner": self.learner, "layout": layout_name(learned.group)}]

    def train(self, seed: int, part: str) -> list[Row]:
        """Train a network on the layout."""
        if self._group is None:
            self.facts()
        labels = self.config.curve_pair_labels
        return [measure("learned", self.test, self._group, self.bench, seed=seed, labels=labels, what=part)[0]]


def layout_name(group: ClosedGroup | None) -> str | None:
    """A name for the order in which a group reads the pixels, the same for the same order.

    Args:
        group: The group, if there is one.

    Returns:
        Eight characters; None if there is no group, or it moves the first pixel to other places than all.
    """
    if group is None:
        return None
    try:
        rows = orbit_layout(group.generators, group.orders, 0 if group.origin is None else group.origin)
    except ValueError:
        return None
    return hashlib.sha256((1e6 * rows).round().int().cpu().numpy().tobytes()).hexdigest()[:8]


def few_labels(config: "MlpToCnn", bench: Bench, lessons: Lessons, journal: Journal, record: Record) -> None:
    """Train all families with few labels, and the learned one on permuted pixels too.

    At each number of labels all take the same number of steps: `config.training.epochs` epochs, or more up to
    `config.curve_steps` steps.

    Args:
        config: Settings.
        bench: Digits and how to train.
        lessons: The learned translations.
        journal: Keeps what is done.
        record: Gets one row for each network, with the part "labels".
    """
    kinds = [*((family, "plain") for family in FAMILIES), ("learned", "permuted")]
    for labels in config.curve_labels:
        for seed in range(config.curve_seeds):
            for family, test in kinds:
                part = f"{labels:,} labels, {family}, {test}, seed {seed}"
                make = partial(_train, family, test, labels, seed, bench, lessons, part)
                record.add(**journal.rows(part, make)[0], part="labels")


def _train(
    family: str, test: str, labels: int, seed: int, bench: Bench, lessons: Lessons | None, part: str
) -> list[Row]:
    """One network; without lessons, of a family that needs none."""
    group = lessons.group(test) if lessons is not None and family == "learned" else None
    return [measure(family, test, group, bench, seed=seed, labels=labels, what=part)[0]]
