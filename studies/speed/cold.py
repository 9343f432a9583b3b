"""One-time costs of a process, importing and building layers, measured in new processes without caches."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import nn

from orbitconv.bases import load_basis
from orbitconv.groups import parse_group
from orbitconv.nn import GroupBatchNorm2d, GroupConv2d, LiftingConv2d
from studies.base.peers import PEERS, import_peer, quiet
from studies.base.timing import Reading
from studies.speed.cases import Case

_IMPORTS = {"torch": "torch", "orbitconv": "orbitconv", **{library: f"{library}.nn" for library in PEERS}}
_IMAGE = 3  # channels of the input of a network


def cold_reading(case: Case, subject: str, threads: int) -> Reading:
    """Time a new process that imports a library or builds layers."""
    if case.task == "import":
        code = f"import time; t = time.perf_counter(); import {_IMPORTS[subject]}; print(time.perf_counter() - t)"
    else:
        sizes = (subject, case.group, case.kernel, widths(case.fields, case.layers), threads)
        code = f"from studies.speed.cold import seconds_to_build; print(seconds_to_build{sizes!r})"
    return partial(_run, code, threads)


def widths(fields: int, layers: int) -> tuple[int, ...]:
    """Fields of each layer of a network: a quarter, a half and all of them, for a third of the layers each."""
    third = layers // 3
    return (*[fields // 4] * third, *[fields // 2] * third, *[fields] * (layers - 2 * third))


def seconds_to_build(subject: str, group: str, kernel: int, fields: Sequence[int], threads: int) -> float:
    """Build one layer between feature maps on the group, or a network, after all imports."""
    torch.set_num_threads(threads)
    with quiet():
        prepare = _KITS[subject](group)
        start = time.perf_counter()
        convolution, behind = prepare(kernel)
        if len(fields) == 1:
            convolution(fields[0], fields[0])
        else:
            parts = [convolution(i, o) for i, o in pairwise((0, fields[0], *fields))]
            nn.Sequential(*(m for part in parts for m in (part, *behind(part))))
        return time.perf_counter() - start


# A convolution from its fields before (none for the image) and after; and what comes behind it.
_Kit = tuple[Callable[[int, int], nn.Module], Callable[..., tuple[nn.Module, nn.Module]]]


def _plain(group: str) -> Callable[[int], _Kit]:
    order = parse_group(group).order

    def prepare(kernel: int) -> _Kit:
        def convolution(before: int, after: int) -> nn.Module:
            return nn.Conv2d(before * order or _IMAGE, after * order, kernel, padding=kernel // 2, bias=False)

        return convolution, lambda part: (nn.BatchNorm2d(part.out_channels), nn.ReLU())

    return prepare


def _own(group: str) -> Callable[[int], _Kit]:
    def prepare(kernel: int) -> _Kit:
        basis = load_basis(f"spectral-{group}-k{kernel}")

        def convolution(before: int, after: int) -> nn.Module:
            layer = GroupConv2d if before else LiftingConv2d
            return layer(before or _IMAGE, after, basis, padding=kernel // 2, bias=False)

        return convolution, lambda part: (GroupBatchNorm2d(part.out_channels), nn.ReLU())

    return prepare


def _peer(library: str, group: str) -> Callable[[int], _Kit]:
    gspaces, layers = import_peer(library, "python -m studies bench")
    elements = parse_group(group)
    make_plane = getattr(gspaces, PEERS[library][int(elements.mirrors.any())])

    def prepare(kernel: int) -> _Kit:
        plane = make_plane(elements.num_rotations)

        def fields(count: int) -> object:
            kinds = count * [plane.regular_repr] or _IMAGE * [plane.trivial_repr]
            return layers.FieldType(plane, kinds)

        def convolution(before: int, after: int) -> nn.Module:
            return layers.R2Conv(fields(before), fields(after), kernel, padding=kernel // 2, bias=False)

        return convolution, lambda part: (layers.InnerBatchNorm(part.out_type), layers.ReLU(part.out_type))

    return prepare


_KITS: dict[str, Callable[[str], Callable[[int], _Kit]]] = {
    "conv2d": _plain,
    "orbitconv": _own,
    **{library: partial(_peer, library) for library in PEERS},
}


def _run(code: str, threads: int) -> float:
    """Run code in a new Python process; the last word it prints is the reading."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ChildProcessError(lines[-1])
    return float(done.stdout.split()[-1])
