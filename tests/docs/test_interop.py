"""The blocks of the page on other libraries run; that of escnn where it is installed."""

import re
from pathlib import Path

import pytest
import torch

PAGE = Path(__file__).parents[2] / "docs" / "interop.md"


def block(word):
    """The one block of Python with a word."""
    (text,) = [
        text for text in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL) if word in text
    ]
    return compile(text, PAGE.name, "exec")


def test_the_block_of_groupy(capsys):
    names = {}
    exec(block("from_groupy"), names)
    assert capsys.readouterr().out == "torch.Size([2, 16, 4, 32, 32])\n"
    assert torch.equal(names["filters"], names["weight"])


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
def test_the_block_of_escnn(capsys):
    pytest.importorskip("escnn.nn", reason="sh scripts/setup_peers.sh makes an environment with it")
    exec(block("from_escnn"), {})
    assert float(re.search(r"tensor\((\S+?)[,)]", capsys.readouterr().out)[1]) < 1e-6
