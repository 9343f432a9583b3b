"""Lightning Fabric for the available devices and processes."""

import atexit
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from orbitconv._support.devices import find_device
from orbitconv._support.optional import import_optional
from orbitconv.train.settings import Hardware

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def refuse_torchrun(owner: str) -> None:
    """Refuse several processes that torchrun started, for work that trains each network in one process."""
    if dist.is_available() and dist.is_torchelastic_launched() and os.environ["WORLD_SIZE"] != "1":
        raise ValueError(
            f"{owner} trains each network in one process; start the same command once for every machine or GPU, "
            "without torchrun."
        )


@contextmanager
def launched(hardware: Hardware, device: torch.device | None = None) -> Iterator["Fabric"]:
    """Set up computation: one process on one device, or the processes that torchrun started, one device each.

    A single process may be given the very device. The process group ends with the process, so that a second training
    can use it.
    """
    hardware.check()
    device = find_device("Hardware", hardware.device) if device is None else device
    if device.type == "cpu" and hardware.precision == "16":
        raise ValueError("Hardware expects a GPU for precision 16, got none. Use 32 or bf16.")
    library = import_optional("lightning_fabric", "train", "orbitconv's training")
    environments = import_optional("lightning_fabric.plugins.environments", "train", "orbitconv's training")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it greets otherwise
    by_torchrun = dist.is_available() and dist.is_torchelastic_launched()
    world, local = (int(os.environ[name]) if by_torchrun else 1 for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    started = world > 1
    if started and device.type == "cuda" and torch.cuda.device_count() < local:
        raise ValueError(
            f"A process needs a GPU of its own, got {torch.cuda.device_count()} GPUs for {local} processes. Start "
            "fewer with --nproc-per-node, or use --hardware.device cpu."
        )
    one = [device.index or 0] if device.type == "cuda" else 1
    fabric = library.Fabric(
        accelerator=device.type,
        strategy="ddp" if started else "auto",
        devices=local if started else one,
        num_nodes=world // local if started else 1,
        precision={"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[hardware.precision],
        plugins=[environments.TorchElasticEnvironment() if started else environments.LightningEnvironment()],
    )
    with _determinism(hardware.deterministic):
        began = dist.is_available() and dist.is_initialized()
        fabric.launch()
        if dist.is_available() and dist.is_initialized() and not began:
            atexit.register(_end_processes)
        yield fabric


def _end_processes() -> None:
    """End the process group while Python still runs, however the process ends.

    Threads of gloo that live on until the libraries are unloaded abort the process; Fabric itself ends groups of NCCL
    only.
    """
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def _determinism(wanted: bool) -> Iterator[None]:
    """Restrict torch to deterministic algorithms."""
    if not wanted:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
