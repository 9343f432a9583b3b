"""Progress of one part of a study."""

from orbitconv._support.progress import FIGURES, ProgressCallback


def named(progress: ProgressCallback, name: str) -> ProgressCallback:
    """Report a training under the name of its part, with its figures."""
    return lambda what, done, total: progress(f"{name}{FIGURES}{what.partition(FIGURES)[2]}", done, total)
