"""A plain network and its conversions."""

from studies.base.results import read
from studies.base.summary import grouped, mean, spread, values
from studies.conversion.shown import before, last, saved
from studies.pages.markdown import table


def conversion() -> str:
    """Errors before and after training; the share of the epochs that inherited filters save."""
    lines = []
    for (data, share), rows in grouped(read("conversion"), "data", "share").items():
        for (name, test), own in grouped(rows, "network", "test").items():
            spared = f"{100 * sum(saved(rows, test)) / len(saved(rows, test)):.0f} %" if name == "inherited" else ""
            lines.append((
                f"{data}, {share:.0%} of the labels", str(test), str(name), _range([row["epochs"] for row in own]),
                f"{own[0]['parameters']:,}", f"{mean(own, 'seconds'):.0f} s",
                spread(values(before(own), "test_error_percent"), 1),
                spread(values(last(own), "test_error_percent"), 2), spared,
            ))  # fmt: skip
    header = ("data", "test", "network", "epochs", "parameters", "training", "before training", "after", "epochs saved")
    return table(header, "lllrrrrrr", lines)


def inheriting() -> str:
    """Errors at any angle of each variant of inheriting, and of its plain twin."""
    lines = []
    for name, rows in grouped(read("inheriting"), "way").items():
        kinds = grouped([row for row in rows if row["test"] == "rotated"], "network")
        plain, own = (values(kinds[kind], "test_error_percent") for kind in ("plain", "converted"))
        facts = (str(rows[0]["batch_size"]), str(rows[0]["epochs"]), str(len(own)))
        before = spread(values(kinds["converted"], "before_percent"), 1)
        lines.append((str(name), *facts, spread(plain, 2), before, spread(own, 2), f"{sum(plain) / sum(own):.1f}"))
    header = ("way", "batch", "epochs", "seeds", "plain", "before training", "after", "times fewer errors")
    return table(header, "lrrrrrrr", lines)


def _range(numbers: list[int]) -> str:
    """One number, or the range from the least to the greatest."""
    return str(numbers[0]) if len(set(numbers)) == 1 else f"{min(numbers)} to {max(numbers)}"
