"""`orbitconv report` as a person calls it."""

import pytest

from orbitconv.cli import main
from refusals import refused
from small_runs import cut_off, train_small, use_small_digits

pytest.importorskip("lightning_fabric")
pytest.importorskip("matplotlib")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    use_small_digits(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_report_is_written_and_its_numbers_are_shown(folder, capsys):
    train_small(folder / "study" / "plain", epochs=1)
    cut_off(folder / "other", basis="exact-c4", epochs=1)
    main(["report", "study", "other", "--test-images", "20", "--step-degrees", "180", "--device", "cpu"])
    words = " ".join(capsys.readouterr().out.split())
    assert "Report: runs/report.html" in words
    assert "0 of 1" in words
    assert (folder / "runs" / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert [path.name for path in (folder / "runs").iterdir()] == ["report.html"]


@pytest.mark.parametrize(("arguments", "words"), [
    ([], "runs"),
    (["nowhere"], "nowhere is not there"),
    (["empty"], "empty holds no run of orbitconv train"),
    (["damaged"], "damaged/metrics.jsonl, line 2 is damaged"),
    (["stopped", "--out", "taken.html"], "--overwrite"),
    (["stopped", "--out", "empty"], "--out expects a file, got the folder empty"),
    (["stopped", "--step-degrees", "0"], "step_degrees >= 1"),
    (["stopped", "--test-images", "none"], "none"),
    (["finished", "--data-dir", "missing"], "missing"),
])  # fmt: skip
def test_bad_words_end_with_2_one_message_and_nothing_written(folder, monkeypatch, capsys, arguments, words):
    (folder / "empty").mkdir()
    (folder / "taken.html").write_text("mine")
    for name in ("stopped", "damaged", "finished"):
        cut_off(folder / name)
    with (folder / "damaged" / "metrics.jsonl").open("a") as file:
        file.write("{\n")
    (folder / "finished" / "model.safetensors").write_bytes(b"")
    if "missing" in arguments:
        monkeypatch.undo()
        monkeypatch.chdir(folder)
    assert words in refused(capsys, ["report", *arguments], folder=folder)
