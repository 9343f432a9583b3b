"""Python blocks of README and pages run; commands that they name are commands, with options that there are."""

import re

import pytest

import studies.__main__ as study_commands
from docs.pages import PAGES, ROOT, blocks, commands
from orbitconv.cli.commands import parse

RUN_ELSEWHERE = {
    "README.md",
    "docs/tutorials/mlp_to_cnn.md",
    *(f"docs/how-to/{name}.md" for name in ("classes", "masks", "learn_a_basis", "convert")),
}
"""Pages whose blocks other modules run, some of them with files that commands write."""

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in RUN_ELSEWHERE])
def test_python_blocks_run_one_after_another(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = {}
    if name == "docs/dtypes.md":
        import torch

        scope["mask"] = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    for block in blocks(ROOT / name):
        if block.kind == "python":
            for peer in re.findall(r"^from (escnn|e2cnn) ", block.text, re.MULTILINE):
                pytest.importorskip(peer, reason="the peers need an environment of their own: scripts/setup_peers.sh")
            exec(compile(block.text, name, "exec"), scope)


@pytest.mark.parametrize("name", NAMES)
def test_commands_have_the_words_that_the_pages_give_them(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in commands(ROOT / name):
        if "orbitconv" in words:
            line = words[words.index("orbitconv") + 1 :]
            if "--resume" not in line and "--config" not in line:  # these read what an earlier command wrote
                parse(line)
        elif "studies" in words:
            line = words[words.index("studies") + 1 :]
            if line:
                study_commands.parse(line)


def test_a_stale_word_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("    orbitconv train --no-such-word 3\n", "utf-8")
    with pytest.raises(SystemExit):
        parse(commands(page)[0][1:])
