"""Layers beside `nn.Conv2d` and the peers."""

import json
from collections.abc import Mapping
from typing import Any

from orbitconv._support.json_text import read_json
from studies.base.results import ROOT
from studies.base.summary import grouped, where
from studies.pages.markdown import table
from studies.speed.fused.page import share, task_rows

RESULTS = ROOT / "benchmarks" / "results"


def speed() -> str:
    """Layers beside `nn.Conv2d` and the peers, from the first record of a CPU, and from that with the kernel."""
    (path, *_) = [*sorted(RESULTS.glob("*-cores.json")), RESULTS / "none.json"]
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    ratios = {(row["case"], row["subject"]): row["ratio"] for row in rows}
    compiled = path.with_name(f"{path.stem}-kernel.json")
    for row in read_json(compiled)["rows"] if compiled.exists() else ():
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


def fused_layers() -> str:
    """Training steps of layers with the compiled product, over `nn.Conv2d`."""
    memory, lines = _memory("peak memory of a training step", ".3g"), []
    for case, by in _cases("training step of a layer").items():
        own, peers = by["orbitconv"], [f"{by[p]['ratio']:.3g}" if p in by else "" for p in ("escnn", "e2cnn")]
        lines.append((case, share(own), f"{own['goal']:g}", *peers, memory.get(case, "")))
    return table(("training step over nn.Conv2d", "orbitconv", "goal", "escnn", "e2cnn", "memory"), "lrrrrr", lines)


def fused_networks() -> str:
    """Whole networks with the compiled product, in images per second."""
    memory, lines = _memory("peak memory of a training step of a network", ".2f"), []
    subjects = ("dense", "orbitconv", "escnn", "e2cnn", "plain, equal multiply-adds", "plain, equal parameters")
    for task in ("inference of a network", "training of a network"):
        for case, by in _cases(task).items():
            speeds = [f"{by[name]['images_per_second']:,.0f}" if name in by else "" for name in subjects]
            own = by["orbitconv"]
            weight = memory.get(case, "") if task.startswith("training") else ""
            lines.append((f"{task.split()[0]}: {case}", *speeds, share(own), f"{own['goal']:g}", weight))
    header = ("images per second", *subjects, "orbitconv's time over dense", "goal", "memory over dense")
    return table(header, "lrrrrrrrrr", lines)


def fused_onnx() -> str:
    """Whole networks in onnxruntime, in images per second."""
    subjects, lines = ("dense graph", "orbitconv", "plain, equal multiply-adds", "plain, equal parameters"), []
    for case, by in _cases("inference of a network in onnxruntime").items():
        speeds = (f"{by[name]['images_per_second']:,.0f}" for name in subjects)
        lines.append((case, *speeds, share(by["orbitconv"])))
    header = ("images per second", "dense graph", "chosen graph", *subjects[2:], "chosen over dense")
    return table(header, "lrrrrr", lines)


def fused_choice() -> str:
    """Training steps of layers by each product, over the fastest one."""
    subjects, lines = ("dense", "fourier", "fused", "orbitconv"), []
    for case, by in _cases("training step of a layer, by each product").items():
        best = min(by[name]["median"] for name in subjects[:3])
        lines.append((case, *(f"{by[name]['median'] / best:.2f}" for name in subjects)))
    return table(("time over that of the fastest product", *subjects[:3], "the chosen one"), "lrrrr", lines)


def fused_rates() -> str:
    """Rates beside a matrix product and a copy."""
    record = _fused()
    lines = [
        (row["what"], *(f"{row[f'{name}_per_second'] / 1e9:.3g}" for name in ("multiply_adds", "bytes")))
        for row in record["rates"]
    ]
    threads = {1: "one thread", 2: "two threads"}.get(record["config"]["threads"], "all threads")
    return table((threads, "G multiply-adds/s", "GB/s"), "lrr", lines)


def _cases(task: str) -> dict[str, dict[str, Mapping[str, Any]]]:
    """The rows of a task, by case and subject."""
    rows = grouped(task_rows(_fused(), task), "case")
    if not rows:
        raise FileNotFoundError(f"the record has no {task}")
    return {case: {row["subject"]: row for row in own} for case, own in rows.items()}


def _memory(task: str, form: str) -> dict[str, str]:
    """Memory of this library over the reference, by case."""
    rows = where(task_rows(_fused(), task), subject="orbitconv")
    return {row["case"]: format(row["ratio"], form) for row in rows}


def _fused() -> dict[str, Any]:
    (path, *_) = [*sorted(RESULTS.glob("*-fused.json")), RESULTS / "none.json"]
    return json.loads(path.read_text(encoding="utf-8"))
