"""Draw the figures of studies of networks in docs/results.md and docs/rivals.md, from the records in results/."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orbitconv.figures.drawing import write_figure
from studies.base.results import ROOT, read
from studies.networks.figures import errors_by_family
from studies.networks.stability_figures import error_by_angle, error_by_layer
from studies.rivals.shown import curves, fronts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES: dict[str, tuple[Callable[[Sequence[Any]], "Figure"], tuple[str, ...]]] = {
    "rotated_mnist": (errors_by_family, ("rotated_mnist",)),
    "fashion_mnist": (errors_by_family, ("fashion_mnist",)),
    "cifar10": (errors_by_family, ("cifar10",)),
    "rotated_cifar10": (errors_by_family, ("rotated_cifar10",)),
    "stability_angles": (error_by_angle, ("stability", "stability_turned")),
    "stability_layers": (error_by_layer, ("stability", "stability_turned")),
    "rivals": (fronts, ("rivals",)),
    "labels": (curves, ("labels",)),
    "stability_groups": (error_by_angle, ("stability_groups",)),
}
"""The figures: how each is drawn, and from which records."""


def main() -> None:
    """Draw them all."""
    with tempfile.TemporaryDirectory() as made:
        for name, (draw, studies) in FIGURES.items():
            rows = [row for study in studies for row in read(study) if row.get("ablation", "none") == "none"]
            write_figure(draw(rows), Path(made), name)
            (ROOT / "docs" / "figures" / f"{name}.png").write_bytes((Path(made) / f"{name}.png").read_bytes())


if __name__ == "__main__":
    main()
