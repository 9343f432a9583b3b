"""Records say what was measured, by which code, on which machine."""

import json
import subprocess
from pathlib import Path

import pytest
import torch

from orbitconv.records import record
from orbitconv.records.record import Record

ROW = {
    "family": "plain", "group": "c1", "kernel": 3, "seed": 0, "train": "upright", "test": "rotated",
    "test_error_percent": 1.5, "parameters": 10, "seconds": 0.1,
}  # fmt: skip


def test_a_written_record_reads_back_with_all_that_reproduces_it(tmp_path):
    study = Record(study="s", command="orbitconv s", config={"a": 1}, extra={"fit_seconds": 0.5})
    study.add(**ROW, degrees=None)
    study.write(tmp_path / "deep" / "s.json")
    data = json.loads((tmp_path / "deep" / "s.json").read_text())
    assert data["rows"] == [{**ROW, "degrees": None}]
    assert (data["study"], data["command"], data["config"], data["fit_seconds"]) == ("s", "orbitconv s", {"a": 1}, 0.5)
    assert data["versions"]["torch"] == torch.__version__
    assert data["machine"]["threads"] == torch.get_num_threads()


@pytest.mark.parametrize("column", sorted(ROW))
def test_a_row_without_a_required_column_is_refused(column):
    study = Record(study="s", command="c", config={})
    with pytest.raises(ValueError, match=column):
        study.add(**{k: v for k, v in ROW.items() if k != column})


def test_the_commit_is_that_of_the_checkout():
    root = Path(record.__file__).resolve().parents[3]
    if not (root / ".git").exists():
        pytest.skip("needs a git checkout")
    head = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert record.commit() in {head.stdout.strip(), head.stdout.strip() + "+changes"}
