"""What the folder of a run refuses: changed digits, missing lines, other inputs."""

import json
import re

import pytest
import torch

from orbitconv.records.checkpoint import Checkpoint
from orbitconv.records.lines import checked_line, parse_line
from orbitconv.records.run_folder import RunFolder
from raising import refuses


def run(folder, steps, resume=False, **options):
    """A run that writes a line and a checkpoint for each step."""
    with RunFolder(folder, {"seed": 1}, resume=resume, **options) as opened:
        found, _ = opened.load()
        for step in range(1 if found is None else found.step + 1, steps + 1):
            opened.add({"step": step, "loss": 88.65})
            opened.save(Checkpoint(step=step, weights={"w": torch.tensor([float(step)])}, rest={}))


def reopened(folder, **options):
    with RunFolder(folder, {"seed": 1}, resume=True, **options) as opened:
        return opened.load()


def test_a_line_reads_back_and_any_changed_character_is_refused():
    row = {"step": 3, "loss": 88.65, "name": "é"}
    line = checked_line(row)
    assert parse_line(line, "here") == row
    assert json.loads(line)["loss"] == row["loss"]
    for place in range(len(line) - 1):
        if not line[place].isspace():
            with pytest.raises(ValueError, match="here is damaged"):
                parse_line(line[:place] + chr(ord(line[place]) ^ 1) + line[place + 1 :], "here")


def test_a_changed_digit_in_the_metrics_is_refused(tmp_path):
    run(tmp_path, 2)
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text().replace("88.65", "18.65", 1))
    refuses(ValueError, r"metrics\.jsonl, line 1 is damaged", reopened, tmp_path)


def test_a_smaller_step_in_the_checkpoint_is_refused_and_deletes_no_line(tmp_path):
    run(tmp_path, 3)
    listed = tmp_path / "checkpoints" / "step-000000003" / "checkpoint.json"
    lines = (tmp_path / "metrics.jsonl").read_text()
    content = json.loads(listed.read_text())
    forged = {name: value for name, value in content.items() if name != "checksum"} | {"step": 2}
    for text in (json.dumps(content | {"step": 2}), checked_line(forged)):
        listed.write_text(text)
        refuses(ValueError, "damaged", reopened, tmp_path)
        assert (tmp_path / "metrics.jsonl").read_text() == lines


@pytest.mark.parametrize("forged", [{"sha256": [1]}, {"sha256": None}, {"step": "1"}, {"step": [1]}, {"format": {}}])
def test_a_list_of_other_kinds_is_refused_by_its_file(tmp_path, forged):
    run(tmp_path, 1)
    listed = tmp_path / "checkpoints" / "step-000000001" / "checkpoint.json"
    content = {name: value for name, value in json.loads(listed.read_text()).items() if name != "checksum"}
    listed.write_text(checked_line(content | forged))
    refuses(ValueError, r"step-000000001 (cannot be read|has format)", reopened, tmp_path)


def test_an_input_that_changed_since_the_run_began_is_refused(tmp_path):
    basis = tmp_path / "basis.safetensors"
    basis.write_bytes(b"one")
    run(tmp_path / "run", 1, inputs={"network.basis": basis})
    run(tmp_path / "run", 2, resume=True, inputs={"network.basis": basis})
    basis.write_bytes(b"two")
    with pytest.raises(ValueError, match=re.escape("file for network.basis has changed")):
        reopened(tmp_path / "run", inputs={"network.basis": basis})


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000])
def test_damaged_settings_are_refused_with_their_file(tmp_path, text):
    run(tmp_path, 1)
    (tmp_path / "config.json").write_text(text)
    refuses(ValueError, r"config\.json is damaged", reopened, tmp_path)
