"""Group networks against plain ones with rotated images, few labels, and published results."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from studies.base.results import read, record
from studies.base.summary import Rows, grouped, mean, spread, values, where
from studies.networks.bases import LEARNED
from studies.pages.markdown import table
from studies.rivals.shown import COMPARED, TITLES, lost


def answer() -> str:
    """Lead of the reference over each plain network with rotated images, on every data set."""
    found = record("rivals")
    rows, reference = found["rows"], found["config"]["reference"]
    family, _, group = reference.partition("-")
    lines = []
    for data in grouped(where(rows, table="rivals"), "data"):
        own = where(rows, table="rivals", data=data)
        ahead = lost(rows, data, reference)
        lines.append((
            TITLES[data], _error(where(own, family=family, group=group)),
            *(f"{_error(where(own, network=plain))} ({_points(ahead[plain])})" for plain in COMPARED),
        ))  # fmt: skip
    return table(("test error", reference, *COMPARED), "lrrrrr", lines)


def rivals(data: str) -> str:
    """Every network on a data set."""
    header = (
        "network", "epochs", "parameters", "multiply-adds", "training", "one picture", "ONNX file", "test error",
    )  # fmt: skip
    found = grouped(where(read("rivals"), table="rivals", data=data), "network")
    lines = [
        (
            _name(own[0]), str(own[0]["epochs"]), f"{own[0]['parameters']:,}",
            f"{own[0]['multiply_adds'] / 1e6:.1f} M", f"{mean(own, 'seconds'):.0f} s",
            f"{own[0]['picture_ms']:.2f} ms", f"{own[0]['onnx_mb']:.2f} MB", _error(own),
        )
        for own in (found[name] for name in (*COMPARED, *(one for one in found if one not in COMPARED)))
    ]  # fmt: skip
    return table(header, "lrrrrrrr", lines)


def choices() -> str:
    """The settings that were tried on the held-out pictures."""
    lines = []
    for data, rows in grouped(read("rivals"), "data").items():
        lines += [
            (
                TITLES[data], str(row["network"]), f"{row['learning_rate']:g}", str(row["epochs"]),
                f"{row['parameters']:,}", f"{row['test_error_percent']:.2f} %",
            )
            for row in rows if row["table"] != "rivals"
        ]  # fmt: skip
    return table(("data", "network", "learning rate", "epochs", "parameters", "error, held out"), "llrrrr", lines)


def labels(data: str) -> str:
    """Error at every share of the labels."""
    rows = where(read("labels"), data=data)
    shares = grouped(rows, "share")
    lines = [
        (_name(own[0]), f"{own[0]['parameters']:,}", *(_error(where(own, share=share)) for share in shares))
        for own in grouped(rows, "network").values()
    ]
    header = ("network", "parameters", *(f"{own[0]['labels']:,} labels" for own in shares.values()))
    return table(header, "lr" + "r" * len(shares), lines)


_TURNED, _OWN = "rotated MNIST, 12,000 / 50,000", "60,000 turned digits of their own"
PUBLISHED = (
    (_TURNED, "E2CNN, D16 to C16; turned images, 40 epochs", "weiler2019", "3.07 M", "0.682 ± 0.022"),
    (_TURNED, "SO(2) Fourier", "franzen2021", "1.39 M", "0.685"),
    (_TURNED, "SO(2) Fourier", "franzen2021", "891 K", "0.719"),
    (_TURNED, "PTN, mean over 8 turns", "esteves2018", "254 K", "0.89"),
    (_TURNED, "PTN", "esteves2018", "129 K", "0.95"),
    (_TURNED, "RotEqNet, test-time turns", "marcos2017", "100 K", "1.01"),
    (_TURNED, "plain CNN, turned images", "esteves2018", "124 K", "1.53 ± 0.07"),
    (_TURNED, "PDO-eConv", "shen2020", "26 K", "1.87"),
    (_TURNED, "P4CNN", "cohen2016", "25 K", "2.28"),
    (_OWN, "C4, baseline of WSCNN", "vanderlinden2024", "103 K", "1.04"),
    (_OWN, "plain CNN, baseline of WSCNN", "vanderlinden2024", "412 K", "1.52"),
    (_OWN, "WSCNN", "vanderlinden2024", "410 K + 122 K for sharing", "1.96"),
    ("CIFAR-10, no augmentation", "plain CNN, baseline of WSCNN", "vanderlinden2024", "6.5 M", "21.17"),
    ("CIFAR-10, no augmentation", "WSCNN", "vanderlinden2024", "2.1 M", "21.20"),
    ("CIFAR-10, no augmentation", "C4, baseline of WSCNN", "vanderlinden2024", "1.63 M", "23.28"),
    ("CIFAR-10", "All-CNN-C, attentive p4m", "romero2020", "", "6.53"),
    ("CIFAR-10, crops and flips", "All-CNN-C, p4m", "cohen2016", "", "7.04"),
    ("CIFAR-10, crops and flips", "All-CNN-C, p4", "cohen2016", "", "7.67"),
    ("CIFAR-10, crops and flips", "All-CNN-C, plain", "cohen2016", "", "8.86"),
)  # fmt: skip
"""Data and protocol, network, source, parameters, test error in percent, as their papers or later ones print them."""

RECORD = "anti-aliased pools + label smoothing"
"""The recipe of our record on rotated MNIST."""


def published() -> str:
    """Published results beside two of ours."""
    record = where(read("rotated_mnist_record"), part="record")
    tests = (("", "rotated"), (", mean over 2 turns", "rotated, 2 copies"))
    best = f"spectral C8, turned images, {RECORD}"
    lines = [
        *(
            (f"{_TURNED}, own generation", f"{best}{words}", "here", f"{ours[0]['parameters']:,}", _error(ours))
            for words, test in tests
            if (ours := where(record, levers=RECORD, test=test))
        ),
        *(
            (data, network, f"as published: {{cite:t}}`{source}`", parameters, f"{error} %")
            for data, network, source, parameters, error in PUBLISHED
        ),
    ]
    return table(("data", "network", "source", "parameters", "test error"), "lllrr", lines)


TABLES = {
    "rivals_answer": answer, "rivals_choices": choices, "published": published,
    **{f"rivals_{data.replace('-', '_')}": partial(rivals, data) for data in TITLES},
    **{f"labels_{data.replace('-', '_')}": partial(labels, data) for data in ("rotated-mnist", "eurosat")},
}  # fmt: skip


def _error(rows: Rows) -> str:
    return spread(values(rows, "test_error_percent"), 2)


def _points(ahead: Any) -> str:
    return f"{ahead.mean:+.2f} ± {ahead.deviation:.2f}" if ahead.number > 1 else f"{ahead.mean:+.2f}"


def _name(row: Mapping[str, Any]) -> str:
    """Name of a network; bold where its basis is learned."""
    return f"**{row['network']}**" if row["family"] in LEARNED else str(row["network"])
