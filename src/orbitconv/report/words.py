"""The sentences of a report, written from its numbers."""

import math
import statistics
from collections.abc import Callable, Sequence

from orbitconv.records.grouping import Spread
from orbitconv.report.measure import Tested
from orbitconv.report.outcome import Outcome


def heading(outcomes: Sequence[Outcome]) -> str:
    """What the page is about: how many runs, of how many kinds, on what."""
    runs = sum(len(outcome.runs) for outcome in outcomes)
    kinds = sum(len(outcome.kinds) for outcome in outcomes)
    return f"{count(runs, 'run')} of {count(kinds, 'network')} on {listed([outcome.data for outcome in outcomes])}"


def finding(outcome: Outcome) -> str:
    """Which networks have the lowest error, and what has not been measured."""
    tested = [one for one in outcome.tested if one.errors]
    if not any(kind.finished for kind in outcome.kinds):
        return "No run is finished yet: there is nothing to test."
    sentences = [lowest(tested, "on the test images", lambda one: one.errors)]
    if not outcome.turned_already:
        sentences.append(lowest(outcome.tested, "at random angles", lambda one: one.random_errors))
    unfinished = sum(not run.finished for run in outcome.runs)
    if unfinished:
        are = "is" if unfinished == 1 else "are"
        sentences.append(f"{count(unfinished, 'run')} {are} not finished, and not tested.")
    return " ".join(sentences)


def table_note(outcome: Outcome) -> str:
    """How the errors in the table were measured."""
    if outcome.images is None:
        return ""
    text = "The test error is that of the last epoch, on the test images of the training"
    if not outcome.turned_already:
        text += (
            f"; the error at random angles is measured for this page on the first {len(outcome.images):,} test images, "
            "each turned by its own angle, the same for all networks"
        )
    return f"{text}. {spread_note(outcome.tested, len(outcome.images))}"


def spread_note(networks: Sequence[Tested], test_images: int) -> str:
    """What the numbers after ± are, and whether the gap between the best two may be chance."""
    several = any(len(one.errors) > 1 for one in networks)
    text = (
        "Mean ± standard deviation over the finished runs of a row."
        if several
        else "One run of each: more seeds would show how much of a gap is chance."
    )
    if len(networks) > 1:
        text += " The lowest error of each column is emphasised."
    ranked = sorted((one for one in networks if one.random_errors), key=lambda one: statistics.fmean(one.random_errors))
    if len(ranked) > 1:
        first, second = (statistics.fmean(one.random_errors) for one in ranked[:2])
        noise = 2 * math.hypot(*(_standard_error(one.random_errors, test_images) for one in ranked[:2]))
        if second - first < noise:
            text += (
                " The gap between the best two at random angles is within chance (two standard errors: "
                f"{noise:.1f} percentage points)."
            )
    return text


def angle_note(networks: Sequence[Tested]) -> str:
    """Where each network is worst, and which ones do not notice a quarter turn."""
    worst, steady = [], []
    for one in networks:
        means = {degrees: statistics.fmean(errors) for degrees, errors in one.by_angle.items()}
        if not means:
            continue
        degrees = max(means, key=lambda angle: means[angle])
        worst.append(f"{one.name} {means[degrees]:.1f} % at {degrees:g}°")
        if all(abs(means.get(quarter, math.inf) - means.get(0, math.inf)) < 0.05 for quarter in (90, 180, 270)):
            steady.append(one.name)
    text = f"The worst angle of each: {listed(worst)}." if worst else ""
    return text + (f" A quarter turn (vertical lines) costs nothing for {listed(steady)}." if steady else "")


def lowest(networks: Sequence[Tested], where: str, errors: Callable[[Tested], list[float]]) -> str:
    """Which networks have the lowest mean error, as it is printed; equal ones share it."""
    means = {one.name: round(statistics.fmean(found), 2) for one in networks if (found := errors(one))}
    if not means:
        return f"No test error {where} is known."
    low = min(means.values())
    best = [name for name, mean in means.items() if mean == low]
    if len(means) == 1:
        return f"Error {where}: {best[0]}, {low:.2f} %."
    return f"Lowest error {where}: {listed(best)}, {low:.2f} %."


def count(number: int, noun: str) -> str:
    """A number of things: 1 run, 2 runs."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """Join words."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _standard_error(errors: Sequence[float], images: int) -> float:
    """Standard error of a mean error in percent: over the seeds, or over the images if there is one seed."""
    mean, deviation, seeds = Spread.of(errors)
    return deviation / math.sqrt(seeds) if seeds > 1 else math.sqrt(mean * (100 - mean) / images)
