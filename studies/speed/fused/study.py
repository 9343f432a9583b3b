"""`python -m studies bench-fused`."""

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from orbitconv._support.files import write_atomically
from orbitconv._support.progress import ProgressCallback
from orbitconv.cli.terminal import Terminal
from orbitconv.nn.products.kernel import is_built
from orbitconv.records.command import command_of, settings_of
from orbitconv.records.record import Provenance, Record, Row, machine
from studies.base.timing import Clock, Pace, interleave, ratios, spread, timed
from studies.speed.checks import check_error
from studies.speed.fused import layers, networks, runtimes
from studies.speed.fused.contender import Contender
from studies.speed.fused.page import markdown
from studies.speed.fused.roofline import rates
from studies.speed.memory import peak_bytes
from studies.speed.study import check_place, find_peers, load, machine_name

STUDY = "bench-fused"
PARTS = ("layers", "networks", "onnx", "memory", "scaling", "choice", "roofline")
_MOST = 4e-6
_CLOCKS: Mapping[str, Clock] = {"wall": time.perf_counter, "processor": time.process_time}


@dataclass(frozen=True, kw_only=True)
class BenchFused:
    """Time the compiled product: layers, whole networks here and in onnxruntime, memory, scaling, choice, roofline.

    All is checked in float64 first.
    """

    parts: tuple[str, ...] = PARTS
    """What to measure: layers, networks, onnx, memory, scaling, choice, roofline."""
    repeats: int = 9
    """Rounds; every system is read once in each, in turn."""
    seconds: float = 0.2
    """Least duration of one reading, in seconds."""
    threads: int = 2
    """Number of threads."""
    clock: Literal["wall", "processor"] = "wall"
    """Wall time, or processor time of all threads: what is left to compare on a busy machine, with one thread."""
    seed: int = 0
    """Seed of weights and feature maps."""
    out: Path | None = None
    """JSON file; a page comes beside it. runs/bench/MACHINE-fused.json by default."""
    overwrite: bool = False
    """Replace a result that is there."""
    keep: bool = False
    """Keep the other parts of an existing result, with their command and commit."""

    def run(self) -> None:
        """Measure, write and print."""
        if unknown := set(self.parts) - set(PARTS):
            raise ValueError(f"bench-fused expects parts out of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}.")
        if not is_built():
            raise ValueError("bench-fused found no kernel that can be used. Run orbitconv build-kernel first.")
        path = self.out or Path("runs", "bench", f"{machine_name(torch.device('cpu'))}-fused.json")
        check_place(path, overwrite=self.overwrite or self.keep)
        earlier = json.loads(path.read_text(encoding="utf-8")) if self.keep and path.exists() else None
        terminal, before = Terminal(), torch.get_num_threads()
        try:
            with terminal.progress() as progress:
                measure(self, progress, lambda record: _write(record, path, earlier))
        finally:
            torch.set_num_threads(before)
        terminal.say(f"Record: {path}   Page: {path.with_suffix('.md')}")


def _write(record: Record, path: Path, earlier: Mapping[str, Any] | None) -> None:
    """The record, merged with other parts of an earlier one, and its page."""
    if earlier is not None:
        tasks = {row["task"] for row in record.rows}
        kept = [row for row in earlier["rows"] if row["task"] not in tasks]
        extra = {**record.extra, "rates": record.extra["rates"] or earlier["rates"]}
        record = replace(
            record, command=f"{earlier['command']}; {record.command}", rows=record.rows + kept, extra=extra,
            source=Provenance.of(earlier) | record.source,
        )  # fmt: skip
    record.write(path)
    write_atomically(path.with_suffix(".md"), markdown(record.as_dict()))


def measure(settings: BenchFused, progress: ProgressCallback, keep: Callable[[Record], None]) -> Record:
    """Run all parts of the benchmark; results are written after each case."""
    torch.set_num_threads(settings.threads)
    peers, skipped = find_peers(None)
    record = Record(
        study=STUDY,
        command=command_of(f"python -m studies {STUDY}", settings, STUDY).rpartition(" --results ")[0],
        config=settings_of(settings),
        extra={"machine": machine(), "load_before": load(), "load_after": None, "skipped": skipped, "rates": []},
    )
    jobs = list(_jobs(settings, peers, record))
    for done, (words, job) in enumerate(jobs):
        progress(f"measure | {words}", done, len(jobs))
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            job()
        record.extra["load_after"] = load()
        keep(record)
    progress("measure", len(jobs), len(jobs))
    return record


Job = tuple[str, Callable[[], None]]


def _jobs(settings: BenchFused, peers: Collection[str], record: Record) -> Sequence[Job]:
    found: list[Job] = []

    def add(part: str, words: str, job: Callable[[], None]) -> None:
        if part in settings.parts:
            found.append((words, job))

    for case in layers.LAYERS:
        add("layers", case.words, lambda c=case: _compare(
            settings, record, "training step of a layer", c.words, layers.contenders(c, peers, settings.seed), c.goal
        ))  # fmt: skip
    for network in networks.NETWORKS:
        for task, goal in (("inference", network.inference), ("training", network.training)):
            add("networks", f"{task}: {network.words}", lambda n=network, t=task, g=goal: _compare(
                settings, record, f"{t} of a network", n.words, networks.contenders(n, t, peers, settings.seed), g
            ))  # fmt: skip
    for network in networks.NETWORKS:
        add("onnx", f"onnxruntime: {network.words}", lambda n=network: _compare(
            settings, record, "inference of a network in onnxruntime", n.words,
            runtimes.contenders(n, settings.seed), None, most=1e-4,
        ))  # fmt: skip
    for case in layers.LAYERS[:4]:
        add("memory", f"memory: {case.words}", lambda c=case: _weigh(
            record, "peak memory of a training step", c.words, layers.contenders(c, (), settings.seed), c.memory
        ))  # fmt: skip
    for network in networks.NETWORKS:
        add("memory", f"memory: {network.words}", lambda n=network: _weigh(
            record, "peak memory of a training step of a network", n.words,
            networks.contenders(n, "training", peers, settings.seed), None,
        ))  # fmt: skip
    for case in layers.SIZES:
        add("scaling", case.words, lambda c=case: _compare(
            settings, record, "training step of a layer, further sizes", c.words,
            layers.contenders(c, (), settings.seed), None,
        ))  # fmt: skip
    for threads in range(1, settings.threads + 1) if "scaling" in settings.parts else ():
        add("scaling", f"{threads} threads", lambda t=threads: _scale(settings, record, t))
    for case in layers.LAYERS + layers.SIZES:
        add("choice", f"choice: {case.words}", lambda c=case: _compare(
            replace(settings, seconds=settings.seconds / 4), record, "training step of a layer, by each product",
            c.words, layers.products(c, settings.seed), None,
        ))  # fmt: skip
    add("roofline", "roofline", lambda: _rate(settings, record))
    return found


def _compare(
    settings: BenchFused, record: Record, task: str, case: str, members: Mapping[str, Contender], goal: float | None,
    most: float = _MOST,
) -> None:  # fmt: skip
    """Time contenders in turns; the first is the reference of the ratios."""
    pace = Pace(repeats=settings.repeats, block_seconds=settings.seconds, budget_seconds=60)
    readings, reference = {}, next(iter(members))
    for name, member in members.items():
        if member.error is not None:
            check_error(name, member.error, most)
        readings[name], _ = timed(member.step, pace, lambda: None, _CLOCKS[settings.clock])
    values = interleave(readings, pace)
    for name, member in members.items():
        amount, ratio = spread(values[name]), spread(ratios(values[name], values[reference]))
        row: Row = {
            "task": task, "case": case, "subject": name, "reference": reference, "threads": torch.get_num_threads(),
            "unit": "seconds", "median": amount.median, "ratio": ratio.median, "ratio_low": ratio.low,
            "ratio_high": ratio.high, "images_per_second": member.images / amount.median,
            "goal": goal if name == "orbitconv" else None, "repeats": len(values[name]), "error": member.error,
            "note": member.note,
        }  # fmt: skip
        record.rows.append(_short(row))


def _weigh(record: Record, task: str, case: str, members: Mapping[str, Contender], goal: float | None) -> None:
    """Peak memory of a step; the first contender is the reference of the ratios."""
    found, reference = {}, next(iter(members))
    for name, member in members.items():
        member.step()
        member.forget()
        found[name] = peak_bytes(member.work, member.resident(), torch.device("cpu"))
    for name, size in found.items():
        ratio = size / found[reference]
        record.rows.append(_short({
            "task": task, "case": case, "subject": name, "reference": reference,
            "threads": torch.get_num_threads(), "unit": "bytes", "median": float(size), "ratio": ratio,
            "ratio_low": ratio, "ratio_high": ratio, "images_per_second": None,
            "goal": goal if name == "orbitconv" else None, "repeats": 1, "error": None, "note": "",
        }))  # fmt: skip


def _scale(settings: BenchFused, record: Record, threads: int) -> None:
    """The first layer on fewer threads."""
    torch.set_num_threads(threads)
    try:
        case = layers.LAYERS[0]
        members = layers.contenders(case, (), settings.seed)
        _compare(settings, record, f"training step of a layer, {threads} threads", case.words, members, None)
    finally:
        torch.set_num_threads(settings.threads)


def _rate(settings: BenchFused, record: Record) -> None:
    pace = Pace(repeats=settings.repeats, block_seconds=settings.seconds, budget_seconds=60)
    work = rates(layers.LAYERS[:4])
    clock = _CLOCKS[settings.clock]
    values = interleave({name: timed(rate.run, pace, lambda: None, clock)[0] for name, rate in work.items()}, pace)
    for name, rate in work.items():
        seconds = spread(values[name]).median
        record.extra["rates"].append(_short({
            "what": name, "multiply_adds_per_second": rate.multiply_adds / seconds,
            "dense_multiply_adds_per_second": rate.dense / seconds, "bytes_per_second": rate.bytes / seconds,
        }))  # fmt: skip


def _short(row: dict[str, Any]) -> Row:
    """Round to four digits, below the noise."""
    return {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in row.items()}
