"""A report on pictures of one's own: class folders, several labels, and masks."""

import html
import io
import json
import re

import numpy as np
import pytest

import orbitconv
from html_page import Page
from orbitconv.report import RunReport, write_run_report
from orbitconv.train import Network, Training, TrainNetwork, train_network
from orbitconv.train.settings import Pictures

image_module = pytest.importorskip("PIL.Image")


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    image_module.fromarray(pixels.astype(np.uint8)).save(path)


def class_folders(root):
    draws = np.random.default_rng(0)
    for i in range(18):
        for kind, shift in (("calm", 0), ("<wild>", 60)):
            save(
                root / ("test" if i >= 12 else "train") / kind / f"{i}.png", draws.integers(0, 190, (12, 12, 3)) + shift
            )
    return root


def label_table(root):
    draws, lines = np.random.default_rng(0), ["path,label,split"]
    for i in range(24):
        save(root / f"{i}.png", draws.integers(0, 255, (12, 12)))
        lines.append(f"{i}.png,{'a;b' if i % 3 else 'a'},{'test' if i >= 16 else 'train'}")
    (root / "table.csv").write_text("\n".join(lines))
    return root / "table.csv"


def mask_folders(root):
    draws = np.random.default_rng(0)
    for i in range(14):
        mask = np.zeros((20, 24), np.uint8)
        mask[draws.integers(2, 9) :, : draws.integers(6, 20)] = 1
        split = "test" if i >= 10 else "train"
        save(root / split / "images" / f"{i}.png", 90 * draws.random((20, 24)) + 120 * mask)
        save(root / split / "masks" / f"{i}.png", mask)
    return root


def report(folder, data, network, **pictures):
    for seed in (0, 1):
        train_network(TrainNetwork(
            data=str(data), out=folder / "runs" / str(seed), seed=seed, network=network,
            pictures=Pictures(**pictures), training=Training(epochs=1, batch_size=8),
        ))  # fmt: skip
    (outcome,) = write_run_report(RunReport(
        runs=(folder / "runs",), out=folder / "report.html", step_degrees=45, device="cpu"
    ))  # fmt: skip
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Page.of(text)
    assert not page.open
    return outcome, html.unescape(text), json.loads(page.data)["data_sets"][0]["networks"][0]


SMALL = Network(model="small", basis="exact-c4", options={"plain_width": 4})


def test_class_folders_are_tested_at_angles_and_mistakes_are_shown(tmp_path):
    data = class_folders(tmp_path / "data")
    outcome, page, facts = report(tmp_path, data, SMALL)
    assert len(outcome.measured) == 2
    found = orbitconv.evaluate(tmp_path / "runs" / "0", data, angles=(0, 45, 90), device="cpu")
    assert facts["figures"]["error_at"] == found["error_at"] == {
        key: facts["runs"][0]["error_by_degrees_percent"][key] for key in ("0", "45", "90")
    }  # fmt: skip
    assert facts["figures"]["changed_at"]["90"] == 0
    assert facts["figures"]["confusion"] == found["confusion"]
    assert "&lt;wild&gt;" not in page
    wrong = sum(map(sum, found["confusion"])) - sum(found["confusion"][i][i] for i in range(2))
    shown = re.findall(r"<li><img[^<]*(?:<wild>[^<]*)?>(<wild> → calm|calm → <wild>)", page)
    assert len(shown) == min(wrong, 12)
    assert "<h2>Does the answer turn with the picture?</h2>" in page
    assert "<h2>Equivariance, layer by layer</h2>" in page


def test_several_labels_and_windows_have_a_page_too(tmp_path):
    (tmp_path / "data").mkdir()
    _, page, facts = report(tmp_path, label_table(tmp_path / "data"), SMALL, window=8)
    assert facts["classes"] == ["a", "b"]
    assert len(facts["figures"]["f1"]) == 2
    assert "mean F1" in page


def test_masks_stand_beside_the_truth(tmp_path):
    unet = Network(model="unet", basis="exact-c4", options={"depth": 1, "plain_width": 4})
    outcome, page, facts = report(tmp_path, mask_folders(tmp_path / "data"), unet, window=16)
    assert facts["figures"]["mean_iou"] == pytest.approx(1 - facts["figures"]["error_percent"] / 100)
    (own,) = outcome.own.values()
    assert own.masks
    with image_module.open(io.BytesIO(own.examples[0].png)) as shown:
        assert shown.size == (3 * 24, 20)
    assert "% of the pixels wrong" in page
    assert "mean Dice" in page
