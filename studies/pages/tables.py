"""Write the tables of README.md and the docs, and results/tables.csv, from the records in results/.

Records of variants are merged into those of their studies on the way, and long rows compressed.

    python -m studies.pages.tables           # rewrite them
    python -m studies.pages.tables --check   # exit with 1 if one differs from its record

A table stands between `<!-- table: NAME -->` and `<!-- end -->`.
"""

import csv
import io
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial

from orbitconv._support.files import write_atomically
from studies.base.results import RESULTS, ROOT, pack
from studies.pages.bases import bases, demo, learned, orders, trained
from studies.pages.conversion import conversion, inheriting
from studies.pages.converted import converted_networks
from studies.pages.networks import networks, rotated_mnist_short, separable, translations
from studies.pages.pictures import eurosat, eurosat_time, nuclei, streaming
from studies.pages.records import cifar10_networks, record_final, record_levers
from studies.pages.rivals import TABLES as RIVALS
from studies.pages.speed import fused_choice, fused_layers, fused_networks, fused_onnx, fused_rates, speed
from studies.pages.stability import ablations, growth, stability, stability_fields
from studies.pages.systems import lattices, systems

PAGES = (
    "README.md", "docs/bases.md", "docs/concepts.md", "docs/results.md", "docs/speed.md", "docs/training.md",
    "docs/hexagons.md", "docs/systems.md", "docs/records.md", "docs/rivals.md",
    "docs/how-to/convert.md", "docs/how-to/large_pictures.md",
)  # fmt: skip

NETWORK_STUDIES = (
    "mnist", "fashion_mnist", "rotated_mnist", "rotated_mnist_best", "rotated_mnist_turned",
    "rotated_mnist_regularised", "rotated_mnist_bent", "rotated_mnist_7_atoms", "cifar10", "rotated_cifar10",
)  # fmt: skip
RECORD_STUDIES = ("upright", "rotated_mnist_record")
STABILITY_STUDIES = ("stability", "stability_turned", "stability_groups")

TABLES: dict[str, Callable[[], str]] = {
    **{
        make.__name__: make
        for make in (
            demo, bases, trained, orders, learned, translations, rotated_mnist_short, separable, speed, eurosat,
            eurosat_time, nuclei, streaming, conversion, converted_networks, inheriting, systems, lattices,
            fused_layers, fused_networks, fused_rates, fused_onnx, fused_choice, stability_fields, growth, ablations,
        )
    },
    **RIVALS,
    **{name: partial(networks, name) for name in NETWORK_STUDIES},
    "cifar10_networks": cifar10_networks,
    **{name: partial(record_final, name) for name in RECORD_STUDIES},
    **{f"{name}_levers": partial(record_levers, name) for name in RECORD_STUDIES},
    **{name: partial(stability, name) for name in STABILITY_STUDIES},
}  # fmt: skip


def rendered() -> dict[str, str]:
    """Every table; says so where its record does not exist yet."""

    def render(make: Callable[[], str]) -> str:
        try:
            return make()
        except FileNotFoundError:
            return "Not measured yet."

    return {name: render(make) for name, make in TABLES.items()}


def filled(page: str, tables: Mapping[str, str]) -> str:
    """A page with every table rewritten."""
    return re.sub(
        r"<!-- table: (\w+) -->.*?<!-- end -->",
        lambda match: f"<!-- table: {match[1]} -->\n\n{tables[match[1]]}\n\n<!-- end -->",
        page,
        flags=re.DOTALL,
    )


def flat(tables: Mapping[str, str]) -> str:
    """All tables as one CSV file: a line for each cell, with its number and its spread."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("table", "row", "first_cell", "column", "cell", "value", "standard_deviation"))
    for name, table in tables.items():
        if "\n" not in table:
            continue  # not measured yet
        header, _, *lines = (line[2:-2].replace("**", "").split(" | ") for line in table.split("\n"))
        for number, cells in enumerate(lines, start=1):
            for column, cell in zip(header[1:], cells[1:], strict=False):
                found = re.fullmatch(r"([-+\d,.e]*\d)(?: ± ([\d.]+))?(?: (?:%|M|s))?", cell)
                value, deviation = (found[1].replace(",", ""), found[2]) if found else ("", "")
                writer.writerow((name, number, cells[0], column, cell, value, deviation or ""))
    return buffer.getvalue()


def main() -> None:
    """Rewrite or check."""
    check = "--check" in sys.argv
    if not check:
        pack(RESULTS)
    tables = rendered()
    wanted = {ROOT / page: filled((ROOT / page).read_text(encoding="utf-8"), tables) for page in PAGES}
    wanted[RESULTS / "tables.csv"] = flat(tables)
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if check and stale:
        names = ", ".join(path.relative_to(ROOT).as_posix() for path in stale)
        sys.exit(f"tables differ from results/ in {names}: run python -m studies.pages.tables")
    for path in stale:
        write_atomically(path, wanted[path])


if __name__ == "__main__":
    main()
