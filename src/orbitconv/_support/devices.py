"""Devices by name."""

from typing import Literal

import torch

Device = Literal["auto", "cpu", "cuda"]


def find_device(owner: str, device: Device) -> torch.device:
    """The device of a name."""
    if device not in {"auto", "cpu", "cuda"}:
        raise ValueError(f"{owner} expects the device auto, cpu or cuda, got {device!r}.")
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise ValueError(f"{owner} expects a GPU for device cuda, got none that torch can use. Use auto or cpu.")
    return torch.device("cuda" if there and device != "cpu" else "cpu")
