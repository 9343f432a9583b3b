"""Bases: how exactly their filters turn, and what networks on them do."""

from studies.pages.markdown import read, spread, table


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
