"""The whole benchmark: settings, its record, peers that are not there."""

import json
import shlex

import pytest
import torch

from studies.speed import study
from studies.speed.machine import machine_name, slug
from studies.speed.study import Bench, find_peers, run_bench

QUICK = Bench(quick=True, cases=("expansion*", "inference*", "training*-b[12]"), peers=(), threads=1)


@pytest.fixture
def no_escnn(monkeypatch):
    """escnn is not installed, e2cnn is broken."""

    def import_peer(library, owner):
        if library == "escnn":
            raise ModuleNotFoundError(f"{owner} needs the module escnn", name="escnn")
        raise AttributeError("module numpy has no attribute product\n...")

    monkeypatch.setattr(study, "import_peer", import_peer)


def test_a_record_holds_rows_goals_curves_and_all_that_reproduces_it():
    said = []
    data = run_bench(QUICK, lambda *words: said.append(words)).as_dict()
    assert json.loads(json.dumps(data, allow_nan=False)) == json.loads(json.dumps(data))
    words = "bench --cases expansion* inference* training*-b[12] --threads 1 --peers --quick"
    assert shlex.split(data["command"]) == ["orbitconv", *words.split()]
    assert {row["case"] for row in data["rows"]} == {case.name for case in QUICK.chosen()}
    assert [(goal["of"], goal["to"], goal["most"]) for goal in data["goals"]] == [("folded", "conv2d", 1.0)]
    assert data["curves"] == {"batch": ["training-c8-k3-f8-s16-b1", "training-c8-k3-f8-s16-b2"]}
    assert "weight.clone()" in data["definitions"]["expansion"]
    assert data["config"]["seed"] == 0
    assert {"python", "torch", "orbitconv"} <= data["versions"].keys()
    assert data.keys() >= {"commit", "load_before"}
    assert data["machine"]["threads"] == data["config"]["threads"] == 1
    assert (data["config"]["device"], data["skipped"]) == ("cpu", {})
    assert said[-1] == ("measure", len(QUICK.chosen()), len(QUICK.chosen()))


def test_threads_are_as_before_whatever_happens(monkeypatch):
    def stop(*_, **__):
        assert torch.get_num_threads() == 2
        raise KeyboardInterrupt

    before = torch.get_num_threads()
    monkeypatch.setattr(study, "measure", stop)
    with pytest.raises(KeyboardInterrupt):
        run_bench(Bench(quick=True, peers=()))
    assert torch.get_num_threads() == before == 1


def test_peers_that_are_not_there_are_a_note(no_escnn):
    assert find_peers(None) == ([], {"escnn": "not installed", "e2cnn": "module numpy has no attribute product"})
    assert find_peers(()) == ([], {})


def test_peers_that_were_named_and_are_not_there_end_it(no_escnn):
    with pytest.raises(ModuleNotFoundError, match=r"escnn cannot be imported \(not installed\).*setup_peers.sh"):
        run_bench(Bench(peers=("escnn",)))
    with pytest.raises(ValueError, match=r"e2cnn cannot be imported \(module numpy.*product\)"):
        run_bench(Bench(peers=("e2cnn",)))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"repeats": 0}, "repeats >= 1"),
        ({"threads": 0}, "threads >= 1"),
        ({"peers": ("groupy",)}, "knows the peers escnn and e2cnn, got 'groupy'"),
        ({"cases": ("nothing*",)}, "No benchmark case"),
        ({"cases": ("import",), "dtype": "bfloat16"}, "same for every device and dtype"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        run_bench(Bench(**settings))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="expects a GPU for device cuda"):
        run_bench(Bench(device="cuda"))
    assert Bench(device="auto").resolved().device == "cpu"


def test_tasks_of_new_processes_are_left_out_for_other_dtypes():
    tasks = {case.task for case in Bench(dtype="bfloat16").chosen()}
    assert "training" in tasks
    assert not tasks & {"import", "construction"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Intel(R) Xeon(R) CPU @ 2.20GHz", "intel-xeon"), ("AMD EPYC", "amd-epyc"), ("NVIDIA H200", "nvidia-h200"),
     ("Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz", "intel-core-i7-8650u"), ("", "unknown")],
)  # fmt: skip
def test_machines_are_named_after_their_processor(name, expected):
    assert slug(name) == expected


def test_results_lie_under_the_name_of_the_machine():
    name = machine_name(torch.device("cpu"))
    assert Bench().place().name == f"{name}.json"
    assert Bench(dtype="float64").place().name == f"{name}-float64.json"
    assert Bench(kernel=True).place().name == f"{name}-kernel.json"
