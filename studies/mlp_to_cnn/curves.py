"""Test error against the number of pairs, and against the number of labels."""

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from orbitconv.learn import ClosedGroup, match_features
from orbitconv.nn import orbit_layout
from orbitconv.records.record import Row
from studies.base.journal import Journal
from studies.mlp_to_cnn.bench import FAMILIES, Bench, measure
from studies.mlp_to_cnn.lessons import Lessons, facts, learn_from_digits
from studies.mlp_to_cnn.translations import Translations

if TYPE_CHECKING:
    from studies.mlp_to_cnn.study import MlpToCnn

LEARNERS = {"any map": None, "features move": match_features}
"""Assumption about a translation: it keeps norms, or it permutes features."""

# Families that learn from labels alone, at the side of those that learn from pairs.
_COMPARED = ("mlp", "cnn")

_NO_NETWORK: dict[str, Any] = {
    "group": "c1", "kernel": None, "train": "permuted", "test_error_percent": None, "parameters": None, "seconds": None,
}  # fmt: skip


def few_pairs(config: "MlpToCnn", bench: Bench, journal: Journal) -> None:
    """Learn the translations from few and from many pairs of permuted digits, and train networks with them."""
    labels = config.curve_pair_labels
    compared = {
        (part := _network(labels, family, "permuted", seed)): partial(
            _train, family, "permuted", labels, seed, bench, None, part
        )
        for seed in range(config.curve_seeds)
        for family in _COMPARED
    }
    journal.collect(compared)
    lessons = {_lesson(*lesson): lesson for lesson in _lessons(config)}
    known = journal.collect({name: partial(_learn_facts, config, bench, *lesson) for name, lesson in lessons.items()})
    networks = {}
    for name, lesson in lessons.items():
        layout = known[name][0]["layout"]
        for seed in range(config.curve_seeds) if layout is not None else ():
            part = _on_layout(str(layout), seed)
            networks.setdefault(part, partial(_train_on_layout, config, bench, *lesson, seed, part))
    journal.collect(networks)


def pair_rows(config: "MlpToCnn", done: Mapping[str, list[Row]], seeds: int) -> Iterator[Row]:
    """Rows of the curve over pairs, as far as it is complete."""
    for seed in range(seeds):
        for family in _COMPARED:
            for row in done.get(_network(config.curve_pair_labels, family, "permuted", seed), ()):
                yield {**row, "part": "pairs", "pairs": None, "learner": None}
    for pairs, test, learner in _lessons(config):
        for known in done.get(_lesson(pairs, test, learner), ()):
            for seed in range(seeds):
                row: Row = {"family": "learned", "test": test, "seed": seed, "labels": config.curve_pair_labels}
                trained = [row]
                if known["layout"] is not None:
                    trained = [{**one, "test": test} for one in done.get(_on_layout(str(known["layout"]), seed), ())]
                for one in trained:
                    yield {**_NO_NETWORK, **one, **known, "part": "pairs"}


def _network(labels: int, family: str, test: str, seed: int) -> str:
    """Name of the part that trains one network on some labels."""
    return f"{labels:,} labels, {family}, {test}, seed {seed}"


def _lesson(pairs: int, test: str, learner: str) -> str:
    return f"{pairs:,} pairs, {test}, {learner}, action"


def _on_layout(layout: str, seed: int) -> str:
    return f"layout {layout}, seed {seed}"


def _lessons(config: "MlpToCnn") -> Iterator[tuple[int, str, str]]:
    """Every lesson from pairs: number of pairs, test and learner."""
    return itertools.product(config.curve_pairs, ("permuted", "zero-filled"), LEARNERS)


def _learn(config: "MlpToCnn", bench: Bench, pairs: int, test: str, learner: str) -> Translations:
    what = f"{pairs:,} pairs, {test}, {learner}"
    bench.progress(what, 0, 1)
    device = bench.digits.images.device
    learned = learn_from_digits(bench.unlabelled, test, pairs, config.reach, LEARNERS[learner], device=device)
    bench.progress(what, 1, 1)
    return learned


def _learn_facts(config: "MlpToCnn", bench: Bench, pairs: int, test: str, learner: str) -> list[Row]:
    """Learn, compare with the truth, and name the pixel layout for a network."""
    learned = _learn(config, bench, pairs, test, learner)
    return [{**facts(learned, test, bench.side), "learner": learner, "layout": layout_name(learned.group)}]


def _train_on_layout(
    config: "MlpToCnn", bench: Bench, pairs: int, test: str, learner: str, seed: int, part: str
) -> list[Row]:
    """Learn again, and train a network on the layout."""
    group = _learn(config, bench, pairs, test, learner).group
    return [measure("learned", test, group, bench, seed=seed, labels=config.curve_pair_labels, what=part)[0]]


def layout_name(group: ClosedGroup | None) -> str | None:
    """A name for the pixel order of a group; equal for equal orders."""
    if group is None:
        return None
    try:
        rows = orbit_layout(group.generators, group.orders, 0 if group.origin is None else group.origin)
    except ValueError:
        return None
    return hashlib.sha256((1e6 * rows).round().int().cpu().numpy().tobytes()).hexdigest()[:8]


def few_labels(config: "MlpToCnn", bench: Bench, lessons: Lessons, journal: Journal) -> None:
    """Train all families with few labels, and the learned one on permuted pixels too."""
    journal.collect(
        {
            part: partial(_train, family, test, labels, seed, bench, lessons, part)
            for part, (labels, family, test, seed) in _label_parts(config, config.curve_seeds)
        }
    )


def label_rows(config: "MlpToCnn", done: Mapping[str, list[Row]], seeds: int) -> Iterator[Row]:
    """Rows of the curve over labels, as far as it is complete."""
    for part, _ in _label_parts(config, seeds):
        yield from ({**row, "part": "labels"} for row in done.get(part, ()))


def _label_parts(config: "MlpToCnn", seeds: int) -> Iterator[tuple[str, tuple[int, str, str, int]]]:
    """Every network of the curve over labels, by the name of its part: labels, family, test and seed."""
    kinds = [*((family, "plain") for family in FAMILIES), ("learned", "permuted")]
    for labels, seed, (family, test) in itertools.product(config.curve_labels, range(seeds), kinds):
        yield _network(labels, family, test, seed), (labels, family, test, seed)


def _train(
    family: str, test: str, labels: int, seed: int, bench: Bench, lessons: Lessons | None, part: str
) -> list[Row]:
    """Train one network; families that need no group take no lessons."""
    group = lessons.group(test) if lessons is not None and family == "learned" else None
    return [measure(family, test, group, bench, seed=seed, labels=labels, what=part)[0]]
