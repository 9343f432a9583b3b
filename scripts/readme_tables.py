"""Write the tables of README.md and the docs from the records in results/: what a page says is what was measured.

    python scripts/readme_tables.py           # rewrite them
    python scripts/readme_tables.py --check   # exit with 1 if one differs from its record

A table stands between `<!-- table: NAME -->` and `<!-- end -->`.
"""

import json
import re
import statistics
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/concepts.md", "docs/results.md")

Rows = list[dict[str, Any]]

LEARNED = ("learned", "average", "fine-tuned", "over-complete", "spectral", "unitary")


def record(name: str) -> dict[str, Any]:
    """A record."""
    return json.loads((ROOT / "results" / f"{name}.json").read_text(encoding="utf-8"))


def read(name: str) -> Rows:
    """Rows of a record."""
    return record(name)["rows"]


def spread(values: Iterable[float], digits: int = 1, unit: str = " %") -> str:
    """Mean and standard deviation; nothing if there are no values."""
    values = list(values)
    if not values:
        return ""
    words = f"{statistics.mean(values):.{digits}f}"
    return f"{words} ± {statistics.stdev(values):.{digits}f}{unit}" if len(values) > 1 else words + unit


def network_name(family: str, group: str) -> str:
    """What a network is called; bold where its basis is learned."""
    name = "plain CNN" if family == "plain" else f"{family} {group.upper()}"
    return f"**{name}**" if family in LEARNED else name


def table(header: tuple[str, ...], align: str, rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown; `align` has one of l and r for each column."""
    marks = {"l": "---", "r": "---:"}
    lines = [header, tuple(marks[a] for a in align), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def demo() -> str:
    """Networks of the demo."""
    names = {
        "plain": "plain CNN", "exact": "exact C4 (quarter turns)", "bilinear": "bilinear C8",
        "unitary": "learned C8, unitary, 9 atoms", "spectral": "**learned C8, spectral, 6 atoms**",
    }  # fmt: skip
    rows, lines = read("demo"), []
    for family, name in names.items():
        upright, turned = (
            spread(r["test_error_percent"] for r in rows if (r["family"], r["test"]) == (family, test))
            for test in ("upright", "rotated")
        )
        lines.append((name, upright, f"**{turned}**" if name.startswith("**") else turned))
    return table(("network, about 50,000 parameters", "error upright", "error at random angles"), "lrr", lines)


def bases() -> str:
    """Equivariance errors at 45 degrees."""
    chosen = [
        ("bilinear", "bilinear", 3, 9, "none"), ("Gaussian, sigma 0.3", "gaussian, sigma 0.3", 3, 9, "none"),
        ("**unitary, learned**", "unitary", 3, 9, "cifar10"),
    ]  # fmt: skip
    for kernel, atoms in ((3, 6), (5, 11), (7, 18)):
        chosen += [
            ("escnn, e2cnn", "escnn", kernel, atoms, "none"),
            ("circular harmonics", "harmonic", kernel, atoms, "none"),
            ("**spectral, learned**", "spectral", kernel, atoms, "cifar10"),
        ]
    rows, lines = read("bases"), []
    for name, family, kernel, atoms, fit in chosen:
        errors = []
        for test in ("cifar10-test", "photographs"):
            (row,) = (
                r for r in rows
                if (r["family"], r["kernel"], r["num_atoms"], r["train"], r["test"])
                == (family, kernel, atoms, fit, test)
            )  # fmt: skip
            value = f"{row['error_45']:.3f}" if row["error_45"] > 0.0095 else f"{row['error_45']:.4f}"
            errors.append(f"**{value}**" if name.startswith("**") else value)
        lines.append((name, f"{kernel}x{kernel}", str(atoms), *errors))
    return table(("basis", "kernel", "atoms", "CIFAR-10 test images", "photographs"), "llrrr", lines)


def trained() -> str:
    """Networks on learned and hand-made bases of one kernel and dimension."""
    rows, lines = read("bases_trained"), []
    families = {
        "harmonic": "circular harmonics",
        "spectral": "spectral",
        "spectral, whitened": "spectral, whitened fit",
    }
    for kernel in sorted({r["kernel"] for r in rows}):
        cells = [
            spread(r["test_error_percent"] for r in rows
                   if (r["kernel"], r["family"], r["test"]) == (kernel, family, "rotated"))
            for family in families
        ]  # fmt: skip
        atoms = next(r["num_atoms"] for r in rows if r["kernel"] == kernel)
        lines.append((f"{kernel}x{kernel}", str(atoms), *cells))
    return table(("kernel", "atoms", *families.values()), "lrrrr", lines)


def orders() -> str:
    """The unitary basis of every order against Procrustes."""
    rows, lines = [r for r in read("bases") if "error_rms" in r], []
    for kernel in sorted({r["kernel"] for r in rows}):
        own = {(r["family"], r["group"]): r for r in rows if r["kernel"] == kernel}
        unitary = {group: r for (family, group), r in own.items() if family == "unitary"}
        names = ("unitarity_error", "group_law_error", "quarter_turn_error")
        worst = [max(r[name] for r in unitary.values()) for name in names]
        ratios = {
            g: r["error_rms"] / own["procrustes", g]["error_rms"] for g, r in unitary.items() if r["error_rms"] > 1e-6
        }
        group = max(ratios, key=lambda g: ratios[g])
        excess = f"{100 * (ratios[group] - 1):.1f} % ({group.upper()})"
        lines.append((f"{kernel}x{kernel}", *(f"{value:.0e}" for value in worst), excess))
    header = ("kernel", "unitarity, float32", "group law", "quarter turns", "error above Procrustes, at worst")
    return table(header, "lrrrr", lines)


def learned() -> str:
    """The paper's training with several settings."""
    words = {
        "default": "ours", "l2": "ours, mean squares", "paper": "the paper's",
        "paper-standardized": "the paper's, standardized images",
        "paper-interpolated": "the paper's, interpolated start",
    }  # fmt: skip
    rows, lines = read("learned_basis"), []
    for settings, name in words.items():
        cells = []
        for family in ("learned", "learned, average"):
            own = [r for r in rows if (r["settings"], r["family"]) == (settings, family)]
            cells.append(spread((r["error_45"] for r in own), 3, ""))
        steps = max(r["steps"] for r in rows if r["settings"] == settings)
        lines.append((name, f"{steps:,}", *cells))
    for family in ("gaussian, sigma 0.3", "unitary"):
        (row,) = (r for r in rows if r["family"] == family)
        lines.append((f"{family}{', closed form' if family == 'unitary' else ''}", "", f"{row['error_45']:.3f}", ""))
    return table(("settings", "steps", "error at 45 degrees", "average variant"), "lrrr", lines)


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


def speed() -> str:
    """Layers beside `nn.Conv2d` and the peers, from the first record of a CPU, and from that with the kernel."""
    (path, *_) = [*sorted((ROOT / "benchmarks" / "results").glob("*-cores.json")), ROOT / "benchmarks" / "none.json"]
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    ratios = {(row["case"], row["subject"]): row["ratio"] for row in rows}
    compiled = path.with_name(f"{path.stem}-kernel.json")
    for row in json.loads(compiled.read_text(encoding="utf-8"))["rows"] if compiled.exists() else ():
        if (row["task"], row["subject"]) == ("expansion", "orbitconv"):  # nothing else is about the kernel
            ratios[row["case"], "with the kernel"] = row["ratio"]
    chosen = [
        ("filters from coefficients and back, in passes over the weight: C8 3x3, 512 channels", "expansion-c8-k3-f64"),
        ("the same, C16 5x5, 256 channels", "expansion-c16-k5-f16"),
        ("training step: 128 channels, 32x32, batch 16", "training-c8-k3-f16-s32-b16"),
        ("256 channels, 32x32, batch 16", "training-c8-k3-f32-s32-b16"),
        ("512 channels, 16x16, batch 16", "training-c8-k3-f64-s16-b16"),
        ("128 channels, 8x8, batch 2", "training-c8-k3-f16-s8-b2"),
        ("128 channels, 16x16, batch 2", "training-c8-k3-f16-s16-b2"),
        ("256 channels, 8x8, batch 2", "training-c8-k3-f32-s8-b2"),
        ("256 channels, 16x16, batch 2", "training-c8-k3-f32-s16-b2"),
        ("peak memory of a training step: 128 channels, 32x32, batch 16", "memory-c8-k3-f16-s32-b16"),
        ("a network of 12 layers, built", "construction-c8-k3-f64-l12"),
        ("import, over torch alone", "import"),
    ]
    lines = []
    for words, case in chosen:
        cells = (ratios.get((case, subject)) for subject in ("orbitconv", "with the kernel", "escnn", "e2cnn"))
        lines.append((words, *("" if ratio is None else f"{ratio:.3g}" for ratio in cells)))
    folded = ratios["inference-c8-k3-f16-s32-b16", "folded"]
    lines.insert(-3, ("inference, folded: 128 channels, 32x32, batch 16", f"{folded:.3g}", "", "", ""))
    header = ("ratio to nn.Conv2d of the same expanded shape", "orbitconv", "with the kernel", "escnn", "e2cnn")
    return table(header, "lrrrr", lines)


def stability() -> str:
    """Every family: errors upright and turned, worst angle, equivariance of its layers before and after training."""
    rows = [row for row in read("stability") if row["ablation"] == "none"]
    kinds: dict[tuple[str, str, str], Rows] = {}
    for row in rows:
        kinds.setdefault((row["rotation"], row["family"], row["group"]), []).append(row)
    lines = []
    for (rotation, family, group), own in kinds.items():
        errors = {test: [r["test_error_percent"] for r in own if r["test"] == test] for test in ("upright", "rotated")}
        layers = [
            statistics.mean(r["equivariance_error"] for r in own if r["test"] == "layer" and r["when"] == when)
            for when in ("before", "after")
        ]
        cells = (spread(errors[test]) for test in errors)
        line = (rotation, network_name(family, group), *cells, *(f"{e:.3f}" for e in layers))
        lines.append(((rotation != "none", rotation, statistics.mean(errors["rotated"])), line))
    header = ("training images turned", "network", "error upright", "error at random angles")
    return table((*header, "layers before training", "after"), "llrrrr", (line for _, line in sorted(lines)))


def stability_fields() -> str:
    """Equivariance of layers where all networks have as many fields, two or three."""
    studies = {fields: read(f"stability_{fields}_fields") for fields in (2, 3)}
    lines = []
    for family in dict.fromkeys(row["family"] for row in studies[3]):
        means = [
            statistics.mean(
                row["equivariance_error"] for row in rows
                if (row["family"], row["test"], row.get("when")) == (family, "layer", when)
            )
            for rows in studies.values() for when in ("before", "after")
        ]  # fmt: skip
        lines.append((means[2], (network_name(family, "c8"), *(f"{e:.3f}" for e in means))))
    header = ("network", "two fields: layers before training", "after", "three fields: before", "after")
    return table(header, "lrrrr", (line for _, line in sorted(lines)))


def ablations() -> str:
    """The spectral network with one thing changed at a time."""
    rows = [row for row in read("stability") if "spectral" in row["family"] and row["rotation"] == "none"]
    lines = []
    for change in dict.fromkeys(row["ablation"] for row in rows):
        own = [row for row in rows if row["ablation"] == change and row["seed"] == 0]
        upright, turned = (
            next(row["test_error_percent"] for row in own if row["test"] == test) for test in ("upright", "rotated")
        )
        worst = max(row["test_error_percent"] for row in own if row["test"] == "angle")
        layers = [row for row in own if row["test"] == "layer"]
        means = [
            statistics.mean(r["equivariance_error"] for r in layers if r["when"] == w) for w in ("before", "after")
        ]
        last = [next(r["equivariance_error"] for r in reversed(layers) if r["when"] == w) for w in ("before", "after")]
        errors = (f"{error:.1f} %" for error in (upright, turned, worst))
        name = "nothing" if change == "none" else change
        lines.append((name, *errors, *(f"{error:.3f}" for error in (*means, *last))))
    header = ("changed", "upright", "random angles", "worst angle", "layers before training", "after")
    return table((*header, "last layer before training", "after"), "lrrrrrrr", lines)


TABLES: dict[str, Callable[[], str]] = {
    "demo": demo, "bases": bases, "trained": trained, "orders": orders, "learned": learned,
    "translations": translations, "rotated_mnist": partial(networks, "rotated_mnist"),
    "separable": separable, "speed": speed, "stability": stability, "mnist": partial(networks, "mnist"),
    "cifar10": partial(networks, "cifar10"), "ablations": ablations,
    "stability_fields": stability_fields, "rotated_mnist_short": rotated_mnist_short,
    "rotated_mnist_best": partial(networks, "rotated_mnist_best"),
    "rotated_mnist_turned": partial(networks, "rotated_mnist_turned"),
    "rotated_mnist_regularised": partial(networks, "rotated_mnist_regularised"),
    "rotated_mnist_bent": partial(networks, "rotated_mnist_bent"),
    "rotated_mnist_7_atoms": partial(networks, "rotated_mnist_7_atoms"),
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
        sys.exit(f"tables differ from results/ in {', '.join(stale)}: run python scripts/readme_tables.py")


if __name__ == "__main__":
    main()
