"""Every number of a report on runs, for programs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from orbitconv._support.json_text import without_nan
from orbitconv.evaluation.network_facts import measured_group
from orbitconv.records.record import commit, machine, versions
from orbitconv.report.grouping import Kind
from orbitconv.report.measure import LAYER_IMAGES, Measured
from orbitconv.report.outcome import Outcome
from orbitconv.report.runs import Run


def record_of(outcomes: Sequence[Outcome], command: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """All numbers, as JSON can hold them."""
    return {
        "study": "report",
        "command": command,
        "commit": commit(),
        "versions": versions(),
        "machine": machine(),
        "config": dict(settings),
        "data_sets": [
            {
                "data": outcome.data,
                "test_images": None if outcome.images is None else len(outcome.images),
                "layer_images": None if outcome.images is None else min(LAYER_IMAGES, len(outcome.images)),
                "classes": None if outcome.images is None else list(outcome.images.classes),
                "networks": [_kind(kind, outcome) for kind in outcome.kinds],
            }
            for outcome in outcomes
        ],
    }


def _kind(kind: Kind, outcome: Outcome) -> dict[str, Any]:
    """One kind of network: its runs, and what the first of them makes of the test images."""
    facts = {
        "name": kind.name,
        "settings": kind.settings,
        "differing": list(kind.differing),
        "runs": [_run(run, outcome.measured.get(run.folder)) for run in kind.runs],
    }
    if kind.name in outcome.own:
        own = outcome.own[kind.name]
        facts["judged_run"] = str(kind.finished[0].folder)
        facts |= {"classes": list(own.classes), "test_pictures": own.pictures, "figures": without_nan(own.found)}
    judged = outcome.judged.get(kind.name)
    if judged is not None:
        facts["judged_run"] = str(kind.finished[0].folder)
        facts["confusion"] = judged.confusion
        facts["confusion_at_random_angles"] = judged.confusion_turned
        facts["mistakes"] = [asdict(mistake) for mistake in judged.mistakes]
    return facts


def _run(run: Run, measured: Measured | None) -> dict[str, Any]:
    """One run: its epochs, and its tests if it is finished."""
    facts = {"folder": str(run.folder), "seed": run.config.seed, "finished": run.finished, "epochs": run.rows}
    if measured is None:
        return facts
    return facts | {
        "parameters": measured.parameters,
        "multiply_adds": measured.multiply_adds,
        "group": None if measured.group is None else measured.group.name,
        "error_percent": measured.error,
        "error_at_random_angles_percent": measured.random_error,
        "error_by_degrees_percent": {str(degrees): error for degrees, error in measured.by_angle.items()},
        "layer_group": measured_group(measured.group).name,
        "layer_errors": {
            name: [error if math.isfinite(error) else None for error in errors]
            for name, errors in measured.layers.items()
        },
    }
