"""What the numbers of a report on runs say, in words."""

import statistics
from collections.abc import Callable, Sequence

from orbitconv.report.grouping import Kind
from orbitconv.report.measure import Measured
from orbitconv.report.outcome import Outcome


def heading(outcomes: Sequence[Outcome]) -> str:
    """What the page is about: how many runs, of how many kinds, on what.

    Args:
        outcomes: What was measured, by data set.

    Returns:
        A line.
    """
    runs = sum(len(outcome.runs) for outcome in outcomes)
    kinds = sum(len(outcome.kinds) for outcome in outcomes)
    return f"{count(runs, 'run')} of {count(kinds, 'network')} on {listed([outcome.data for outcome in outcomes])}"


def finding(outcome: Outcome) -> str:
    """Which networks make the fewest errors, and what is not known yet.

    Args:
        outcome: What was measured on one data set.

    Returns:
        Sentences.
    """
    tested = [kind for kind in outcome.kinds if kind.finished]
    if not tested:
        return "No run is finished yet: there is nothing to test."
    sentences = [_lowest(tested, "on the test images", final_errors)]
    if not outcome.turned_already:
        sentences.append(_lowest(tested, "at random angles", lambda kind: random_errors(outcome.of(kind))))
    unfinished = sum(not run.finished for run in outcome.runs)
    if unfinished:
        are = "is" if unfinished == 1 else "are"
        sentences.append(f"{count(unfinished, 'run')} {are} not finished, and not tested.")
    return " ".join(sentences)


def table_note(outcome: Outcome) -> str:
    """How the errors in the table were measured.

    Args:
        outcome: What was measured on one data set.

    Returns:
        Sentences.
    """
    if outcome.images is None:
        return ""
    text = "The test error is that of the last epoch, on the test images of the training"
    if not outcome.turned_already:
        text += (
            f"; the error at random angles is measured for this page on the first {len(outcome.images):,} test images, "
            "each turned by its own angle, the same for all networks"
        )
    if any(len(kind.finished) > 1 for kind in outcome.kinds):
        text += ". Mean ± standard deviation over the finished runs of a row"
    else:
        text += ". One run of each: more seeds would show how much of a gap is chance"
    return f"{text}." + (" The lowest of each column is emphasised." if len(outcome.kinds) > 1 else "")


def final_errors(kind: Kind) -> list[float]:
    """The test error of every finished run, as its training measured it after the last epoch.

    Args:
        kind: The runs.

    Returns:
        Errors in percent.
    """
    last = [run.rows[-1] for run in kind.finished if run.rows]
    return [float(row["test_error_percent"]) for row in last if "test_error_percent" in row]


def random_errors(measured: Sequence[Measured]) -> list[float]:
    """The error of every network on images that are each turned by their own angle.

    Args:
        measured: What was measured.

    Returns:
        Errors in percent; none for data sets that are turned already.
    """
    return [one.random_error for one in measured if one.random_error is not None]


def count(number: int, noun: str) -> str:
    """A number of things.

    Args:
        number: How many.
        noun: One of them.

    Returns:
        Such as 1 run, 2 runs.
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """Join words.

    Args:
        words: Words.

    Returns:
        A, B and C.
    """
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _lowest(kinds: Sequence[Kind], where: str, errors: Callable[[Kind], list[float]]) -> str:
    """Who has the lowest mean error, as it is printed; those that print the same share it."""
    means = {kind.name: round(statistics.fmean(found), 2) for kind in kinds if (found := errors(kind))}
    if not means:
        return f"No test error {where} is known."
    low = min(means.values())
    best = [name for name, mean in means.items() if mean == low]
    if len(means) == 1:
        return f"Error {where}: {best[0]}, {low:.2f} %."
    return f"Lowest error {where}: {listed(best)}, {low:.2f} %."
