"""The record of the compiled product as a Markdown page."""

from collections.abc import Mapping, Sequence
from typing import Any

from studies.pages.markdown import table


def markdown(record: Mapping[str, Any]) -> str:
    """A page with all tables."""
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    config, facts = record["config"], record["machine"]
    lines = [
        "# The compiled product",
        "",
        f"{facts['processor']}, {config['threads']} threads, {config['clock']} time; seed {config['seed']}; "
        f"{versions}; commit {record['commit'] or 'unknown'}. Load before: {record['load_before']}, "
        f"after: {record['load_after']}. `{record['command']}`",
        "",
        "Ratios are medians of paired rounds within this run, with the 95 % interval of the median (the range, if "
        "there are fewer than six rounds).",
    ]
    for task in dict.fromkeys(row["task"] for row in record["rows"]):
        lines += ["", f"## {task[0].upper()}{task[1:]}", "", _table(task_rows(record, task))]
    if record["rates"]:
        note = "Multiply-adds that are done, those of the dense product in that time, bytes of input and output."
        lines += ["", "## Roofline", "", note, "", _rates(record["rates"])]
    return "\n".join(lines) + "\n"


def task_rows(record: Mapping[str, Any], task: str) -> list[Mapping[str, Any]]:
    """The rows of a task."""
    return [row for row in record["rows"] if row["task"] == task]


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    header, lines = ("case", "subject", "amount", "images per second", f"over {rows[0]['reference']}", "goal"), []
    for row in rows:
        amount = f"{row['median'] / 2**20:.1f} MiB" if row["unit"] == "bytes" else f"{row['median'] * 1e3:.3g} ms"
        images = "" if row["images_per_second"] is None else f"{row['images_per_second']:,.0f}"
        goal = "" if row["goal"] is None else f"{row['goal']:g}"
        subject = row["subject"] + (f": {row['note']}" if row.get("note") else "")
        lines.append((row["case"], subject, amount, images, share(row), goal))
    return table(header, "llrrrr", lines)


def share(row: Mapping[str, Any]) -> str:
    """A ratio with its interval."""
    if row["subject"] == row["reference"]:
        return "1"
    if row["ratio_low"] == row["ratio_high"]:
        return f"{row['ratio']:.3g}"
    return f"{row['ratio']:.3g} ({row['ratio_low']:.3g} to {row['ratio_high']:.3g})"


def _rates(found: Sequence[Mapping[str, Any]]) -> str:
    names = ("multiply_adds", "dense_multiply_adds", "bytes")
    lines = ((row["what"], *(f"{row[f'{name}_per_second'] / 1e9:.3g}" for name in names)) for row in found)
    return table(("what", "G multiply-adds/s", "dense G multiply-adds/s", "GB/s"), "lrrr", lines)
