"""The how-to pages, block by block, at reduced size, on pictures that were generated."""

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from docs import pages
from orbitconv.cli import main

image_module = pytest.importorskip("PIL.Image")
pytest.importorskip("onnxscript")

SMALLER = [
    ("--training.epochs 20", "--training.epochs 1"), ("epochs=20", "epochs=1"), ("plain_width 16", "plain_width 4"),
    ("--network.options", "--training.batch-size 8 --network.options"), ("depth 3", "depth 2"),
    ("max-images 200", "max-images 20"), ("tile-size 32", "tile-size 16"),
    ("window 64", "window 16"), ("window=64", "window=16"), ("epochs=1)", "epochs=1, batch_size=8)"),
    ("--training.batch-size 8 --augmentation", "--augmentation"), ("spectral-c8-k3", "spectral-c4-k3"),
    ('"plain_width": 16', '"plain_width": 4'), ('"depth": 3', '"depth": 2'),
    ("epochs 10", "epochs 1"), ("plain_width 8", "plain_width 2"), ("--group c8", "--group c4"),
    ('plain, "c8"', 'plain, "c4"'),
    ("learning-rate 2e-3", "learning-rate 2e-3 --training.batch-size 8"), ("epochs=2,", "epochs=1, batch_size=8,"),
]  # fmt: skip


def blocks(name):
    """The blocks of a page, at reduced size."""
    found = pages.blocks(pages.ROOT / "docs" / "how-to" / f"{name}.md")
    for old, new in SMALLER:
        found = [replace(block, text=block.text.replace(old, new)) for block in found]
    return found


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    image_module.fromarray(pixels).save(path)


def classes():
    """Bright and dark pictures in colour."""
    draws = np.random.default_rng(0)
    for i in range(24):
        for kind, shift in (("forest", 0), ("river", 120)):
            pixels = draws.integers(0, 120, (16, 16, 3)) + shift
            save(Path("pictures", "test" if i >= 16 else "train", kind, f"{i}.png"), pixels.astype(np.uint8))


def masks():
    """Bright discs on dark ground."""
    draws = np.random.default_rng(0)
    y, x = np.mgrid[:32, :40]
    for i in range(20):
        numbers = np.zeros((32, 40), np.uint8)
        for row, col in draws.integers(4, 28, (2, 2)):
            numbers[(y - row) ** 2 + (x - col) ** 2 < 16] = 1
        split = "test" if i >= 16 else "train"
        pixels = 60 * draws.random((32, 40)) + 150 * numbers
        save(Path("pictures", split, "images", f"{i}.png"), pixels.astype(np.uint8))
        save(Path("pictures", split, "masks", f"{i}.png"), numbers)


def run(name):
    """Run every block of a page; how many there were."""
    for block in blocks(name):
        if block.kind == "python":
            exec(compile(block.text, name, "exec"), {})
        else:
            for line in block.text.strip().splitlines():
                main(shlex.split(line)[1:])
    return len(blocks(name))


@pytest.mark.parametrize("page", [classes, masks], ids=lambda page: page.__name__)
def test_every_block_of_the_page_works(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page()
    assert run(page.__name__) == 6
    assert (tmp_path / f"{page.__name__}.onnx").exists()
    assert (tmp_path / f"{page.__name__}.html").exists()
    if page is classes:
        assert len((tmp_path / "classes.csv").read_text().splitlines()) == 17
    else:
        assert {path.name for path in (tmp_path / "found").glob("*.png")} >= {"16.png", "16.overlay.png", "19.png"}
    program = capsys.readouterr().out.partition("import json, sys")[2]
    assert "onnxruntime.InferenceSession" in program


def test_large_pictures_are_trained_in_windows_and_predicted_in_tiles(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    masks()
    assert run("large_pictures") == 2
    assert len((tmp_path / "found" / "masks.jsonl").read_text().splitlines()) == 4


def test_a_basis_is_learned_from_pictures_and_put_in_a_layer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classes()
    assert run("learn_a_basis") == 3
    assert (tmp_path / "mine.safetensors").exists()
    assert (tmp_path / "runs" / "own-basis" / "model.safetensors").exists()


def test_a_plain_network_of_the_commands_is_converted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classes()
    assert run("convert") == 3
    assert (tmp_path / "runs" / "converted" / "model.safetensors").exists()
    assert (tmp_path / "converted.safetensors").exists()
