"""Networks of other packages, converted."""

from collections.abc import Mapping
from typing import Any

from studies.base.results import read
from studies.base.summary import grouped
from studies.pages.markdown import table

TWINS = ("plain", "fold", "export")


def converted_networks() -> str:
    """The result for each network, or why it is refused."""
    lines = []
    for name, rows in grouped(read("convert_networks"), "network").items():
        groups = {row["group"]: row for row in rows}
        own, said = groups["c4"], " ".join(_found(row) for row in rows)
        if "refused" in own or "float64" not in own:
            lines.append((str(name), said, "", "", "", "", _reason(own.get("refused", ""))))
            continue
        before, after = own["parameters"]
        adds = [count for count in own["multiply_adds"] if count]
        growth = f"{after / before:.1f}" + (f", {adds[1] / adds[0]:.0f}" if len(adds) == 2 else "")
        notes = [_reason(row["refused"]) for row in rows if "refused" in row]
        notes += [] if own["says_exact"] else [f"lost at {own['first_lost']}"]
        notes += [f"no `{way}` twin" for way in TWINS if isinstance(own[way], str)]
        notes += ["twins in float64"] if any(f"{way}_float64" in own for way in TWINS) else []
        lines.append((
            str(name), said, str(own["exchanged"]), growth, f"{own['float64']:.0e}, {own['float64_after_step']:.0e}",
            f"{max(_twin(own, way) for way in TWINS):.0e}", "; ".join(notes),
        ))  # fmt: skip
    header = ("network", "converts for", "exchanged", "parameters, multiply-adds, times",
              "error in float64 before, after a step", "twins differ by", "note")  # fmt: skip
    return table(header, "llrrrrl", lines)


def _twin(own: Mapping[str, Any], way: str) -> float:
    """Difference of a twin: in float64 where float32 rounds by more than 1e-5; zero where there is none."""
    found = own.get(f"{way}_float64", own[way])
    return found if isinstance(found, float) else 0.0


def _found(row: Mapping[str, Any]) -> str:
    return "" if "refused" in row else str(row["group"]).upper()


def _reason(refused: str) -> str:
    """The first sentence of a refusal, without its first words."""
    reason = refused.partition("convert cannot convert ")[2].partition(". ")[0].partition(" (RuntimeError")[0]
    return reason.replace("'", "`").replace("|", "\\|").removesuffix(".")
