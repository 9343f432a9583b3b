"""Stability: errors at every angle, and how far feature maps are from turning with the image."""

import statistics

from studies.pages.markdown import Rows, network_name, read, spread, table


def stability(study: str) -> str:
    """Every family: errors upright and turned, equivariance of its layers before and after training."""
    rows = [row for row in read(study) if row["ablation"] == "none"]
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


def growth() -> str:
    """What the layers of each kind add to the error of the spectral network, from one layer to the next."""
    kinds = {
        "LiftingConv2d": "lifting convolution", "GroupConv2d": "group convolutions", "GroupBatchNorm2d": "batch norms",
        "ReLU": "ReLUs", "GroupMaxPool2d": "2x2 max pools", "GroupPool": "maximum over the group",
    }  # fmt: skip
    rows = [
        row for name in ("stability", "stability_turned") for row in read(name)
        if (row["family"], row["group"], row["ablation"], row["test"]) == ("spectral", "c8", "none", "layer")
    ]  # fmt: skip
    columns = {
        "before training": [row for row in rows if (row["rotation"], row["when"]) == ("none", "before")],
        **{
            f"after: {words}": [row for row in rows if (row["rotation"], row["when"]) == (rotation, "after")]
            for rotation, words in (("none", "upright images"), ("eighths", "eighth turns"), ("circle", "any turn"))
        },
    }
    added: dict[str, list[str]] = {kind: [] for kind in kinds}
    for own in columns.values():
        sums = dict.fromkeys(kinds, 0.0)
        error = 0.0
        for place in sorted({row["layer"] for row in own}):
            here = [row for row in own if row["layer"] == place]
            before, error = error, statistics.mean(row["equivariance_error"] for row in here)
            sums[here[0]["kind"]] += error - before
        for kind, value in sums.items():
            added[kind].append(f"{value:+.3f}")
    header = ("layers of the spectral C8 network", *columns)
    return table(header, "lrrrr", ((words, *added[kind]) for kind, words in kinds.items()))


def ablations() -> str:
    """The spectral network with one thing changed at a time; the worst angle is that of the mean curve."""
    rows = read("stability_ablations")
    parts = {
        "nothing": [row for row in rows if row["ablation"] == "none"],
        "nothing, first seed": [row for row in rows if (row["ablation"], row["seed"]) == ("none", 0)],
    }
    for row in rows:
        if row["ablation"] != "none":
            parts.setdefault(row["ablation"], []).append(row)
    lines = []
    for change, own in parts.items():
        errors = [
            spread(row["test_error_percent"] for row in own if row["test"] == test) for test in ("upright", "rotated")
        ]
        angles = {row["degrees"] for row in own if row["test"] == "angle"}
        curve = [statistics.mean(r["test_error_percent"] for r in own if r.get("degrees") == a) for a in angles]
        layers = [
            statistics.mean(
                row["equivariance_error"] for row in own if (row["test"], row.get("when")) == ("layer", when)
            )
            for when in ("before", "after")
        ]
        sizes = (f"{own[0]['parameters']:,}", f"{own[0]['multiply_adds'] / 1e6:.0f} M")
        seeds = str(len({row["seed"] for row in own}))
        lines.append((change, seeds, *sizes, *errors, f"{max(curve):.1f} %", *(f"{error:.3f}" for error in layers)))
    header = ("changed", "seeds", "parameters", "multiply-adds", "upright", "random angles", "worst angle")
    return table((*header, "layers before training", "after"), "lrrrrrrrr", lines)
