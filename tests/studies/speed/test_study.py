"""The whole benchmark: settings, its record, peers that are not there."""

import json
import shlex

from studies.speed.study import Bench, run_bench

QUICK = Bench(quick=True, cases=("expansion*", "inference*", "training*-b[12]"), peers=(), threads=1)


def test_a_record_holds_rows_goals_curves_and_all_that_reproduces_it():
    said = []
    data = run_bench(QUICK, lambda *words: said.append(words)).as_dict()
    assert json.loads(json.dumps(data, allow_nan=False)) == json.loads(json.dumps(data))
    words = "bench --cases expansion* inference* training*-b[12] --threads 1 --peers --quick"
    assert shlex.split(data["command"]) == ["python", "-m", "studies", *words.split()]
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
