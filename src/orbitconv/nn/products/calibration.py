"""What the other products take on this machine, in parts of what the fitted prices say; measured once, then cached.

Measured are up to twelve steps of a small layer beside the dense product, on one thread, in processor time, which other
processes disturb least: under a second for each, for the fused product where its kernel is built. It is taken where it
can be kept only, so that a training that is resumed multiplies as before; `ORBITCONV_CALIBRATE=0` goes without, by the
fitted prices.
"""

import ctypes
import hashlib
import json
import math
import os
import platform
import threading
import time
from collections.abc import Callable
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
from orbitconv.nn.products.kernel.autograd import fused_conv
from orbitconv.nn.products.kernel.fused import Options
from orbitconv.nn.products.kernel.layer import PRICES, expected_share
from orbitconv.nn.products.kernel.library import library, place
from orbitconv.nn.products.kernel.structure import structure_of
from orbitconv.nn.products.turning import turning_of

Shares = dict[bool, float]
"""With and without gradients."""
_FITTED: Shares = {True: 1.0, False: 1.0}
_BOUNDS = 0.25, 4.0
"""A measurement beyond is taken for a disturbance."""
_HALF_BOUNDS = 0.25, 25.0
"""The same in bfloat16, for which some processors have instructions and others none."""
_REFERENCE: Shares = {True: 0.43, False: 0.57}
"""Time of the Fourier product over that of the dense one for the probe, on the machine of the fit."""
_STEPS = 12
_SECONDS = 0.4
"""Longest that one of the two numbers may take, but for three steps."""
_FIELDS, _IMAGES, _SIDE = 32, 2, 16


@cache
def shares_of_this_machine() -> Shares:
    """Time of the Fourier product against the dense one, over the same on the machine that prices were fitted on."""
    return _kept("", lambda: measure())  # which tests replace


@cache
def fused_shares_of_this_machine(dtype: torch.dtype = torch.float32) -> Shares:
    """The same for the fused product; 1 where its kernel is not built."""
    functions, is_half = library(), dtype == torch.bfloat16
    if functions is None:
        return _FITTED
    bounds = _HALF_BOUNDS if is_half else _BOUNDS
    name = f"-{place().stem}{'-bfloat16' if is_half else ''}"
    return _kept(name, lambda: measure(functions, dtype), bounds)


def _kept(name: str, take: Callable[[], Shares], bounds: tuple[float, float] = _BOUNDS) -> Shares:
    """What was measured before, or is now if it can be kept."""
    if os.environ.get("ORBITCONV_CALIBRATE") == "0":
        return _FITTED
    try:
        path = _place(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock(path.with_suffix(".lock"), wait=True):
            found = _read(path, bounds)
            if found is None:
                found = take()
                write_atomically(path, json.dumps({"train": found[True], "infer": found[False]}))
    except (OSError, RuntimeError):  # no home, or a cache that cannot be written
        return _FITTED
    return found


def measure(functions: ctypes.CDLL | None = None, dtype: torch.dtype = torch.float32) -> Shares:
    """Time the fused product, if its compiled functions are given, or the Fourier product beside the dense one."""
    found: Shares = {}

    def run() -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            found.update({learns: _share(learns, functions, dtype) for learns in (True, False)})
        finally:
            torch.set_num_threads(threads)

    thread = threading.Thread(target=run)  # in which no mode of the caller holds: autocast, vmap, inference
    thread.start()
    thread.join()
    return found or _FITTED


def _share(learns: bool, functions: ctypes.CDLL | None, dtype: torch.dtype) -> float:
    """Measured share over that of the reference, or over the expected one."""
    group, generator = Cyclic(8), torch.Generator().manual_seed(0)
    atoms, turning = HarmonicBasis(group, 3)(torch.float32), turning_of(group)
    tables = FourierTables(*(table.float() for table in fourier_tables(8)))
    sizes = (_FIELDS, _FIELDS, 8, atoms.shape[1])
    coefficients = torch.randn(sizes, generator=generator).div_(100).requires_grad_(learns)
    x = torch.randn((_IMAGES, _FIELDS * 8, _SIDE, _SIDE), generator=generator).to(dtype).requires_grad_(learns)

    def dense() -> torch.Tensor:
        return F.conv2d(x, expand_group(coefficients, atoms, turning).to(dtype), padding=1)

    def fourier() -> torch.Tensor:
        return correlate_in_fourier_space(x, coefficients, atoms, tables, ((1, 1), (1, 1), (1, 1), 1))

    other, expected = fourier, _REFERENCE[learns]
    if functions is not None and (known := structure_of(atoms.double())) is not None:
        options = Options(1, (1, 1))

        def fused() -> torch.Tensor:
            return fused_conv(functions, x, coefficients, None, known, options, lambda *_: dense())

        other = fused
        expected = expected_share(known, PRICES[learns], (_FIELDS, _FIELDS), 1, x.shape)
    least = {other: math.inf, dense: math.inf}
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
    share = least[other] / least[dense] / expected
    least_share, most = _HALF_BOUNDS if dtype == torch.bfloat16 else _BOUNDS
    return min(max(share, least_share), most)


def _place(name: str) -> Path:
    """A file for this machine and torch."""
    parts = platform.node(), platform.machine(), torch.backends.cpu.get_cpu_capability(), torch.__version__
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return cache_root() / "products" / f"{key}{name}.json"


def _read(path: Path, bounds: tuple[float, float]) -> Shares | None:
    """What was measured before; None where nothing was, or the file is damaged."""
    try:
        numbers = read_json(path)
        found = {True: float(numbers["train"]), False: float(numbers["infer"])}
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if all(math.isfinite(n) and bounds[0] <= n <= bounds[1] for n in found.values()) else None
