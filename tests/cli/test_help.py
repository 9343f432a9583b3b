"""The help of every command: an example that is one, and a script for the shell."""

import re
import shlex
import shutil
import subprocess
import sys

import pytest

from orbitconv.cli.commands import COMMANDS, EXAMPLES, parse
from refusals import ended


@pytest.mark.parametrize("name", COMMANDS)
def test_an_example_is_printed_and_is_a_call(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    assert ended([name, "--help"], parse) == 0
    assert EXAMPLES[name] in re.sub(r"\s+", " ", capsys.readouterr().out)
    assert type(parse(shlex.split(EXAMPLES[name])[1:])).__name__.endswith("Command")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_completes_commands_and_options(shell, capfd):
    parse(["completion", shell]).run()
    script = capfd.readouterr().out
    assert all(name in script for name in COMMANDS)
    assert "--network.basis" in script
    if shell == "bash" and shutil.which("bash"):
        assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_an_option_is_completed_in_bash_whatever_its_help_says(tmp_path, capsys):
    parse(["completion", "bash"]).run()
    (tmp_path / "script").write_text(capsys.readouterr().out)

    def completed(*words):
        ask = f"source ./script; COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; _tyro_orbitconv"
        shown = subprocess.run(
            ["bash", "-c", ask + "; printf '%s\\n' \"${COMPREPLY[@]}\""], cwd=tmp_path, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        return shown.stdout.split("\n")[:-1]

    assert completed("orbitconv", "train", "--network.b") == ["--network.basis"]
    assert completed("orbitconv", "train", "--network.") == [
        "--network.model", "--network.basis", "--network.options"
    ]  # fmt: skip
    assert completed("orbitconv", "train", "--training.optimizer", "s") == ["sgd"]


def test_a_reader_that_has_seen_enough_is_no_error():
    running = subprocess.Popen(
        [sys.executable, "-m", "orbitconv", "completion", "fish"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    running.stdout.close()
    assert running.stderr.read() == b""
    running.stderr.close()
    assert running.wait() == 141
