"""From words to a command."""

import json

import pytest

from orbitconv.cli.commands import COMMANDS, parse
from orbitconv.cli.train import _with_options
from raising import refuses
from refusals import ended


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "saved.json"
    path.write_text(json.dumps({"training": {"epochs": 20, "clip": 1.0}, "network": {"options": {"width": 3}}}))
    return path


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_typed_options_win_over_a_file_of_settings_even_where_they_are_the_defaults(command, saved):
    needed = ["--validation-images", "10"]
    from_file = parse([command, "--config", str(saved), *needed])
    typed = parse([command, "--training.epochs", "5", "--config", str(saved), *needed, "--training.clip", "None"])
    usual = parse([command, *needed])
    assert (usual.training.epochs, usual.training.clip) == (5, None)
    assert (from_file.training.epochs, from_file.training.clip) == (20, 1.0)
    assert (typed.training.epochs, typed.training.clip) == (5, None)
    assert from_file.network.options == typed.network.options == {"width": 3}
    assert typed.training.learning_rate == usual.training.learning_rate
    wider = parse([command, "--config", str(saved), *needed, "--network.options", "width", "8"])
    assert (wider.network.options, wider.training.epochs) == ({"width": 8}, 20)


def test_typed_options_win_over_the_settings_of_a_training_to_go_on_with(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"training": {"epochs": 20}, "hardware": {"precision": "bf16"}}))
    words = ["train", "--out", str(tmp_path), "--resume"]
    as_before, typed = parse(words).complete(), parse([*words, "--hardware.precision", "32"]).complete()
    assert (as_before.training.epochs, as_before.hardware.precision) == (20, "bf16")
    assert (typed.training.epochs, typed.hardware.precision) == (20, "32")
    assert parse([*words, "--training.epochs", "5"]).complete().training.epochs == 5
    assert parse(["train", "--out", str(tmp_path / "new"), "--resume"]).complete().training.epochs == 5


def test_commands_are_listed_and_a_misspelt_one_is_named(capsys):
    assert ended(["--help"], parse) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)
    refuses(ValueError, r"no command named 'learn-bases'\. Did you mean 'learn-basis'", parse, ["learn-bases"])


def test_what_is_no_file_of_settings_is_named(tmp_path):
    (tmp_path / "latin.json").write_bytes(b'{"data": "\xe9"}')
    for path in (tmp_path, tmp_path / "latin.json"):
        refuses(ValueError, "is no file of settings", parse, ["train", "--config", str(path)])


def test_a_file_with_a_wrong_field_is_refused(tmp_path):
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps({"training": {"epoch": 3}}))
    refuses(ValueError, r"training\.epoch is unknown", parse, ["train", "--config", str(path)])


def test_a_refusal_of_the_library_is_told_in_options():
    words = _with_options("Choose: channels=1 or channels=3, ignore_index=255; a size = 3 stays")
    assert words == (
        "Choose: --pictures.channels 1 or --pictures.channels 3, --pictures.ignore-index 255; a size = 3 stays"
    )
