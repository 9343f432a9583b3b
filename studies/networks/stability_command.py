"""`python -m studies stability`."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from orbitconv.cli.terminal import Terminal, mean_and_spread
from orbitconv.figures.drawing import write_figure
from orbitconv.records.record import Row
from studies.base.command import run_study
from studies.networks.stability import StabilityStudy, study_stability
from studies.networks.stability_figures import error_by_angle, error_by_layer


@dataclass(frozen=True, kw_only=True)
class StabilityCommand(StabilityStudy):
    """Measure error against the test angle and the equivariance error of every layer, before and after training.

    Families, groups and seeds can follow later; several processes may share the work.
    """

    def run(self) -> None:
        """Train, measure, show."""
        terminal = Terminal()
        record = run_study(self.out, self.results, terminal, lambda progress: study_stability(self, progress))
        whole = [row for row in record.rows if row["ablation"] == "none"]
        for name, draw in (("stability_angles", error_by_angle), ("stability_layers", error_by_layer)):
            write_figure(draw(whole), self.out, name)
        for title, rows, key in (("families", whole, "family"), ("what was changed", record.rows, "ablation")):
            terminal.console.print(table(title, rows, key))
        terminal.say(f"Record, figures and networks: {self.out}")


def table(title: str, rows: Sequence[Row], key: str) -> Table:
    """Errors at all angles and equivariance errors, for each kind of network."""
    shown = Table(
        title=f"Stability: {title}", caption="layers: mean equivariance error over the turns of a network's own group"
    )
    for column in (
        key,
        "group",
        "turned",
        "upright, %",
        "random angles, %",
        "worst angle, %",
        "layers before",
        "after",
    ):
        shown.add_column(column, justify="left" if column in {key, "turned"} else "right")
    if key == "ablation":
        rows = [
            row
            for row in rows
            if "spectral" in str(row["family"]) and (row["group"], row["rotation"]) == ("c8", "none")
        ]
    kinds = dict.fromkeys((row[key], row["group"], row["rotation"]) for row in rows)
    for kind in kinds:
        own = [row for row in rows if (row[key], row["group"], row["rotation"]) == kind]
        errors = {
            test: [row["test_error_percent"] for row in own if row["test"] == test] for test in ("upright", "rotated")
        }
        curve: dict[object, list[float]] = {}
        for row in own:
            if row["test"] == "angle":
                curve.setdefault(row["degrees"], []).append(float(row["test_error_percent"] or 0))
        layers = {
            when: [float(row["equivariance_error"] or 0) for row in own if row.get("when") == when]
            for when in ("before", "after")
        }
        shown.add_row(
            *map(str, kind), *(mean_and_spread(errors[test], 2) for test in errors),
            f"{max(map(statistics.fmean, curve.values())):.1f}",
            *(f"{statistics.fmean(errors):.3f}" for errors in layers.values()),
        )  # fmt: skip
    return shown
