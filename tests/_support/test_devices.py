"""Devices by name."""

import torch

from orbitconv._support.devices import find_device
from raising import refuses


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("x", "auto") == find_device("x", "cpu") == torch.device("cpu")
    refuses(ValueError, "x expects a GPU", find_device, "x", "cuda")
    refuses(ValueError, "auto, cpu or cuda", find_device, "x", "mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [find_device("x", word).type for word in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]
