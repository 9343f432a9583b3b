"""`python -m studies bench`: exit codes, one message, no partial files."""

import json

import pytest
import torch

from orbitconv.nn.products.kernel import ops
from studies.__main__ import main
from studies.speed import measure, study
from studies.speed.compare import _COLUMNS, _PARTS

CASE = "expansion-c8-k3-f16"
QUICK = ["bench", "--quick", "--threads", "1", "--cases", CASE]


def bench(*arguments):
    """Exit code of a run."""
    try:
        main([*map(str, arguments)])
    except SystemExit as end:
        return end.code
    return 0


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def earlier(tmp_path):
    """Writes the record of an earlier run with a ratio."""

    def write(ratio, **config):
        settings = {"device": "cpu", "dtype": "float32", "threads": 1} | config
        rows = [dict.fromkeys(_COLUMNS) | {"case": CASE, "subject": "orbitconv", "reference": "pass", "ratio": ratio}]
        path = tmp_path / "earlier.json"
        path.write_text(json.dumps(dict.fromkeys(_PARTS) | {"study": "bench", "config": settings, "rows": rows}))
        return path

    return write


def test_a_run_writes_record_page_and_figure_and_can_be_drawn_anew(tmp_path, capsys):
    assert bench(*QUICK, "--out", "results/m.json", "--peers") == 0
    folder = tmp_path / "results"
    assert sorted(path.name for path in folder.iterdir()) == ["m.json", "m.md", "m.png", "m.svg"]
    assert [row["subject"] for row in json.loads((folder / "m.json").read_text())["rows"]] == [
        "pass",
        "orbitconv",
        "copy",
    ]
    (folder / "m.md").unlink()
    assert bench("bench", "--draw", "results/m.json") == 0
    assert CASE.split("-")[1].upper() in (folder / "m.md").read_text()
    assert "Weight from coefficients" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


@pytest.mark.parametrize(("ratio", "code", "words"), [(0.01, 1, "1 of 1 ratios got worse"), (1e4, 0, "0 of 1 ratios")])
def test_a_ratio_that_got_worse_ends_with_1_and_the_result_is_kept(ratio, code, words, earlier, tmp_path, capsys):
    assert bench(*QUICK, "--peers", "--check", earlier(ratio), "--out", "now.json") == code
    assert words in capsys.readouterr().out
    assert (tmp_path / "now.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cases", "nonsense"], "nonsense"),
        (["--repeats", "0"], "repeats >= 1"),
        (["--repeats", "many"], "many"),
        (["--peers", "nobody"], "nobody"),
        (["--kernel"], "Run orbitconv build-kernel first"),
        (["--out", "x.txt"], "ending in .json"),
        (["--check", "missing.json"], "missing.json"),
        (["--draw", "missing.json"], "missing.json"),
        pytest.param(
            ["--device", "cuda"], "expects a GPU",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)  # fmt: skip
def test_bad_input_ends_with_2_and_leaves_nothing(arguments, words, tmp_path, capsys):
    assert bench("bench", *arguments) == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_peer_that_was_named_and_is_not_there_ends_with_2_and_leaves_nothing(tmp_path, capsys, monkeypatch):
    def absent(library, owner):
        raise ModuleNotFoundError("no", name=library)

    monkeypatch.setattr(study, "import_peer", absent)
    assert bench(*QUICK, "--peers", "escnn") == 2
    assert "escnn cannot be imported (not installed)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_record_of_other_settings_ends_with_2(earlier, capsys):
    assert bench(*QUICK, "--check", earlier(1.0, threads=9)) == 2
    assert "Add --threads 9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "before", "words"), [([], True, "Add --kernel"), (["--kernel"], False, "Leave out --kernel")]
)
def test_ratios_with_and_without_the_kernel_are_not_compared(built_kernel, earlier, capsys, options, before, words):
    assert bench(*QUICK, *options, "--check", earlier(1.0, kernel=before)) == 2
    assert words in capsys.readouterr().err


def test_the_kernel_is_refused_where_it_would_not_run(built_kernel, capsys):
    assert bench(*QUICK, "--kernel", "--dtype", "bfloat16") == 2
    assert "Leave out --kernel" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--kernel"]], ids=["without", "with"])
def test_the_kernel_runs_only_where_it_was_asked_for(built_kernel, tmp_path, monkeypatch, options):
    calls = []
    real = ops.call
    monkeypatch.setattr(ops, "call", lambda *arguments: calls.append(arguments[1]) or real(*arguments))
    assert bench(*QUICK, *options, "--peers", "--out", "m.json") == 0
    assert set(calls) == ({"expand", "take_back"} if options else set())
    assert ("with the kernel" in (tmp_path / "m.md").read_text()) == bool(options)


def test_a_result_that_is_there_is_kept(tmp_path, capsys):
    (tmp_path / "m.json").write_text("a result")
    assert bench(*QUICK, "--out", "m.json") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "m.json").read_text() == "a result"


def test_a_damaged_earlier_record_ends_with_2_not_as_if_a_ratio_were_worse(tmp_path, capsys):
    (tmp_path / "old.json").write_text('{"study": "bench", "rows": []}')
    for option in ("--check", "--draw"):
        assert bench(*QUICK, option, "old.json") == 2
        assert "another version, or damaged" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]


@pytest.mark.parametrize(("kind", "code"), [(RuntimeError, 2), (ArithmeticError, 2), (KeyboardInterrupt, 130)])
def test_whatever_stops_a_layer_leaves_nothing(kind, code, tmp_path, monkeypatch, capsys):
    def stop(*_, **__):
        raise kind("out of memory")

    monkeypatch.setattr(measure, "prepare", stop)
    assert bench(*QUICK, "--peers") == code
    assert ("nothing half-written" if code == 130 else "out of memory") in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_with_130_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "measure", stop)
    assert bench(*QUICK, "--peers") == 130
    assert "nothing half-written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_list_names_the_cases_and_measures_nothing(tmp_path, capsys):
    assert bench("bench", "--list", "--cases", "expansion*") == 0
    assert CASE in capsys.readouterr().out.split()
    assert list(tmp_path.iterdir()) == []
