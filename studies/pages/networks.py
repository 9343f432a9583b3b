"""Networks: errors of every family, study by study."""

import statistics

from studies.base.results import read, record
from studies.base.summary import errors, grouped, mean, spread, where
from studies.networks.separable import cells_of
from studies.pages.markdown import network_name, table, test_title


def translations() -> str:
    """From MLP to CNN: test errors on MNIST."""
    names = {"mlp": "MLP", "learned": "**translations learned from pairs**", "cnn": "CNN"}
    tests = ("plain", "permuted", "zero-filled")
    rows, lines = where(read("mlp_to_cnn"), part="main"), []
    for family, name in names.items():
        own = where(rows, family=family)
        cells = (spread(errors(own).get(test, ()), 2) for test in tests)
        plain = where(own, test="plain")
        lines.append((name, f"{plain[0]['parameters']:,}", *cells, f"{mean(plain, 'seconds'):.0f} s"))
    header = (
        "network", "parameters", "plain pixels", "one random order", "the same, shifts with zero fill", "training",
    )  # fmt: skip
    return table(header, "lrrrrr", lines)


def networks(study: str) -> str:
    """Every kind of network of a study, the best first among those trained alike."""
    rows, lines = read(study), []
    tests = list(grouped(rows, "test"))
    for (rotation, epochs, family, group), own in grouped(rows, "rotation", "epochs", "family", "group").items():
        found = errors(own)
        cells = (str(own[0]["num_atoms"]), f"{own[0]['parameters']:,}", f"{own[0]['multiply_adds'] / 1e6:.0f} M")
        key = (rotation != "none", epochs, statistics.mean(found["rotated"]))
        how = "" if rotation == "none" else f", turned ({rotation})"
        numbers = sorted({row.get("precision", "32") for row in own}, reverse=True)
        how += "" if numbers == ["32"] else f", {' and '.join(numbers)}"
        shown = (spread(found.get(test, ()), 2) for test in tests)
        lines.append((key, (network_name(family, group), f"{epochs} epochs{how}", *cells, *shown)))
    header = ("network", "training", "atoms", "parameters", "multiply-adds", *map(test_title, tests))
    return table(header, "llrrr" + "r" * len(tests), (line for _, line in sorted(lines)))


def rotated_mnist_short() -> str:
    """The best network of each kind on digits at any angle."""
    chosen = [
        ("plain CNN", "rotated_mnist", "plain"), ("exact C4", "rotated_mnist", "exact"),
        ("bilinear C8", "rotated_mnist", "bilinear"), ("learned C8, as in the paper", "rotated_mnist", "learned"),
        ("circular harmonics C8", "rotated_mnist", "harmonic"),
        ("**spectral C8, seven atoms**", "rotated_mnist_7_atoms", "spectral"),
        ("**the same, images turned in training, 20 epochs**", "rotated_mnist_best", "spectral"),
    ]  # fmt: skip
    lines = []
    for name, study, family in chosen:
        lines.append((name, spread(errors(where(read(study), family=family))["rotated"], 2)))
    return table(("network", "error at random angles"), "lr", lines)


def separable() -> str:
    """Group convolutions in cheaper steps: savings and loss of accuracy."""
    found = record("separable")
    return table(*cells_of(found["rows"], found["training_steps"]))
