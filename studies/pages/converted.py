"""Networks of other packages, converted."""

from collections.abc import Mapping
from typing import Any

from studies.base.results import read
from studies.base.summary import grouped
from studies.pages.markdown import table

TWINS = ("plain", "fold", "export")


def converted_networks() -> str:
    """What became of each network, or why it is refused."""
    lines = []
    for name, rows in grouped(read("convert_networks"), "network").items():
        groups = {row["group"]: row for row in rows}
        own, said = groups["c4"], " ".join(_found(row) for row in rows)
        if "refused" in own:
            lines.append((str(name), said, "", "", "", "", _reason(own["refused"])))
            continue
        before, after = own["parameters"]
        adds = [count for count in own["multiply_adds"] if count]
        growth = f"{after / before:.1f}" + (f", {adds[1] / adds[0]:.0f}" if len(adds) == 2 else "")
        notes = [_reason(row["refused"]) for row in rows if "refused" in row]
        notes += [] if own["says_exact"] else [f"lost at {own['first_lost']}"]
        notes += ["`fold` does not follow its forward"] if isinstance(own["fold"], str) else []
        lines.append((
            str(name), said, str(own["exchanged"]), growth, f"{own['float64']:.0e}, {own['float64_after_step']:.0e}",
            f"{max(own[way] for way in TWINS if isinstance(own[way], float)):.0e}", "; ".join(notes),
        ))  # fmt: skip
    header = ("network", "converts for", "exchanged", "parameters, multiply-adds, times",
              "error in float64 before, after a step", "twins differ by", "note")  # fmt: skip
    return table(header, "llrrrrl", lines)


def _found(row: Mapping[str, Any]) -> str:
    """The group, if the network converts for it."""
    return "" if "refused" in row else str(row["group"]).upper()


def _reason(refused: str) -> str:
    """The first sentence of a refusal, without its beginning."""
    reason = refused.partition("convert cannot convert ")[2].partition(". ")[0]
    return reason.replace("'", "`").replace("|", "\\|").removesuffix(".")
