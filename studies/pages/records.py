"""Records: levers on held-out images, recipes on test images, and photographs at equal cost."""

from studies.base.results import read
from studies.base.summary import errors, grouped, mean, spread, values, where
from studies.pages.markdown import table

TITLES = {
    "upright": "error upright", "rotated": "error at random angles",
    "rotated, 2 copies": "the same, mean over 2 copies",
}  # fmt: skip


def record_levers(study: str) -> str:
    """Every lever by itself, on held-out images."""
    return _recipes(study, "levers")


def record_final(study: str) -> str:
    """The recipes, on test images."""
    return _recipes(study, "record")


def _recipes(study: str, part: str) -> str:
    rows, lines = where(read(study), part=part), []
    if not rows:
        return "Not measured yet."
    tests = [test for test in TITLES if any(row["test"] == test for row in rows)]
    for (levers, images, epochs, _), own in grouped(rows, "levers", "images", "epochs", "plain_width").items():
        found, first = errors(own), own[0]
        lines.append((
            levers, f"{images:,}", str(epochs), str(len(found[tests[0]])), f"{first['parameters']:,}",
            f"{first['multiply_adds'] / 1e6:.0f} M", f"{mean(own, 'seconds'):.0f} s" if values(own, "seconds") else "",
            *(spread(found.get(test, ()), 2) for test in tests),
        ))  # fmt: skip
    header = ("changed", "images", "epochs", "seeds", "parameters", "multiply-adds", "training")
    return table((*header, *(TITLES[test] for test in tests)), "lrrrrrr" + "r" * len(tests), lines)


def cifar10_networks() -> str:
    """Each network on a group, plain at equal parameters, plain at equal multiply-adds."""
    rows, lines = read("cifar10_networks"), []
    for (name, matched, family, group), own in grouped(rows, "network", "matched", "family", "group").items():
        found, first = errors(own), own[0]
        filters = f"plain, equal {matched}" if family == "plain" else f"**{family} {group.upper()}**"
        lines.append((
            name, filters, str(len(found["upright"])), f"{first['parameters']:,}",
            f"{first['multiply_adds'] / 1e6:.0f} M", f"{mean(where(own, test='upright'), 'seconds'):.0f} s",
            spread(values(where(own, test="upright"), "test_error_percent"), 2), spread(found["rotated"], 2),
        ))  # fmt: skip
    header = ("network", "filters", "seeds", "parameters", "multiply-adds", "training")
    return table((*header, "error upright", "error at random angles"), "llrrrrrr", lines)
