"""Networks: errors of every family, study by study."""

import statistics
from typing import Any

from studies.pages.markdown import Rows, network_name, read, record, spread, table


def translations() -> str:
    """From MLP to CNN: test errors on MNIST."""
    names = {"mlp": "MLP", "learned": "**translations learned from pairs**", "cnn": "CNN"}
    tests = ("plain", "permuted", "zero-filled")
    rows, lines = [r for r in read("mlp_to_cnn") if r["part"] == "main"], []
    for family, name in names.items():
        own = {test: [r for r in rows if (r["family"], r["test"]) == (family, test)] for test in tests}
        cells = [spread((r["test_error_percent"] for r in own[test]), 2) if own[test] else "" for test in tests]
        seconds = statistics.mean(r["seconds"] for r in own["plain"])
        lines.append((name, f"{own['plain'][0]['parameters']:,}", *cells, f"{seconds:.0f} s"))
    header = (
        "network",
        "parameters",
        "plain pixels",
        "one random order",
        "the same, shifts with zero fill",
        "training",
    )
    return table(header, "lrrrrr", lines)


def networks(study: str) -> str:
    """Every kind of network of a study, the best first among those trained alike."""
    rows, lines = read(study), []
    kinds: dict[tuple[Any, ...], Rows] = {}
    for row in rows:
        kinds.setdefault((row["rotation"], row["epochs"], row["family"], row["group"]), []).append(row)
    tests = list(dict.fromkeys(row["test"] for row in rows))
    for (rotation, epochs, family, group), own in kinds.items():
        errors = {test: [r["test_error_percent"] for r in own if r["test"] == test] for test in tests}
        cells = (str(own[0]["num_atoms"]), f"{own[0]['parameters']:,}", f"{own[0]['multiply_adds'] / 1e6:.0f} M")
        key = (rotation != "none", epochs, statistics.mean(errors["rotated"]))
        how = "" if rotation == "none" else f", turned ({rotation})"
        numbers = sorted({row.get("precision", "32") for row in own}, reverse=True)
        how += "" if numbers == ["32"] else f", {' and '.join(numbers)}"
        shown = (spread(errors[test], 2) for test in tests)
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
        own = (row for row in read(study) if (row["family"], row["test"]) == (family, "rotated"))
        lines.append((name, spread((row["test_error_percent"] for row in own), 2)))
    return table(("network", "error at random angles"), "lr", lines)


def test_title(test: str) -> str:
    """What a test of a study is called."""
    images, _, copies = test.partition(", ")
    title = {"upright": "error upright", "rotated": "error at random angles"}[images]
    return f"{title}, mean over {copies}" if copies else title


def separable() -> str:
    """Group convolutions in cheaper steps: what they save, and what they cost in accuracy."""
    found, lines = record("separable"), []
    tests = list(dict.fromkeys(row["test"] for row in found["rows"]))
    for step in found["training_steps"]:
        own = [row for row in found["rows"] if row["network"] == step["network"]]
        cells = (f"{own[0]['width']:g}", f"{own[0]['parameters']:,}", f"{own[0]['multiply_adds'] / 1e6:.1f} M")
        errors = (spread((r["test_error_percent"] for r in own if r["test"] == test), 2) for test in tests)
        seconds = statistics.mean(row["seconds"] for row in own)
        lines.append((step["network"], *cells, *errors, f"{seconds:.0f} s", f"{step['step_ratio']:.2f}"))
    header = ("convolutions", "fields", "parameters", "multiply-adds", *map(test_title, tests))
    return table((*header, "training", "training step, dense = 1"), "lrrr" + "r" * len(tests) + "rr", lines)
