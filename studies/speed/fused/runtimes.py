"""Whole networks in onnxruntime: the dense graph, the one that an export chooses, and plain networks."""

import tempfile
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from orbitconv.export import export_model
from orbitconv.models.counting import count_multiply_adds
from orbitconv.onnx_graph import session_of
from studies.speed.fused.contender import Contender
from studies.speed.fused.networks import Network, plain_width


def contenders(case: Network, seed: int) -> dict[str, Contender]:
    """Inference of exported files; how the chosen graph multiplies is a part of its name."""
    generator = torch.Generator().manual_seed(seed)
    network = case.build(case.basis, "params").eval()
    work = count_multiply_adds(network, case.shape[1:])
    plain = {
        "plain, equal multiply-adds": case.build(None, plain_width(case, work)),
        "plain, equal parameters": case.build(None, case.width),
    }
    found = {"dense graph": _exported(case, network, "dense", generator)}
    found["orbitconv"] = _exported(case, network, "auto", generator)
    return found | {name: _exported(case, module.eval(), "dense", generator) for name, module in plain.items()}


def _exported(
    case: Network, network: nn.Module, graph: Literal["auto", "dense"], generator: torch.Generator
) -> Contender:
    x = torch.randn(case.shape, generator=generator)
    with tempfile.TemporaryDirectory() as folder:
        exported = export_model(network, Path(folder, "network.onnx"), "onnx", case.shape[1:], graph=graph)
        session = session_of(exported.path.read_bytes())
    feed = {"image": x.numpy()}
    return Contender(nn.Module(), lambda: session.run(None, feed), (x,), len(x), exported.error, exported.graph)
