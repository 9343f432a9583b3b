"""Parts of Markdown tables."""

from collections.abc import Iterable, Sequence

from studies.networks.bases import LEARNED


def network_name(family: str, group: str) -> str:
    """Name of a network; bold where its basis is learned."""
    name = "plain CNN" if family == "plain" else f"{family} {group.upper()}"
    return f"**{name}**" if family in LEARNED else name


def test_title(test: str) -> str:
    """Name of a test of a study."""
    images, _, copies = test.partition(", ")
    title = {"upright": "error upright", "rotated": "error at random angles"}[images]
    return f"{title}, mean over {copies}" if copies else title


def table(header: Sequence[str], align: str, rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown; `align` has one of l and r for each column."""
    marks = {"l": "---", "r": "---:"}
    lines = [header, [marks[a] for a in align], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
