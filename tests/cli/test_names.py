"""Names of files and folders that hold markup, or bytes that are not UTF-8, come through every command."""

import os

import numpy as np
import pytest

from orbitconv.cli import main

IMAGE = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")
RUN = "o[/x] [red]"
SMALL = ["--network.basis", "none", "--network.options", "width", "2", "--training.epochs", "1",
         "--training.batch-size", "8", "--hardware.device", "cpu"]  # fmt: skip
COMMANDS = {
    "evaluate": ([RUN, "--data", "pictures", "--results", f"{RUN}.json"], "b\\udcff"),
    "report": ([RUN, "--out", f"{RUN}.html"], f"Report: {RUN}.html"),
    "predict": ([RUN, "pictures", "--csv", f"{RUN}.csv", "--json", f"{RUN}-2.json"], "a[bold]"),
    "export": ([RUN, "--format", "torch", "--out", f"{RUN}.pt"], f"{RUN}.pt"),
    "learn-basis": (["--images", "pictures", "--tile-size", "32", "--out", f"{RUN}.safetensors"], f"{RUN}.safetensors"),
    "show-basis": (["--bases", "exact-c4-k3", "--out", f"{RUN}-shown"], f"Pictures in {RUN}-shown"),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a trained network; the pictures of one class lie in a folder whose name is no UTF-8."""
    folder = tmp_path_factory.mktemp("names")
    rng = np.random.default_rng(0)
    for name in (b"a[bold]", b"b\xff"):
        place = folder / "pictures" / os.fsdecode(name)
        place.mkdir(parents=True)
        for n in range(8):
            IMAGE.fromarray(rng.integers(0, 256, (32, 32), dtype=np.uint8)).save(place / f"{n}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(["train", "--data", "pictures", *SMALL, "--out", RUN])
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_prints_and_writes_names_as_they_are(folder, monkeypatch, capsys, name):
    monkeypatch.chdir(folder)
    words, shown = COMMANDS[name]
    main([name, *words])
    assert shown in " ".join(capsys.readouterr().out.split())
    if name == "predict":
        rows = (folder / f"{RUN}.csv").read_text("utf-8").splitlines()[1:]
        assert [row.split(",")[0] for row in rows][::8] == ["pictures/a[bold]/0.png", "pictures/b\\xff/0.png"]
