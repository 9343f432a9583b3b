"""Tables of a benchmark record."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studies.pages.markdown import table

_TITLES = {
    "expansion": "Weight from coefficients and back", "forward": "Forward while autograd records",
    "training": "Training step", "inference": "Inference", "memory": "Peak memory of a training step",
    "construction": "Building layers, in a new process", "import": "Import, in a new process",
}  # fmt: skip
_REFERENCES = {"pass": "one pass over the weight", "conv2d": "nn.Conv2d", "torch": "torch alone"}


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table of strings; the first column is text."""

    title: str
    note: str = ""
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def grids(record: Mapping[str, Any]) -> Iterator[Grid]:
    """All tables of a record."""
    rows = record["rows"]
    for task, reference in dict.fromkeys((row["task"], row["reference"]) for row in rows):
        own = [row for row in rows if (row["task"], row["reference"]) == (task, reference)]
        subjects = list(dict.fromkeys(row["subject"] for row in own if row["subject"] != reference))
        body = []
        for case in dict.fromkeys(row["case"] for row in own):
            by = {row["subject"]: row for row in own if row["case"] == case}
            cells = [interval(by[s], "ratio", "ratio_low", "ratio_high") if s in by else "-" for s in subjects]
            body.append([describe(by[reference]), amount(by[reference]["median"], by[reference]["unit"]), *cells])
        header = ["case", reference, *subjects]
        yield Grid(title=title(task, reference), note=record["definitions"][task], header=header, rows=body)
    yield from _crossover_grids(rows)
    described = {row["case"]: f"{row['task']}: {describe(row)}".removesuffix(": ") for row in rows}
    if record["goals"]:
        body = [
            [described[g["case"]], _goal(g), interval(g, "found", "low", "high"), g["verdict"]] for g in record["goals"]
        ]
        yield Grid(title="Goals", header=["case", "goal", "found", "verdict"], rows=body)


def _crossover_grids(rows: Sequence[Mapping[str, Any]]) -> Iterator[Grid]:
    """The dense and the Fourier product side by side: fields down, numbers of pixels across."""
    pairs: dict[tuple[str, int], dict[tuple[int, int], str]] = {}
    dense = {row["case"]: row for row in rows if row["subject"] == "dense"}
    for row in rows:
        if row["subject"] == "fourier" and (other := dense.get(row["case"])):
            is_faster = row["ratio_high"] < other["ratio_low"]
            cell = f"{_digits(other['ratio'])} / {_digits(row['ratio'])}{' *' if is_faster else ''}"
            line = f"{row['group'].upper()} {row['kernel']}x{row['kernel']}, {row['fields']} fields"
            pairs.setdefault((line, row["fields"]), {})[row["batch"], row["size"]] = cell
    places = sorted({place for cells in pairs.values() for place in cells}, key=lambda p: (p[0] * p[1] ** 2, p))
    if len(places) > 1:
        yield Grid(
            title="Training step, dense / Fourier, over nn.Conv2d",
            note=(
                "The same layer with fourier=False, its filters expanded, and with fourier=True. A star marks where "
                "Fourier is faster: its interval ends below that of dense. By default (orbitconv) the layer chooses."
            ),
            header=["layer", *(f"{size}x{size}, batch {batch}" for batch, size in places)],
            rows=[
                [line, *(cells.get(place, "-") for place in places)]
                for (line, _), cells in sorted(pairs.items(), key=lambda pair: pair[0][1])
            ],
        )


def markdown(record: Mapping[str, Any]) -> str:
    """A page with all tables."""
    config, machine = record["config"], record["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    where = machine["gpu"] if config["device"] == "cuda" else f"{machine['processor']}, {config['threads']} threads"
    kernel = "; with the kernel" if config.get("kernel") else ""  # older records know nothing of it
    lines = [
        f"# Benchmark: {record['name']}",
        "",
        f"{where}; {config['dtype']}{kernel}; seed {config['seed']}; {versions}; commit "
        f"{record['commit'] or 'unknown'}. Load before: {record['load_before']}. `{record['command']}`",
        "",
        "Ratios are medians of paired rounds within this run, with the 95 % interval of the median (the range, if "
        "there are fewer than six rounds).",
    ]
    if config["quick"]:
        lines += ["", "A quick run: it shows that all works, not how fast it is."]
    for grid in grids(record):
        lines += ["", f"## {grid.title}", "", *([grid.note, ""] if grid.note else [])]
        lines.append(table(grid.header, "l" + "r" * (len(grid.header) - 1), grid.rows))
    if record["skipped"]:
        lines += ["", "## Skipped", "", *(f"- {name}: {reason}" for name, reason in record["skipped"].items())]
    return "\n".join(lines) + "\n"


def title(task: str, reference: str) -> str:
    """Title of a group of cases."""
    return f"{_TITLES[task]}, over {_REFERENCES.get(reference, reference)}"


def describe(row: Mapping[str, Any]) -> str:
    """The sizes of a case in words."""
    if row["task"] == "import":
        return ""
    words = [f"{row['group'].upper()} {row['kernel']}x{row['kernel']}", f"{row['fields']} fields"]
    if row["layers"] is not None:
        words.append("1 layer" if row["layers"] == 1 else f"{row['layers']} layers")
    if row["size"] is not None:
        words += [f"{row['size']}x{row['size']}", f"batch {row['batch']}"]
    return ", ".join(words)


def amount(value: float | int, unit: str) -> str:
    """An amount with a suitable unit."""
    steps = ((1, "s"), (1e-3, "ms"), (1e-6, "us")) if unit == "seconds" else ((2**20, "MiB"), (2**10, "KiB"))
    factor, name = next((step for step in steps if value >= step[0]), steps[-1])
    return f"{_digits(value / factor)} {name}"


def interval(row: Mapping[str, Any], middle: str, low: str, high: str) -> str:
    """A median and its interval."""
    if row[low] == row[high]:
        return _digits(row[middle])
    return f"{_digits(row[middle])} ({_digits(row[low])} to {_digits(row[high])})"


def _digits(value: float | int) -> str:
    """Three digits, including trailing zeros."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


def _goal(goal: Mapping[str, Any]) -> str:
    if goal["to"] is None:
        return f"{goal['of']} at most {goal['most']:.3g} s"
    return f"{goal['of']} / {goal['to']} at most {goal['most']:.3g}"
