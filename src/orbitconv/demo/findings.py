"""What the numbers of the main job say, in words: nothing here knows the outcome beforehand."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orbitconv.demo import pictures
from orbitconv.figures import drawing as figures
from orbitconv.report.words import listed

_RANKS = ("first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True)
class Result:
    """What became of one family, over all seeds.

    Args:
        family: Name of the family.
        name: What a reader calls it.
        parameters: Number of parameters.
        upright: Error on upright digits in percent, of each seed.
        turned: Error on digits at random angles in percent, of each seed.
        seconds: Seconds of training, of each seed.
    """

    family: str
    name: str
    parameters: int
    upright: list[float]
    turned: list[float]
    seconds: list[float]

    @property
    def shown(self) -> float:
        """Mean error at random angles, as the report prints it."""
        return round(statistics.fmean(self.turned), 1)


def results(rows: Sequence[Mapping[str, Any]]) -> list[Result]:
    """Sum up the rows of a record by family.

    Args:
        rows: Rows of the main job.

    Returns:
        One result a family, in the order of the rows.
    """
    found = []
    for family in dict.fromkeys(str(row["family"]) for row in rows):
        own = [row for row in rows if row["family"] == family]
        upright, turned = ([row for row in own if row["test"] == test] for test in ("upright", "rotated"))
        found.append(
            Result(
                family,
                figures.family_name(family, str(own[0]["group"])),
                int(own[0]["parameters"]),
                [float(row["test_error_percent"]) for row in upright],
                [float(row["test_error_percent"]) for row in turned],
                [float(row["seconds"]) for row in upright],
            )
        )
    return found


def finding(found: Sequence[Result]) -> str:
    """The outcome in words, whatever it is: which network reads turned digits best, by how much, and the learned one.

    Args:
        found: One result a family, at least one.

    Returns:
        One sentence, or two where the learned network is not the best.
    """
    ranked = sorted(found, key=lambda r: r.shown)
    best = [r for r in ranked if r.shown == ranked[0].shown]
    behind = ranked[len(best) :]
    names, low = listed([_the(r) for r in best]), best[0].shown
    tied = len(best) > 1
    text = (
        f"Trained on upright digits alone, {names} {'share' if tied else 'has'} the lowest error on digits turned by "
        f"random angles, {low:.1f} %"
    )
    rivals = [r for r in behind if r.family not in figures.LEARNED] if best[0].family in figures.LEARNED else behind
    gaps = [
        f"{r.shown - low:.1f} percentage points below {_the(r)} ({r.shown:.1f} %)"
        for r in behind
        if r in rivals[:1] or r.family == "plain"
    ]
    text += f": {listed(gaps)}." if gaps else "."
    for r in behind:
        if r.family in figures.LEARNED:
            rank = sum(other.shown < r.shown for other in ranked)
            text += f" T{_the(r)[1:]} is {_RANKS[rank] if rank < len(_RANKS) else f'number {rank + 1}'}, "
            text += f"with {r.shown:.1f} %."
    return text


def _the(result: Result) -> str:
    """A network in a sentence."""
    return f"the {result.name}" if result.name.endswith("CNN") else f"the {result.name} network"


def caution(found: Sequence[Result], test_images: int) -> str:
    """How far the finding can be trusted.

    Args:
        found: One result a family.
        test_images: Number of test digits.

    Returns:
        Sentences.
    """
    ranked = sorted(found, key=lambda r: r.shown)
    seeds = len(ranked[0].turned)
    text = f"Errors on {test_images:,} test digits the networks never saw; best values are emphasised. "
    if seeds > 1:
        text += f"Mean ± standard deviation over {seeds} seeds."
    else:
        text += "One network of each kind: --seeds 3 shows how much the errors vary with the seed."
    if len(ranked) > 1:
        gap, chance = ranked[1].shown - ranked[0].shown, 2 * math.hypot(*(_sigma(r, test_images) for r in ranked[:2]))
        if gap < chance:
            text += f" The gap between the best two is within chance (two standard errors: {chance:.1f} points)."
    return text


def _sigma(result: Result, test_images: int) -> float:
    """Standard error of the mean error at random angles: over the seeds, or over the digits if there is but one."""
    n = len(result.turned)
    if n > 1:
        return statistics.stdev(result.turned) / math.sqrt(n)
    return math.sqrt(result.turned[0] * (100 - result.turned[0]) / test_images)


def curve_caption(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the curve shows: where each network is worst, and whether quarter turns cost anything.

    Args:
        rows: Rows of a record.

    Returns:
        Sentences; none if no error against the angle was measured.
    """
    names = {str(row["family"]): figures.family_name(str(row["family"]), str(row["group"])) for row in rows}
    worst, steady = [], []
    for family, at in figures.error_curves(rows).items():
        means = {degrees: statistics.fmean(errors) for degrees, errors in at.items()}
        degrees = max(means, key=lambda d: means[d])
        worst.append(f"{names[family]} {means[degrees]:.1f} % at {degrees:g}°")
        if all(abs(means.get(q, math.inf) - means.get(0, math.inf)) < 0.05 for q in (90, 180, 270)):
            steady.append(names[family])
    if not worst:
        return ""
    text = f"All networks were trained at 0° only. The worst angle of each: {listed(worst)}."
    if steady:
        text += f" A quarter turn (vertical lines) costs nothing for {listed(steady)}."
    return text


def film_caption(seen: Mapping[str, pictures.Follow], names: Mapping[str, str]) -> str:
    """What the film strip shows, in words and numbers.

    Args:
        seen: What each network made of the digit at every eighth of a turn.
        names: What to call each family.

    Returns:
        Sentences.
    """
    numbers = [
        f"{names[family]} {statistics.fmean(one.errors[1::2]):.2f} at the odd eighths and "
        f"{statistics.fmean(one.errors[2::2]):.2f} at the other quarter turns"
        for family, one in seen.items()
    ]
    return (
        "The map at a fixed group element changes with the angle, as a plain network's does; but what it showed moves "
        "on to the group element that follows the turn. Turned back, a map that only turns would be the same in every "
        "tile. The numbers say how far it is from that, relative to its size (the equivariance error of this one "
        f"channel, which is harder to turn than most): on average {listed(numbers)}."
    )
