"""Write the tables of README.md and the docs from the records in results/: what a page says is what was measured.

    python -m studies.pages.tables           # rewrite them
    python -m studies.pages.tables --check   # exit with 1 if one differs from its record

A table stands between `<!-- table: NAME -->` and `<!-- end -->`.
"""

import re
import sys
from collections.abc import Callable
from functools import partial

from studies.pages.bases import bases, demo, learned, orders, trained
from studies.pages.markdown import ROOT
from studies.pages.networks import networks, rotated_mnist_short, separable, translations
from studies.pages.speed import speed
from studies.pages.stability import ablations, growth, stability, stability_fields

PAGES = ("README.md", "docs/concepts.md", "docs/results.md")

NETWORK_STUDIES = (
    "mnist", "fashion_mnist", "rotated_mnist", "rotated_mnist_best", "rotated_mnist_turned",
    "rotated_mnist_regularised", "rotated_mnist_bent", "rotated_mnist_7_atoms", "cifar10", "rotated_cifar10",
)  # fmt: skip
STABILITY_STUDIES = ("stability", "stability_turned", "stability_groups")

TABLES: dict[str, Callable[[], str]] = {
    "demo": demo, "bases": bases, "trained": trained, "orders": orders, "learned": learned,
    "translations": translations, "rotated_mnist_short": rotated_mnist_short, "separable": separable, "speed": speed,
    "stability_fields": stability_fields, "growth": growth, "ablations": ablations,
    **{name: partial(networks, name) for name in NETWORK_STUDIES},
    **{name: partial(stability, name) for name in STABILITY_STUDIES},
}  # fmt: skip


def rewrite(page: str) -> str:
    """A page with every table made anew; where a record is not there yet, the page says so."""

    def make(match: re.Match[str]) -> str:
        try:
            words = TABLES[match[1]]()
        except FileNotFoundError:
            words = "Not measured yet."
        return f"<!-- table: {match[1]} -->\n\n{words}\n\n<!-- end -->"

    return re.sub(r"<!-- table: (\w+) -->.*?<!-- end -->", make, page, flags=re.DOTALL)


def main() -> None:
    """Rewrite or check."""
    stale = []
    for name in PAGES:
        path = ROOT / name
        page = path.read_text(encoding="utf-8")
        if rewrite(page) != page:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(rewrite(page), encoding="utf-8")
    if stale and "--check" in sys.argv:
        sys.exit(f"tables differ from results/ in {', '.join(stale)}: run python -m studies.pages.tables")


if __name__ == "__main__":
    main()
