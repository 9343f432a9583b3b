"""The help of every command: an example that is one, and a script for the shell."""

import re
import shlex
import shutil
import subprocess

import pytest

from orbitconv.cli.commands import COMMANDS, EXAMPLES, parse


@pytest.mark.parametrize("name", COMMANDS)
def test_an_example_is_printed_and_is_a_call(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        parse([name, "--help"])
    assert ended.value.code == 0
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
