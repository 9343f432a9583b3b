"""Bases: accuracy of filter rotation, and networks on them."""

from studies.base.results import read
from studies.base.summary import errors, grouped, spread, values, where
from studies.bases.comparison import cells_of_orders
from studies.pages.markdown import table


def demo() -> str:
    """Networks of the demo."""
    names = {
        "plain": "plain CNN", "exact": "exact C4 (quarter turns)", "bilinear": "bilinear C8",
        "unitary": "learned C8, unitary, 9 atoms", "spectral": "**learned C8, spectral, 6 atoms**",
    }  # fmt: skip
    rows, lines = read("demo"), []
    for family, name in names.items():
        found = errors(where(rows, family=family))
        upright, turned = spread(found["upright"]), spread(found["rotated"])
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
        cells = []
        for test in ("cifar10-test", "photographs"):
            (row,) = where(rows, family=family, kernel=kernel, num_atoms=atoms, train=fit, test=test)
            value = f"{row['error_45']:.3f}" if row["error_45"] > 0.0095 else f"{row['error_45']:.4f}"
            cells.append(f"**{value}**" if name.startswith("**") else value)
        lines.append((name, f"{kernel}x{kernel}", str(atoms), *cells))
    return table(("basis", "kernel", "atoms", "CIFAR-10 test images", "photographs"), "llrrr", lines)


def trained() -> str:
    """Networks on learned and hand-made bases of one kernel and dimension."""
    rows, lines = read("bases_trained"), []
    families = {
        "harmonic": "circular harmonics",
        "spectral": "spectral",
        "spectral, whitened": "spectral, whitened fit",
    }
    for kernel, own in sorted(grouped(rows, "kernel").items()):
        cells = (spread(errors(where(own, family=family))["rotated"]) for family in families)
        lines.append((f"{kernel}x{kernel}", str(own[0]["num_atoms"]), *cells))
    return table(("kernel", "atoms", *families.values()), "lrrrr", lines)


def orders() -> str:
    """The unitary basis of every order against Procrustes."""
    return table(*cells_of_orders(read("bases")))


def learned() -> str:
    """The paper's training with several settings."""
    words = {
        "default": "ours", "l2": "ours, mean squares", "paper": "the paper's",
        "paper-standardized": "the paper's, standardized images",
        "paper-interpolated": "the paper's, interpolated start",
    }  # fmt: skip
    rows, lines = read("learned_basis"), []
    for settings, name in words.items():
        cells = (
            spread(values(where(rows, settings=settings, family=family), "error_45"), 3, unit="")
            for family in ("learned", "learned, average")
        )
        steps = max(values(where(rows, settings=settings), "steps"))
        lines.append((name, f"{steps:,}", *cells))
    for family in ("gaussian, sigma 0.3", "unitary"):
        (row,) = where(rows, family=family)
        lines.append((f"{family}{', closed form' if family == 'unitary' else ''}", "", f"{row['error_45']:.3f}", ""))
    return table(("settings", "steps", "error at 45 degrees", "average variant"), "lrrr", lines)
