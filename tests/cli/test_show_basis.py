"""`orbitconv show-basis` as a person calls it."""

import pytest

from orbitconv.cli import main
from refusals import refused

pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_writes_pictures_and_prints_a_table(tmp_path, capsys):
    main(["show-basis", "--bases", "exact", "spectral-c8-k5-d17", "--max-atoms", "2"])
    shown = capsys.readouterr().out
    assert "17" in shown
    assert "runs/show-basis/turning.webp" in shown
    folder = tmp_path / "runs" / "show-basis"
    assert {"orbits-exact.png", "orbits-spectral-c8-k5-d17.svg", "turning.webp"} <= {p.name for p in folder.iterdir()}
    assert "--overwrite" in refused(capsys, ["show-basis", "--bases", "exact"])
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["show-basis"]


@pytest.mark.parametrize(("arguments", "words"), [
    (["--bases", "bilinar"], "Did you mean 'bilinear'?"),
    (["--bases", "spektral-c8-k5"], "spectral-c8-k5"),
    (["--bases", "mine.safetensors"], "no file mine.safetensors"),
    (["--bases", "spectral-c8-k5", "unitary-c8-k3"], "one group and kernel size"),
    (["--kernel-size", "0"], "kernel_size >= 1"),
    (["--group", "x8"], "C8 or D4"),
    (["--animation", "mp4"], "mp4"),
])  # fmt: skip
def test_bad_words_end_with_2_one_message_and_nothing_written(tmp_path, capsys, arguments, words):
    assert words in refused(capsys, ["show-basis", *arguments])
    assert list(tmp_path.iterdir()) == []
