"""The benchmark, `python -m studies bench`: settings, all cases, one record."""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from orbitconv._support.checks import check_positive
from orbitconv._support.devices import Device, find_device
from orbitconv._support.files import check_replaceable, check_writable, write_atomically
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.cli.terminal import Terminal
from orbitconv.figures.drawing import check_libraries, render
from orbitconv.nn.products.kernel import is_built, switched_off
from orbitconv.records.command import command_of, settings_of
from orbitconv.records.record import Record, machine
from studies.base.command import table
from studies.base.peers import PEERS, describe_skipped, import_peer, quiet, reason_of
from studies.base.timing import Pace
from studies.speed.cases import COLD, CURVES, DEFINITIONS, Case, select
from studies.speed.figures import ratios_figure, scaling_figure
from studies.speed.measure import measure
from studies.speed.subjects import Setting
from studies.speed.tables import grids, markdown

STUDY = "bench"

# Processes that want to run beside the benchmark, above which its ratios are noisy.
_BUSY = 0.5


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Time layers beside nn.Conv2d of the same expanded shape, escnn and e2cnn; each is checked in float64 first.

    Writes a record, a page of tables and figures to runs/bench.
    """

    cases: tuple[str, ...] = ("*",)
    """Names of cases, with * and ? as wildcards: "expansion*"."""
    repeats: int = 15
    """Rounds; every system is read once in each, in turn."""
    threads: int = 2
    """Number of CPU threads."""
    device: Device = "cpu"
    """Device of the layers."""
    dtype: Literal["float32", "float64", "bfloat16", "float16"] = "float32"
    """Dtype of weights and feature maps."""
    seed: int = 0
    """Seed of weights and feature maps."""
    peers: tuple[str, ...] | None = None
    """Peers to compare with: escnn, e2cnn. Named peers must run; by default those that are installed."""
    kernel: bool = False
    """Use the kernel of orbitconv build-kernel for this library's layers; by default it is not used."""
    quick: bool = False
    """Small cases and few rounds: a check that everything runs, not a measurement."""
    out: Path | None = None
    """JSON file; a table and figures come beside it. runs/bench/MACHINE.json by default."""
    overwrite: bool = False
    """Replace a result that is there."""
    list: bool = False
    """List the cases and measure nothing."""

    def run(self) -> None:
        """Measure, write and print."""
        terminal = Terminal()
        if self.list:
            terminal.say("\n".join(case.name for case in self.chosen()))
            return
        settings = self.resolved()
        settings.chosen()
        path = settings.place()
        check_libraries()
        check_place(path, overwrite=self.overwrite)
        if (busy := load() or 0.0) > _BUSY:
            terminal.say(f"Note: the machine is busy (load {busy:g}); ratios will be noisy.")
        with terminal.progress() as progress:
            record = run_bench(settings, progress)
        record.write(path)
        write_report(record.as_dict(), path)
        for grid in grids(record.as_dict()):
            terminal.show(table(grid.title, grid.rows, *grid.header, left=grid.header[:1]))
        if skipped := record.extra["skipped"]:
            terminal.say(describe_skipped(skipped))
        terminal.say(
            f"Record: {path}   Page: {path.with_suffix('.md')}   Figures: {path.with_suffix('.png')} (and .svg)"
        )

    def resolved(self) -> "Bench":
        """These settings, validated, with "auto" replaced by a device."""
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

    def chosen(self) -> Sequence[Case]:
        """The cases that match the settings."""
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
        """Path of the record."""
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


def machine_name(device: torch.device) -> str:
    """A name for the machine, for file names."""
    facts = machine()
    if device.type == "cuda":
        return slug(str(facts["gpu"]))
    return f"{slug(str(facts['processor']))}-{facts['cores']}-cores"


def slug(name: str) -> str:
    """A name in small letters, digits and hyphens."""
    plain = re.sub(r"\(R\)|\(TM\)|\bCPU\b|\bProcessor\b|@.*", " ", name, flags=re.IGNORECASE)
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") or "unknown"


def load() -> float | None:
    """Load of the machine."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def check_place(path: Path, *, overwrite: bool) -> None:
    """Check before the work that a record can be written."""
    if path.suffix != ".json" or path.is_dir():
        raise ValueError(f"--out expects a file ending in .json, got {path}{', a folder' * path.is_dir()}.")
    for file in (path, *_beside(path)):
        check_replaceable(file, overwrite=overwrite)
    check_writable(path, "--out")


def write_report(record: Mapping[str, Any], path: Path) -> None:
    """Write the page and the figures of a record atomically, after all of them are drawn."""
    page, *pictures = _beside(path)
    files: dict[Path, str | bytes] = {page: markdown(record)}
    figures = [ratios_figure(record)] * 2 + [scaling_figure(record)] * 2
    for file, figure in zip(pictures, figures, strict=True):
        if figure is None:
            file.unlink(missing_ok=True)  # of a result that this one replaces
        else:
            files[file] = render(figure, file.suffix[1:])
    for file, content in files.items():
        write_atomically(file, content)


def _beside(path: Path) -> list[Path]:
    """Page, figure of ratios twice, figure of curves twice."""
    names = (".md", ".png", ".svg", "-scaling.png", "-scaling.svg")
    return [path.with_name(f"{path.stem}{name}") for name in names]
