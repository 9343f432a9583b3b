"""What the Fourier product takes on this machine, in parts of what the fitted prices say; measured once, then cached.

Measured are up to twelve steps of a small layer in each product, on one thread, in processor time, which other
processes disturb least: under a second. It is taken where it can be kept only, so that a training that is resumed
multiplies as before; `ORBITCONV_CALIBRATE=0` goes without, by the fitted prices.
"""

import hashlib
import json
import math
import os
import platform
import threading
import time
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F

from orbitconv._support.cache import cache_root
from orbitconv._support.files import write_atomically
from orbitconv._support.json_text import read_json
from orbitconv._support.locks import lock
from orbitconv.bases import HarmonicBasis
from orbitconv.groups import Cyclic
from orbitconv.nn.products.dense import expand_group
from orbitconv.nn.products.fourier import FourierTables, correlate_in_fourier_space, fourier_tables
from orbitconv.nn.products.turning import turning_of

Shares = dict[bool, float]
"""With and without gradients."""
_FITTED: Shares = {True: 1.0, False: 1.0}
_BOUNDS = 0.4, 2.5
"""A measurement beyond is taken for a disturbance."""
_REFERENCE: Shares = {True: 0.43, False: 0.57}
"""Time of the Fourier product over that of the dense one for the probe, on the machine of the fit."""
_STEPS = 12
_SECONDS = 0.7
"""Longest that one of the two numbers may take, but for three steps."""
_FIELDS, _IMAGES, _SIDE = 32, 2, 16


@cache
def shares_of_this_machine() -> Shares:
    """Time of the Fourier product against the dense one, over the same on the machine that prices were fitted on.

    Returns:
        One number with gradients and one without.
    """
    if os.environ.get("ORBITCONV_CALIBRATE") == "0":
        return _FITTED
    try:
        path = _place()
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock(path.with_suffix(".lock"), wait=True):
            found = _read(path)
            if found is None:
                found = measure()
                write_atomically(path, json.dumps({"train": found[True], "infer": found[False]}))
    except (OSError, RuntimeError):  # no home, or a cache that cannot be written
        return _FITTED
    return found


def measure() -> Shares:
    """Time both products of a small layer.

    Returns:
        One number with gradients and one without.
    """
    found: Shares = {}

    def run() -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            found.update({learns: _share(learns) for learns in (True, False)})
        finally:
            torch.set_num_threads(threads)

    thread = threading.Thread(target=run)  # in which no mode of the caller holds: autocast, vmap, inference
    thread.start()
    thread.join()
    return found or _FITTED


def _share(learns: bool) -> float:
    """Measured share over that of the reference."""
    group, generator = Cyclic(8), torch.Generator().manual_seed(0)
    atoms, turning = HarmonicBasis(group, 3)(torch.float32), turning_of(group)
    tables = FourierTables(*(table.float() for table in fourier_tables(8)))
    sizes = (_FIELDS, _FIELDS, 8, atoms.shape[1])
    coefficients = torch.randn(sizes, generator=generator).div_(100).requires_grad_(learns)
    x = torch.randn((_IMAGES, _FIELDS * 8, _SIDE, _SIDE), generator=generator).requires_grad_(learns)

    def dense() -> torch.Tensor:
        return F.conv2d(x, expand_group(coefficients, atoms, turning), padding=1)

    def fourier() -> torch.Tensor:
        return correlate_in_fourier_space(x, coefficients, atoms, tables, ((1, 1), (1, 1), (1, 1), 1))

    least = {fourier: math.inf, dense: math.inf}
    until = time.monotonic() + _SECONDS
    for step in range(_STEPS):  # by turns, so that what else the machine does disturbs both
        if step >= 3 and time.monotonic() > until:
            break
        for product in least:
            start = time.process_time()
            y = product()
            if learns:
                torch.autograd.grad(y.sum(), (x, coefficients))
            least[product] = min(least[product], time.process_time() - start)
    share = least[fourier] / least[dense] / _REFERENCE[learns]
    return min(max(share, _BOUNDS[0]), _BOUNDS[1])


def _place() -> Path:
    """A file for this machine and torch."""
    parts = platform.node(), platform.machine(), torch.backends.cpu.get_cpu_capability(), torch.__version__
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return cache_root() / "products" / f"{key}.json"


def _read(path: Path) -> Shares | None:
    """What was measured before; None where nothing was, or the file is damaged."""
    try:
        numbers = read_json(path)
        found = {True: float(numbers["train"]), False: float(numbers["infer"])}
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if all(math.isfinite(n) and _BOUNDS[0] <= n <= _BOUNDS[1] for n in found.values()) else None
