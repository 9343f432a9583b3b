"""What machines are called in the names of results: after their processor, never after their owner."""

import os
import re

import torch

from orbitconv.records.record import machine


def machine_name(device: torch.device) -> str:
    """A name for the machine that results can be filed under."""
    facts = machine()
    if device.type == "cuda":
        return slug(str(facts["gpu"]))
    return f"{slug(str(facts['processor']))}-{facts['cores']}-cores"


def slug(name: str) -> str:
    """A name in small letters, digits and hyphens."""
    plain = re.sub(r"\(R\)|\(TM\)|\bCPU\b|\bProcessor\b|@.*", " ", name, flags=re.IGNORECASE)
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") or "unknown"


def load() -> float | None:
    """How busy the machine is."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
