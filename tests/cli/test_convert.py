"""`orbitconv convert` as a person calls it, and what train makes of its file."""

import pytest
import torch

from orbitconv.cli import main
from orbitconv.groups import Cyclic
from orbitconv.testing import assert_equivariant
from orbitconv.train import Builder, fit, read_trained

pytest.importorskip("safetensors")
WORDS = ["convert", "plain_networks:TinyResNet", "--image", "1", "12", "12", "--group", "c4", "--arguments"]
SIZES = ["in_channels", "1", "classes", "3"]


def test_the_file_trains_and_stays_invariant(tmp_path, capsys):
    main([*WORDS, *SIZES, "--exact", "--width", "0.5", "--out", str(tmp_path / "start.safetensors")])
    words = capsys.readouterr().out
    assert "Quarter turns are exact on 12x12 pixels." in words
    assert "--trust plain_networks" in words
    start = tmp_path / "start.safetensors"
    with pytest.raises(PermissionError, match="plain_networks"):
        read_trained(start)
    network = read_trained(start, ["plain_networks"]).network
    assert network.report.width == 0.5
    x = torch.randn(2, 1, 12, 12)
    assert_equivariant(network, x, Cyclic(4), rtol=1e-5)


def test_a_trained_plain_network_hands_its_filters_on(tmp_path):
    torch.manual_seed(0)
    images, labels = torch.rand(16, 1, 13, 13), torch.arange(16) % 3
    trained = fit(
        Builder("plain_networks:TinyResNet", {"in_channels": 1, "classes": 3}), (images, labels), epochs=1, batch_size=8
    )
    trained.save(tmp_path / "plain.safetensors")
    out = tmp_path / "start.safetensors"
    words = ["convert", str(tmp_path / "plain.safetensors"), "--image", "1", "13", "13", "--group", "c4", "--basis"]
    main([*words, "exact", "--inherit", "--pool", "mean", "--trust", "plain_networks", "--out", str(out)])
    network = read_trained(out, ["plain_networks"]).network
    with torch.no_grad():
        expected = torch.stack([trained.network(images.rot90(k, (2, 3))) for k in range(4)]).mean(0)
        torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["convert", "nowhere:make", "--image", "1", "8", "8"], "nowhere:make does not build the network"),
        ([*WORDS, *SIZES, "--width", "wide"], "wide"),
        ([*WORDS, "in_channels", "3"], "fails on this one (at stem.0)"),
        (["convert", "torch.nn:Identity", "--image", "1", "8", "8"], "got one that calls none"),
    ],
)
def test_bad_words_end_with_2_and_one_message(tmp_path, monkeypatch, capsys, words, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
