"""`python -m studies mlp-to-cnn` on the command line."""

import json

import pytest

pytest.importorskip("matplotlib")

from digits import load_small_digits
from orbitconv.cli.main import main
from studies.mlp_to_cnn import study as mlp_to_cnn

SMALL = {
    "seeds": (2,), "train-images": (200,), "test-images": (50,), "pairs": (200,), "reach": (3,),
    "curve-pairs": (12, 200), "curve-pair-labels": (60,), "curve-labels": (20, 60), "curve-steps": (4,),
    "training.epochs": (1,), "training.batch-size": (50,),
}  # fmt: skip


def test_the_study_leaves_record_figures_and_tables(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mlp_to_cnn, "load", load_small_digits)
    out, results = tmp_path / "run", tmp_path / "mlp_to_cnn.json"
    options = [word for name, values in SMALL.items() for word in (f"--{name}", *map(str, values))]
    main(["mlp-to-cnn", "--out", str(out), "--results", str(results), *options])
    shown = capsys.readouterr().out
    for title in ("MNIST, test error in %", "Learned from few pairs", "Trained on few labels"):
        assert title in shown
    assert json.loads(results.read_text()) == json.loads((out / "mlp_to_cnn.json").read_text())
    names = {f"mlp_to_cnn_{name}.{kind}" for name in ("errors", "filters", "translation", "curves")
             for kind in ("png", "svg")}  # fmt: skip
    assert names <= {path.name for path in out.iterdir()}


def test_one_part_alone_leaves_its_figure_and_the_record_of_all(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mlp_to_cnn, "load", load_small_digits)
    out = tmp_path / "run"
    options = [word for name, values in SMALL.items() for word in (f"--{name}", *map(str, values))]
    for parts in ("labels", "main"):
        main(["mlp-to-cnn", "--out", str(out), "--parts", parts, *options])
        assert (out / "mlp_to_cnn_curves.png").exists()
        assert (out / "mlp_to_cnn_errors.png").exists() == (parts == "main")
    assert {row["part"] for row in json.loads((out / "mlp_to_cnn.json").read_text())["rows"]} == {"main", "labels"}
    assert "Trained on few labels" in capsys.readouterr().out


def test_bad_settings_end_with_one_message(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["mlp-to-cnn", "--reach", "-3"])
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert "--reach >= 0" in " ".join(told.err.split())
    assert "Traceback" not in told.err + told.out
