"""`orbitconv export` as a person calls it."""

import pytest
import torch

from orbitconv.cli import main
from orbitconv.export import Exported
from orbitconv.train import Network, TrainConfig, build_network, load_trained
from orbitconv.train.engine.state import weights_of
from orbitconv.train.networks import write_trained
from refusals import refused

pytest.importorskip("safetensors")
pytestmark = pytest.mark.compile


@pytest.fixture
def training(tmp_path):
    config = TrainConfig(network=Network(model="small", basis="exact-c4", options={"width": 2}))
    network = build_network(config.network, 1, 3)
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    write_trained(tmp_path / "run" / "model.safetensors", weights, config, 1, ("a", "b", "c"))
    return tmp_path / "run"


@pytest.mark.parametrize(("file_format", "suffix"), [("torch", "pt"), ("torchscript", "ts")])
@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated")
def test_a_trained_network_becomes_one_file(training, capsys, file_format, suffix):
    main(["export", str(training), "--format", file_format, "--size", "16"])
    path = training / f"model.{suffix}"
    words = " ".join(capsys.readouterr().out.split())
    assert f"{path}: batches of any size, images of any size" in words
    assert f"load({str(path)!r}" in words
    loaded = torch.jit.load(path) if suffix == "ts" else torch.load(path, weights_only=False)
    x = torch.randn(5, 1, 28, 24)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), load_trained(training)[0](x), rtol=0, atol=1e-5)


def test_a_trained_network_becomes_an_onnx_file(training):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    out = training.parent / "there" / "net.onnx"
    main(["export", str(training / "model.safetensors"), "--format", "onnx", "--out", str(out), "--size", "16"])
    x = torch.randn(5, 1, 28, 24)
    (scores,) = runtime.InferenceSession(out, providers=["CPUExecutionProvider"]).run(None, {"image": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(scores), load_trained(training)[0](x).detach(), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("arguments", "words"), [
    (["nowhere"], "nowhere is not there"),
    (["run", "--out", "run/model.safetensors"], "--overwrite"),
    (["run", "--size", "0"], "height >= 1"),
    (["run", "--format", "pickle"], "pickle"),
    ([], "Required options"),
])  # fmt: skip
def test_bad_words_end_with_2_one_message_and_nothing_written(training, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(training.parent)
    assert words in refused(capsys, ["export", *arguments], folder=training.parent)


def test_the_size_is_that_of_the_training_unless_another_one_is_given(training, monkeypatch):
    config = TrainConfig(network=Network(model="small", basis="none", options={"width": 2}))
    weights = weights_of(build_network(config.network, 3, 2))
    write_trained(training / "model.safetensors", weights, config, 3, ("a", "b"), (20, 24))
    shapes = []

    def export(_network, path, _format, shape, **_):
        shapes.append(shape)
        return Exported(path, any_size=False, error=0.0)

    monkeypatch.setattr("orbitconv.cli.export.export_model", export)
    for words in ([], ["--size", "16"]):
        main(["export", str(training), *words])
    assert shapes == [(3, 20, 24), (3, 16, 16)]
