"""Layers beside `nn.Conv2d` and the peers."""

from orbitconv._support.json_text import read_json
from studies.base.results import ROOT
from studies.pages.markdown import table


def speed() -> str:
    """Layers beside `nn.Conv2d` and the peers, from the first record of a CPU, and from that with the kernel."""
    (path, *_) = [*sorted((ROOT / "benchmarks" / "results").glob("*-cores.json")), ROOT / "benchmarks" / "none.json"]
    rows = read_json(path)["rows"]
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
