"""Stability: errors at every angle, and equivariance errors of feature maps."""

import statistics

from studies.base.results import read
from studies.base.summary import errors, grouped, layer_means, mean, means, spread, where
from studies.pages.markdown import network_name, table


def stability(study: str) -> str:
    """Every family: errors upright and rotated, equivariance of its layers before and after training."""
    rows, lines = where(read(study), ablation="none"), []
    for (rotation, family, group), own in grouped(rows, "rotation", "family", "group").items():
        found = errors(own)
        cells = (spread(found[test]) for test in ("upright", "rotated"))
        line = (rotation, network_name(family, group), *cells, *(f"{e:.3f}" for e in layer_means(own)))
        lines.append(((rotation != "none", rotation, statistics.mean(found["rotated"])), line))
    header = ("training images turned", "network", "error upright", "error at random angles")
    return table((*header, "layers before training", "after"), "llrrrr", (line for _, line in sorted(lines)))


def stability_fields() -> str:
    """Equivariance of layers where all networks have as many fields, two or three."""
    studies = [read(f"stability_{fields}_fields") for fields in (2, 3)]
    lines = []
    for family in grouped(studies[1], "family"):
        found = [error for rows in studies for error in layer_means(where(rows, family=family))]
        lines.append((found[2], (network_name(family, "c8"), *(f"{e:.3f}" for e in found))))
    header = ("network", "two fields: layers before training", "after", "three fields: before", "after")
    return table(header, "lrrrr", (line for _, line in sorted(lines)))


def growth() -> str:
    """What the layers of each kind add to the error of the spectral network."""
    kinds = {
        "LiftingConv2d": "lifting convolution", "GroupConv2d": "group convolutions", "GroupBatchNorm2d": "batch norms",
        "ReLU": "ReLUs", "GroupMaxPool2d": "2x2 max pools", "GroupPool": "maximum over the group",
    }  # fmt: skip
    rows = [
        row for name in ("stability", "stability_turned")
        for row in where(read(name), family="spectral", group="c8", ablation="none", test="layer")
    ]  # fmt: skip
    columns = {
        "before training": where(rows, rotation="none", when="before"),
        **{
            f"after: {words}": where(rows, rotation=rotation, when="after")
            for rotation, words in (("none", "upright images"), ("eighths", "eighth turns"), ("circle", "any turn"))
        },
    }
    added: dict[str, list[str]] = {kind: [] for kind in kinds}
    for own in columns.values():
        sums = dict.fromkeys(kinds, 0.0)
        error = 0.0
        for _, here in sorted(grouped(own, "layer").items()):
            before, error = error, mean(here, "equivariance_error")
            sums[here[0]["kind"]] += error - before
        for kind, value in sums.items():
            added[kind].append(f"{value:+.3f}")
    header = ("layers of the spectral C8 network", *columns)
    return table(header, "lrrrr", ((words, *added[kind]) for kind, words in kinds.items()))


def ablations() -> str:
    """The spectral network with one thing changed at a time; the worst angle is that of the mean curve."""
    rows = read("stability_ablations")
    parts = {
        "nothing": where(rows, ablation="none"),
        "nothing, first seed": where(rows, ablation="none", seed=0),
        **{name: own for name, own in grouped(rows, "ablation").items() if name != "none"},
    }
    lines = []
    for change, own in parts.items():
        shown = (spread(errors(own)[test]) for test in ("upright", "rotated"))
        curve = means(where(own, test="angle"), "degrees", "test_error_percent")
        sizes = (f"{own[0]['parameters']:,}", f"{own[0]['multiply_adds'] / 1e6:.0f} M")
        seeds, layers = str(len(grouped(own, "seed"))), (f"{error:.3f}" for error in layer_means(own))
        lines.append((change, seeds, *sizes, *shown, f"{max(curve.values()):.1f} %", *layers))
    header = ("changed", "seeds", "parameters", "multiply-adds", "upright", "random angles", "worst angle")
    return table((*header, "layers before training", "after"), "lrrrrrrrr", lines)
