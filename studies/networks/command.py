"""`python -m studies NAME` for networks on a data set."""

from dataclasses import dataclass
from typing import Any

from rich.table import Table

from orbitconv.cli.terminal import Terminal, mean_and_spread
from orbitconv.figures.drawing import write_figure
from orbitconv.records.record import Row
from studies.base.command import run_study
from studies.base.summary import kinds, mean
from studies.networks import STUDIES, NetworkStudy, compare_networks
from studies.networks.figures import errors_by_family


def _run(config: NetworkStudy) -> None:
    """Train, test, show."""
    terminal = Terminal()
    record = run_study(config.out, config.results, terminal, lambda progress: compare_networks(config, progress))
    write_figure(errors_by_family(record.rows), config.out, record.study)
    terminal.console.print(table(config.study, record.rows))
    terminal.say(f"Record, figure and networks: {config.out}")


def _command(study: type[NetworkStudy]) -> type[Any]:
    """The command of one data set: its settings with their help texts, and what all of them do."""
    summary = (
        f"{study.__doc__}\n\n    Families, groups and seeds can follow later; several processes may share the work."
    )
    return dataclass(frozen=True, kw_only=True)(type(study.__name__, (study,), {"__doc__": summary, "run": _run}))


mnist, fashion_mnist, rotated_mnist, cifar10, rotated_cifar10 = (
    _command(STUDIES[name]) for name in ("mnist", "fashion-mnist", "rotated-mnist", "cifar10", "rotated-cifar10")
)


def table(study: str, rows: list[Row]) -> Table:
    """Every kind of network with its errors, the best first among those trained alike."""
    found = kinds(rows)
    tests = list(dict.fromkeys(test for kind in found for test in kind.errors))
    shown = Table(title=f"{study}: test error in %")
    for column in ("network", "atoms", "parameters", "multiply-adds", "turned", "epochs", *tests, "training, s"):
        shown.add_column(column, justify="left" if column in {"network", "turned"} else "right")
    for kind in found:
        shown.add_row(
            kind.name, str(kind.first["num_atoms"]), f"{kind.first['parameters']:,}",
            f"{kind.first['multiply_adds'] / 1e6:.1f} M", kind.rotation,
            str(kind.epochs), *(mean_and_spread(kind.errors.get(test, ()), 2) for test in tests),
            f"{mean(kind.rows, 'seconds'):.0f}",
        )  # fmt: skip
    return shown
