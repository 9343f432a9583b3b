"""The tables of a report on runs."""

from collections.abc import Mapping, Sequence
from html import escape

from orbitconv.report.grouping import BASIS, EPOCHS, MODEL, Kind, label
from orbitconv.report.html import best_cells, cell, table
from orbitconv.report.measure import Tested
from orbitconv.report.outcome import Outcome

_DASH = "&ndash;"


def result_table(outcome: Outcome) -> str:
    """One row for each kind of network: what it is, what sets it apart, how often it is wrong."""
    kinds, networks = outcome.kinds, outcome.tested
    about = {"basis": _setting(kinds, BASIS)} if any(kind.name != kind.settings[BASIS] for kind in kinds) else {}
    about["model"] = _setting(kinds, MODEL)
    training = {"epochs": _setting(kinds, EPOCHS)}
    for name in kinds[0].differing:
        if name not in {BASIS, MODEL, EPOCHS}:
            training[label(name)] = _setting(kinds, name)
    columns = {
        "network": [escape(kind.name) for kind in kinds],
        "runs": [_finished(kind) for kind in kinds],
        **error_columns(networks, at_random=not outcome.turned_already),
        **about,
        **cost_columns(networks),
        **training,
    }
    return column_table(f"Networks trained on {outcome.data}", columns)


def error_columns(networks: Sequence[Tested], *, at_random: bool = True) -> dict[str, list[str]]:
    """Columns of test errors, the lowest of each emphasised."""
    columns = {"test error, %": best_cells([one.errors for one in networks], 2)}
    if at_random:
        columns["at random angles, %"] = best_cells([one.random_errors for one in networks], 2)
    return columns


def cost_columns(networks: Sequence[Tested]) -> dict[str, list[str]]:
    """Columns of what networks are and cost: group, parameters, multiply-adds, and seconds of training.

    Cells are HTML by the name of their column; dashes for networks that were not tested.
    """
    measured = [next(iter(one.measured), None) for one in networks]
    return {
        "group": [_DASH if one is None or one.group is None else escape(one.group.name) for one in measured],
        "parameters": [_DASH if one is None else f"{one.parameters:,}" for one in measured],
        "multiply-adds": [_DASH if one is None else f"{one.multiply_adds / 1e6:,.1f}&nbsp;M" for one in measured],
        "training, s": [cell(one.seconds, 1) for one in networks],
    }


def column_table(caption: str, columns: Mapping[str, Sequence[str]]) -> str:
    """A table from its columns."""
    return table(caption, list(columns), list(zip(*columns.values(), strict=True)))


def run_table(outcome: Outcome) -> str:
    """One row for each run, finished or not."""
    rows = []
    for kind in outcome.kinds:
        for run in kind.runs:
            tested = outcome.measured.get(run.folder)
            errors = [row["test_error_percent"] for row in run.rows if "test_error_percent" in row]
            turned = None if tested is None else tested.random_error
            rows.append(
                [
                    escape(str(run.folder)),
                    escape(kind.name),
                    str(run.config.seed),
                    "finished" if run.finished else "not finished",
                    f"{len(run.rows)} of {run.config.training.epochs}",
                    f"{run.rows[-1]['loss']:.4f}" if run.rows else _DASH,
                    f"{errors[-1]:.2f}" if errors else _DASH,
                    _DASH if turned is None else f"{turned:.2f}",
                    f"{sum(row.get('seconds', 0) for row in run.rows):,.0f}",
                ]
            )
    head = ("run", "network", "seed", "state", "epochs", "loss", "test error, %", "at random angles, %", "training, s")
    return table("Every run, with the figures of its last epoch", head, rows)


def confusion_table(caption: str, counts: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """How often each class (rows) is taken for each (columns); the colour tells the share of the class."""
    rows = []
    for true, row in enumerate(counts):
        total = max(1, sum(row))
        cells = [_shaded(number, number / total, right=true == taken) for taken, number in enumerate(row)]
        rows.append([escape(classes[true]), *cells])
    return table(caption, ("class \\ taken for", *classes), rows)


def side_by_side(tables: Sequence[str], classes: Sequence[str]) -> str:
    """Tables of classes beside each other where there is room; long names above columns stand upright."""
    longest = max(map(len, classes))
    upright = " upright" if longest > 3 else ""
    style = f"--names: {max(5.5, 0.5 * longest):g}rem; --classes: {len(classes)}"
    return f'<div class="pair{upright}" style="{style}">{"".join(tables)}</div>'


def _shaded(number: int, share: float, *, right: bool) -> str:
    """A count on a colour; nothing for zero, which would hide the others."""
    if not number:
        return ""
    return f'<span class="share {"right" if right else "wrong"}" style="--share:{0.75 * share:.2f}">{number}</span>'


def _setting(kinds: Sequence[Kind], name: str) -> list[str]:
    return [escape(kind.settings[name]) for kind in kinds]


def _finished(kind: Kind) -> str:
    """How many runs there are, and how many of them are finished where that is not all."""
    runs, finished = len(kind.runs), len(kind.finished)
    return str(runs) if runs == finished else f"{finished} of {runs} finished"
