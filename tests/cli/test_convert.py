"""`orbitconv convert` as a person calls it, and what train makes of its file."""

import shlex
import subprocess
import sys

import pytest
import torch

import orbitconv
from orbitconv.cli import main
from orbitconv.groups import Cyclic
from orbitconv.testing import assert_equivariant
from orbitconv.train import Builder, fit, read_trained
from refusals import refused
from small_runs import train_small, use_small_digits

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


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The folder of a plain network that `orbitconv train` trained."""
    with pytest.MonkeyPatch.context() as patch:
        use_small_digits(patch)
        return train_small(tmp_path_factory.mktemp("plain") / "run", epochs=1).path.parent


def mean_over_quarter_turns(network, images):
    with torch.no_grad():
        return torch.stack([network(images.rot90(k, (2, 3))) for k in range(4)]).mean(0)


def test_a_network_of_the_train_command_is_converted_trained_and_evaluated(plain, tmp_path, monkeypatch, capsys):
    use_small_digits(monkeypatch)
    monkeypatch.chdir(tmp_path)
    before = read_trained(plain)
    main(shlex.split(f"convert '{plain}' --group c4 --basis exact --inherit --pool mean --out c.safetensors"))
    assert "Train it: orbitconv train --network.model c.safetensors --data mnist\n" in capsys.readouterr().out
    start, images = read_trained("c.safetensors"), torch.rand(4, 1, 28, 28)
    expected = mean_over_quarter_turns(before.network, images)
    torch.testing.assert_close(start.network(images), expected, rtol=1e-4, atol=1e-5)
    assert (start.classes, start.config.data) == (before.classes, "mnist")
    assert start.config.network.basis == "exact-c4"
    words = "train --network.model c.safetensors --data mnist --training.epochs 1 --training.batch-size 50 --out run"
    main(shlex.split(words))
    main(shlex.split("evaluate run --angles 90 --test-images 20"))
    trained = read_trained("run").network
    assert not torch.equal(trained(images), start.network(images))
    assert_equivariant(trained, images, Cyclic(4), rtol=1e-4)


def test_a_loaded_network_is_converted_trained_and_saved_in_python(plain, tmp_path):
    loaded, images = orbitconv.load_network(plain), torch.rand(8, 1, 28, 28)
    network = orbitconv.convert(loaded, "c4", "exact", example=images[:1], weights="inherit", pool="mean")
    expected = mean_over_quarter_turns(loaded.network, images)
    torch.testing.assert_close(network.eval()(images), expected, rtol=1e-4, atol=1e-5)
    trained = fit(network, (images, torch.arange(8) % 10), epochs=1, batch_size=4)
    trained.save(tmp_path / "converted.safetensors")
    again = orbitconv.load_network(tmp_path / "converted.safetensors")
    torch.testing.assert_close(again.network(images), network(images))


def test_what_is_equivariant_already_is_named_as_such(plain, tmp_path, capsys):
    out = str(tmp_path / "converted.safetensors")
    main(["convert", str(plain), "--group", "c4", "--basis", "exact", "--out", out])
    told = refused(capsys, ["convert", out, "--out", str(tmp_path / "twice.safetensors")], folder=tmp_path)
    assert f"{out} holds one that is equivariant already" in told
    with pytest.raises(ValueError, match="equivariant already"):
        orbitconv.convert(orbitconv.load_network(out), "c4", example=torch.rand(1, 1, 28, 28))


@pytest.mark.parametrize(("words", "told"), [
    (["convert", "nowhere:make", "--image", "1", "8", "8"], "nowhere:make does not build the network"),
    ([*WORDS, *SIZES, "--width", "wide"], "wide"),
    ([*WORDS, "in_channels", "3"], "fails on this one (at stem.0)"),
    (["convert", "torch.nn:Identity", "--image", "1", "8", "8"], "got one that calls none"),
    (["convert", "torch.nn:Identity"], "--image 3 64 64"),
])  # fmt: skip
def test_bad_words_end_with_2_and_one_message(tmp_path, monkeypatch, capsys, words, told):
    monkeypatch.chdir(tmp_path)
    assert told in refused(capsys, words, folder=tmp_path)


def test_a_module_of_the_current_folder_builds_the_network(tmp_path):
    (tmp_path / "own_networks.py").write_text("from orbitconv.models import resnet18\nmake = resnet18\n")
    words = ["convert", "own_networks:make", "--image", "3", "16", "16", "--group", "c4", "--arguments", "width", "4"]
    code = "import sys; sys.path = [p for p in sys.path if p]; from orbitconv.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--trust own_networks" in done.stdout
    assert (tmp_path / "converted.safetensors").exists()


def test_a_network_of_the_library_is_converted_and_loaded(tmp_path):
    out = tmp_path / "net.safetensors"
    words = ["convert", "orbitconv.models:resnet18", "--image", "3", "16", "16", "--group", "c4", "--exact"]
    main([*words, "--arguments", "width", "4", "--out", str(out)])
    assert_equivariant(read_trained(out).network, torch.randn(2, 3, 16, 16), Cyclic(4), rtol=1e-4)
