"""Rivals: costs of all networks, choices by validation, then all networks, seed by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.records.record import Record, Row
from studies.base.journal import Journal
from studies.base.settings import gathered
from studies.rivals.data import Examples, Pictures, held_out, load_pictures
from studies.rivals.measure import costs, turned_name
from studies.rivals.rows import FREE, PARAMETERS, TIME, Rival, candidates, networks_on_groups, rivals_of
from studies.rivals.settings import Rivals
from studies.rivals.training import train_and_test

_SEED = 0
"""Seed of the validation split, and of the networks that are compared on it."""


@dataclass(eq=False)
class Contest:
    """One data set of the study: its pictures, its networks, and results so far."""

    config: Rivals
    pictures: Pictures
    journal: Journal
    progress: ProgressCallback
    cost: dict[str, dict[str, Any]] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    rivals: dict[str, Rival] = field(default_factory=dict)

    def measure(self) -> None:
        """Measure time and size of all networks; set the epochs of the plain network of equal time."""
        config, pictures = self.config, self.pictures
        self.rivals = rivals_of(config, pictures)
        swept = {f"width {width}": one for width, one in candidates(config, pictures).values()}
        part = f"{pictures.name}: costs"
        rows = self.journal.rows(part, partial(costs, config, pictures, self.rivals | swept, self.progress))
        self.cost = {
            str(row["network"]): {name: row[name] for name in ("step_ms", "picture_ms", "onnx_mb", "compiled_kernel")}
            for row in rows
        }
        plain, reference = self.rivals[PARAMETERS], networks_on_groups(config, pictures)[config.reference].name
        longer = self.cost[reference]["step_ms"] / self.cost[PARAMETERS]["step_ms"]
        self.rivals[TIME] = replace(plain, name=TIME, epochs=max(1, round(longer * plain.epochs)))
        self.cost[TIME] = self.cost[PARAMETERS]

    def choose(self) -> None:
        """Choose a learning rate for plain and for group networks; then the free network."""
        reference = networks_on_groups(self.config, self.pictures)[self.config.reference]
        for who, rival in (("plain", self.rivals[PARAMETERS]), ("groups", reference)):
            tried = [(rival, rate, self.cost[rival.name]) for rate in self.config.rates]
            self.rates[who] = float(self._best("rates", tried)["learning_rate"] or 0)
        swept = candidates(self.config, self.pictures)
        tried = [(one, self.rates["plain"], self.cost[f"width {width}"]) for width, one in swept.values()]
        width, best = swept[str(self._best("free", tried)["network"])]
        self.rivals[FREE], self.cost[FREE] = replace(best, name=FREE), self.cost[f"width {width}"]

    def _best(self, table: str, tried: Sequence[tuple[Rival, float, Mapping[str, Any]]]) -> Row:
        """The row with the least validation error."""
        owner = f"study rivals on {self.pictures.name}"
        left, asked = held_out(self.pictures.train, self.config.validation, _SEED, owner)
        done = self.journal.collect({
            f"{self.pictures.name}: {table}, {rival.name}, {rate:g}":
                self._work(rival, _SEED, rate, f"validation, {table}", left, asked, cost)
            for rival, rate, cost in tried
        })  # fmt: skip
        return min((rows[0] for rows in done.values()), key=lambda row: float(row["test_error_percent"] or 0))

    def train(self, seed: int) -> None:
        """Train every network from one seed on all training pictures, and test it once."""
        self.journal.collect({
            f"{self.pictures.name}: {name}, seed {seed}": self._work(
                one, seed, self.rates["plain" if one.basis is None else "groups"], "rivals", self.pictures.train,
                self.pictures.test, self.cost[name],
            )
            for name, one in self.rivals.items()
        })  # fmt: skip

    def _work(
        self, rival: Rival, seed: int, rate: float, table: str, train: Examples, test: Examples, cost: Mapping[str, Any]
    ) -> "partial[list[Row]]":
        return partial(
            train_and_test, self.config, self.pictures, rival, seed, rate, table, train, test, cost, self.progress
        )

    def rows(self) -> list[Row]:
        """All finished rows, by any call; the average over rotated copies has its own time."""
        turned = turned_name(self.config)
        done = [row for part, rows in self.journal.done.items() for row in rows if _of(part, self.pictures.name)]
        return [{**row, **self.cost[turned]} if row["network"] == turned else row for row in done if "table" in row]


def study_rivals(config: Rivals, progress: ProgressCallback = silent) -> Record:
    """Validate all data sets first; then measure costs, choose settings, and train all networks."""
    found = [
        load_pictures(name, config.train_images, config.test_images, config.side, config.data_dir, progress)
        for name in config.data
    ]
    for pictures in found:
        rivals_of(config, pictures)
        held_out(pictures.train, config.validation, _SEED, f"study rivals on {pictures.name}")
    journal = Journal(config.out, config.fixed, overwrite=config.overwrite, also=("networks",))
    contests = [Contest(config, pictures, journal, progress) for pictures in found]
    for contest in contests:
        contest.measure()
    for contest in contests:
        contest.choose()
    for seed in range(config.seeds):
        for contest in contests:
            contest.train(seed)
    return gathered(config, [row for contest in contests for row in contest.rows()], journal.source)


def _of(part: str, data: str) -> bool:
    """Whether a part of the journal belongs to a data set."""
    return part.partition(": ")[0] == data
