"""The benchmark as a study: settings, all cases, one record."""

from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from orbitconv._support.checks import check_positive
from orbitconv._support.devices import Device, find_device
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.nn.products.kernel import is_built, switched_off
from orbitconv.records.command import command_of, settings_of
from orbitconv.records.record import Record, machine
from studies.base.peers import PEERS, import_peer, quiet, reason_of
from studies.base.timing import Pace
from studies.speed.cases import COLD, CURVES, DEFINITIONS, Case, select
from studies.speed.machine import load, machine_name
from studies.speed.measure import measure
from studies.speed.subjects import Setting

STUDY = "bench"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Time layers beside nn.Conv2d of the same expanded shape, escnn and e2cnn; each is checked in float64 first."""

    cases: tuple[str, ...] = ("*",)
    """Names of cases, with * and ?: "expansion*"."""
    repeats: int = 15
    """Rounds; every system is read once in each, in turn."""
    threads: int = 2
    """Threads on the CPU."""
    device: Device = "cpu"
    """Where layers compute."""
    dtype: Literal["float32", "float64", "bfloat16", "float16"] = "float32"
    """Of weights and feature maps."""
    seed: int = 0
    """Of weights and feature maps."""
    peers: tuple[str, ...] | None = None
    """escnn, e2cnn or none of them; one that is named must run. By default those that are installed."""
    kernel: bool = False
    """This library's layers with the kernel of orbitconv build-kernel; by default without, also if it is there."""
    quick: bool = False
    """Small cases and few rounds: whether all works, not how fast it is."""
    out: Path | None = None
    """JSON file; a table and figures come beside it. runs/bench/MACHINE.json by default."""
    overwrite: bool = False
    """Replace a result that is there."""

    def resolved(self) -> "Bench":
        """These settings, checked, with the device that "auto" stands for."""
        check_positive("python -m studies bench", repeats=self.repeats, threads=self.threads)
        for name in self.peers or ():
            if name not in PEERS:
                raise ValueError(f"python -m studies bench knows the peers {' and '.join(PEERS)}, got {name!r}.")
        if self.kernel and not is_built():
            raise ValueError("--kernel found no kernel that can be used. Run orbitconv build-kernel first.")
        device = find_device("python -m studies bench", self.device)
        if self.kernel and (device.type != "cpu" or self.dtype not in {"float32", "float64"}):
            raise ValueError("The kernel is for CPUs, in float32 and float64. Leave out --kernel.")
        return replace(self, device="cuda" if device.type == "cuda" else "cpu")

    def chosen(self) -> list[Case]:
        """The cases that fit the settings."""
        found = select(self.cases, quick=self.quick)
        if (self.device, self.dtype) == ("cpu", "float32"):
            return found
        if warm := [case for case in found if case.task not in COLD]:
            return warm
        raise ValueError(
            f"The cases {' '.join(self.cases)} are the same for every device and dtype: measure them with --device cpu "
            "--dtype float32."
        )

    def place(self) -> Path:
        """Where the record goes."""
        name = machine_name(torch.device(self.device)) + ("" if self.dtype == "float32" else f"-{self.dtype}")
        name += "-kernel" if self.kernel else ""
        return self.out or Path("runs", "bench", f"{name}.json")


def run_bench(config: Bench, progress: ProgressCallback = silent) -> Record:
    """Measure all cases of a benchmark."""
    config = config.resolved()
    cases = config.chosen()
    peers, skipped = find_peers(config.peers)
    setting = Setting(
        device=torch.device(config.device), dtype=getattr(torch, config.dtype), threads=config.threads, seed=config.seed
    )
    pace = Pace.quick() if config.quick else Pace(repeats=config.repeats)
    before = torch.get_num_threads()
    torch.set_num_threads(config.threads)
    try:
        record = Record(
            study=STUDY,
            command=command_of(f"python -m studies {STUDY}", config, STUDY).rpartition(" --results ")[0],
            config=settings_of(config),
            extra={
                "name": machine_name(setting.device),
                "machine": machine(),  # now, with these threads
                "load_before": load(),
                "definitions": {case.task: DEFINITIONS[case.task] for case in cases},
                "skipped": skipped,
                "curves": _curves(cases),
                "goals": [],
            },
        )
        for done, case in enumerate(cases):
            progress(f"measure | {case.name}", done, len(cases))
            with nullcontext() if config.kernel else switched_off():
                measured = measure(case, setting, pace, peers, required=config.peers or ())
            record.rows += measured.rows
            record.extra["goals"] += measured.goals
            skipped |= measured.skipped
        progress("measure", len(cases), len(cases))
    finally:
        torch.set_num_threads(before)
    return record


def find_peers(wanted: Collection[str] | None) -> tuple[list[str], dict[str, str]]:
    """The peers that can be imported."""
    found, skipped = [], {}
    for library in PEERS if wanted is None else wanted:
        try:
            with quiet():
                import_peer(library, "python -m studies bench")
        except Exception as error:
            if wanted is None:
                skipped[library] = reason_of(error, library)
                continue
            hint = "Make an environment for the peers with sh scripts/setup_peers.sh, or leave it out of --peers."
            kind = ModuleNotFoundError if isinstance(error, ModuleNotFoundError) else ValueError
            raise kind(f"{library} cannot be imported ({reason_of(error, library)}). {hint}") from error
        found.append(library)
    return found, skipped


def _curves(cases: Collection[Case]) -> dict[str, list[str]]:
    """Names of the measured cases along each curve that has two points or more."""
    names = {case.name for case in cases}
    points = {axis: [case.name for case in curve if case.name in names] for axis, curve in CURVES.items()}
    return {axis: found for axis, found in points.items() if len(found) > 1}
