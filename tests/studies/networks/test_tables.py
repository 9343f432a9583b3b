import io
import itertools

from rich.console import Console

from studies.networks.command import table
from studies.networks.figures import errors_by_family
from studies.networks.tables import kinds


def rows():
    """Two seeds of three kinds of networks, one of them trained in another way too."""
    for family, group, rotation, epochs, error in [
        ("plain", "c1", "none", 2, 9.0), ("spectral", "c8", "none", 2, 3.0), ("exact", "c4", "none", 2, 5.0),
        ("spectral", "c8", "circle", 4, 1.0),
    ]:  # fmt: skip
        for seed in range(2):
            for test, less in (("upright", 0.5), ("rotated", 0.0)):
                yield {
                    "family": family, "group": group, "rotation": rotation, "epochs": epochs, "seed": seed,
                    "num_atoms": 9, "parameters": 1000, "multiply_adds": 2_000_000, "seconds": 4.0 + 2 * seed,
                    "test": test, "test_error_percent": error + seed - less,
                }  # fmt: skip


def test_seeds_come_together_and_the_best_of_those_trained_alike_first():
    found = kinds(list(rows()))
    assert [kind.name for kind in found] == ["spectral C8", "exact C4", "plain", "spectral C8"]
    assert found[1].errors == {"upright": [4.5, 5.5], "rotated": [5.0, 6.0]}
    assert found[1].seconds == 5.0


def test_table_shows_means_and_spreads():
    console = Console(width=140, file=io.StringIO())
    console.print(table("mnist", list(rows())))
    words = console.file.getvalue()
    assert "5.50 ± 0.71" in words
    assert "2.0 M" in words


def test_figure_has_a_dot_for_each_seed_and_names_every_kind():
    figure = errors_by_family(list(rows()))
    (axes,) = figure.axes
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert labels == ["spectral C8", "exact C4", "plain", "spectral C8, turned (circle), 4 epochs"]
    dots = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert sorted(x for line in dots for x in line.get_xdata()) == sorted(r["test_error_percent"] for r in rows())


def test_errors_on_the_axis_do_not_run_into_each_other():
    far = [{**row, "test_error_percent": 9 * row["test_error_percent"]} for row in rows()]
    near = [{**row, "test_error_percent": 45 + row["test_error_percent"]} for row in rows()]
    for some in (list(rows()), [*rows(), *far], near):
        figure = errors_by_family(some)
        figure.canvas.draw()
        boxes = [tick.get_window_extent() for tick in figure.axes[0].get_xticklabels()]
        assert len(boxes) >= 2
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
