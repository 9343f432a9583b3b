"""The page about runs, as a program reads it."""

import json
import statistics

import pytest
import torch

from browser import Watched, browser
from digits import small_digits
from html_page import Page
from orbitconv.data import DataError
from orbitconv.report import RunReport, write_run_report
from orbitconv.train import load_trained
from orbitconv.train.datasets import LOADERS
from small_runs import cut_off, train_small

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")

DASH = "\N{EN DASH}"


@pytest.fixture(scope="module")
def written(trained, tmp_path_factory):
    out, steps = tmp_path_factory.mktemp("page") / "there" / "report.html", []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LOADERS, "mnist", lambda split, **_: small_digits(50, split))
        config = RunReport(runs=(trained,), out=out, test_images=40, step_degrees=90)
        write_run_report(config, lambda *step: steps.append(step))
    return out.read_text(encoding="utf-8"), steps


@pytest.fixture(scope="module")
def page(written):
    return Page.of(written[0])


@pytest.fixture(scope="module")
def numbers(page):
    (data,) = json.loads(page.data)["data_sets"]
    return {one["name"]: one for one in data["networks"]}


def test_page_is_sound_and_needs_nothing_but_itself(written, page):
    page.check(written[0])
    assert len(page.alts) >= 3 + 1 + 1 + 2 + 2  # learning curves, angles, layers, filters, mistakes
    assert written[0].count("<script") == 1
    assert "c4 &lt;0&gt;" in written[0]


def test_seeds_are_taken_together_and_their_spread_is_shown(page, numbers):
    head, *rows = page.tables[0]
    table = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert list(table) == ["exact-c4", "plain"]
    assert (table["plain"]["runs"], table["exact-c4"]["runs"]) == ("2", "1 of 2 finished")
    assert (table["plain"]["group"], table["exact-c4"]["group"]) == (DASH, "C4")
    for column, take in (
        ("test error, %", lambda run: run["epochs"][-1]["test_error_percent"]),
        ("at random angles, %", lambda run: run["error_at_random_angles_percent"]),
    ):
        errors = [take(run) for run in numbers["plain"]["runs"]]
        assert table["plain"][column] == f"{statistics.fmean(errors):.2f} ± {statistics.stdev(errors):.2f}"
        assert table["exact-c4"][column] == f"{take(numbers['exact-c4']['runs'][0]):.2f}"


def test_numbers_are_those_of_the_networks(trained, numbers):
    test = small_digits(50, "test").take(40)
    for run in (run for kind in numbers.values() for run in kind["runs"] if run["finished"]):
        network, _ = load_trained(run["folder"])
        assert run["parameters"] == sum(p.numel() for p in network.parameters())
        with torch.no_grad():
            for degrees in (0, 90, 180, 270):
                scores = network(torch.rot90(test.floats(), degrees // 90, (2, 3)))
                error = 100 * float((scores.argmax(1) != test.labels).double().mean())
                assert run["error_by_degrees_percent"][str(degrees)] == pytest.approx(error, abs=1e-9)
    layers = numbers["exact-c4"]["runs"][0]["layer_errors"]
    assert max(max(errors) for errors in layers.values()) < 1e-4
    assert min(numbers["plain"]["runs"][0]["layer_errors"]["conv 2"][1:]) > 1e-2
    assert sum(map(sum, numbers["plain"]["confusion"])) == 40


def test_a_run_that_is_not_finished_is_listed_and_not_tested(page, numbers):
    head, *rows = page.tables[1]
    (stopped,) = (dict(zip(head, row, strict=True)) for row in rows if "c4-stopped" in row[0])
    assert (stopped["state"], stopped["epochs"]) == ("not finished", "1 of 2")
    assert stopped["at random angles, %"] == DASH
    (run,) = (run for run in numbers["exact-c4"]["runs"] if not run["finished"])
    assert len(run["epochs"]) == 1
    assert "error_percent" not in run


def test_runs_that_are_all_unfinished_make_a_page_without_tests_or_data(tmp_path):
    cut_off(tmp_path / "runs" / "a", data="cifar10")
    cut_off(tmp_path / "runs" / "b", data="cifar10", epochs_done=0, basis="exact-c4")
    write_run_report(RunReport(runs=(tmp_path / "runs",), out=tmp_path / "page.html"))
    text = (tmp_path / "page.html").read_text()
    assert "No run is finished yet" in text
    assert len(Page.of(text).alts) == 3
    assert "Error against the angle" not in text


def test_images_that_are_turned_already_get_no_curve_and_are_kept_apart(small_data, trained, tmp_path):
    train_small(tmp_path / "run", data="rotated-mnist", epochs=1)
    config = RunReport(runs=(tmp_path / "run", trained / "plain-0"), out=tmp_path / "page.html", step_degrees=180)
    first, second = write_run_report(config)
    assert (first.data, second.data) == ("rotated-mnist", "mnist")
    text = (tmp_path / "page.html").read_text()
    page = Page.of(text)
    assert "would blur them twice" in text
    assert "at random angles, %" not in page.tables[0][0]
    assert sum("against the angle of the test images" in alt for alt in page.alts) == 1


def test_ctrl_c_leaves_no_file(small_data, trained, tmp_path):
    def stop(what, done, _total):
        if what == "draw" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_run_report(
            RunReport(runs=(trained / "plain-0",), out=tmp_path / "new" / "page.html", step_degrees=180), stop
        )
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_done_is_refused_before_the_work(trained, tmp_path, monkeypatch):
    (tmp_path / "page.html").write_text("mine")
    for out, error in (("page.html", FileExistsError), (".", IsADirectoryError), ("page.html/a/b", OSError)):
        with pytest.raises(error):
            write_run_report(RunReport(runs=(trained,), out=tmp_path / out))
    for bad, words in (
        ({"test_images": 0}, "test_images >= 1"), ({"step_degrees": 181}, "step_degrees <= 180"),
        ({"runs": ()}, "one folder or more"), ({"device": "tpu"}, "auto, cpu, cuda"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            RunReport(**{"runs": (trained,), **bad})
    assert (tmp_path / "page.html").read_text() == "mine"


def test_missing_data_and_damaged_networks_are_told(trained, tmp_path, small_data, monkeypatch):
    cut_off(tmp_path / "run")
    (tmp_path / "run" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"model\.safetensors is not a saved network"):
        write_run_report(RunReport(runs=(tmp_path / "run",), out=tmp_path / "page.html"))
    monkeypatch.undo()
    with pytest.raises(DataError, match="nothing there"):
        write_run_report(RunReport(runs=(trained,), out=tmp_path / "page.html", data_dir=tmp_path / "nowhere"))
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [380, 1400])
def test_it_fits_the_window_and_reads_in_both_schemes(written, tmp_path, width, dark):
    file = tmp_path / "report.html"
    file.write_text(written[0], "utf-8")
    with browser() as chromium:
        Watched(chromium, file, width, dark=dark).check()
