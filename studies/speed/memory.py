"""Peak memory of a step: all that the allocator of torch hands out, counted event by event.

On a GPU that is what `torch.cuda.max_memory_allocated` says. On a CPU torch keeps no such figure, and the resident size
of the process depends on what the C library gives back and when; but the profiler records every allocation and release
in order, temporaries inside operators and copies in other layouts included, and the largest running sum is exact and
the same in every run. What libraries such as BLAS allocate for themselves is in neither.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile


def peak_bytes(step: Callable[[], object], resident: Iterable[Tensor], device: torch.device) -> int:
    """Peak memory of a step, in bytes."""
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in resident}
    rise = _rise_on_gpu(step, device) if device.type == "cuda" else _rise_on_cpu(step)
    return sum(storages.values()) + rise


def _rise_on_gpu(step: Callable[[], object], device: torch.device) -> int:
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    step()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def _rise_on_cpu(step: Callable[[], object]) -> int:
    """Largest running sum of allocations and releases in the profiler's events."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        with _no_messages():
            with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
                step()
            profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    changes = [e for e in events if e["name"] == "[memory]" and e["args"]["Device Type"] == 0]
    total = peak = 0
    for event in sorted(changes, key=lambda e: e["ts"]):
        total += event["args"]["Bytes"]
        peak = max(peak, total)
    return peak


@contextlib.contextmanager
def _no_messages() -> Iterator[None]:
    """Suppress messages of the profiler's library on standard error."""
    kept = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)
