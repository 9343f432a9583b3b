"""Everything that is measured on the runs of one data set."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from orbitconv._support.progress import ProgressCallback
from orbitconv.data import ImageSet, rotated
from orbitconv.data.rotation import TEST_SEED
from orbitconv.report.figures import looks_of
from orbitconv.report.grouping import BASIS, Kind, final_errors
from orbitconv.report.measure import Measured, Tested, measure_networks, steps
from orbitconv.report.mistakes import Judgement, judge
from orbitconv.report.own_pictures import OwnFigures, measure_own
from orbitconv.report.runs import Run
from orbitconv.train import load_trained
from orbitconv.train.datasets import is_path, is_turned, load_split

MISTAKES = 12
"""Mistakes that are shown of each kind."""


@dataclass(kw_only=True)
class Outcome:
    """The runs on one data set, with the test results of those that are finished, by folder.

    The first finished network of each kind, and its predictions on the test images, are there by the name of the kind;
    of pictures of one's own, `own` takes the place of `images` and `judged`.
    """

    data: str
    kinds: list[Kind]
    images: ImageSet | None = None
    measured: dict[Path, Measured] = field(default_factory=dict)
    networks: dict[str, nn.Module] = field(default_factory=dict)
    judged: dict[str, Judgement] = field(default_factory=dict)
    own: dict[str, OwnFigures] = field(default_factory=dict)

    @property
    def turned_already(self) -> bool:
        """Whether the images of the data set are turned, so that turning them once more would test something else."""
        return is_turned(self.data)

    @property
    def runs(self) -> list[Run]:
        """All runs."""
        return [run for kind in self.kinds for run in kind.runs]

    @property
    def tested(self) -> list[Tested]:
        """The kinds of networks with their test results."""
        looks = looks_of([kind.settings[BASIS] == "plain" for kind in self.kinds])
        return [
            Tested(
                name=kind.name,
                look=look,
                measured=self.of(kind),
                errors=final_errors(kind),
                seconds=[sum(float(row.get("seconds", 0)) for row in run.rows) for run in kind.finished],
                network=self.networks.get(kind.name),
            )
            for kind, look in zip(self.kinds, looks, strict=True)
        ]

    def of(self, kind: Kind) -> list[Measured]:
        """What was measured on the finished runs of a kind."""
        return [self.measured[run.folder] for run in kind.finished if run.folder in self.measured]


def run_tests(
    data: str,
    kinds: list[Kind],
    *,
    test_images: int,
    degrees: Sequence[int],
    data_dir: Path | None,
    device: torch.device,
    progress: ProgressCallback,
) -> Outcome:
    """Test every finished run on one data set, on the first of the test images.

    Turns are in degrees; pictures of one's own are turned by those up to 90.
    """
    if is_path(data):
        return _own_tests(data, kinds, test_images, degrees, device, progress)
    outcome = Outcome(data=data, kinds=kinds)
    runs = [run for kind in kinds for run in kind.finished]
    if not runs:
        return outcome
    test = load_split(data, "test", data_dir, progress)
    images = outcome.images = test.take(min(test_images, len(test))).to(device)
    networks = [load_trained(run.folder)[0].to(device) for run in runs]
    angles = () if outcome.turned_already else tuple(degrees)
    what, done, total = f"test on {data}", 0, steps(len(runs), len(angles))
    progress(what, done, total)

    def step() -> None:
        nonlocal done
        done += 1
        progress(what, done, total)

    results = measure_networks(networks, images, angles, step)
    outcome.measured = {run.folder: result for run, result in zip(runs, results, strict=True)}
    turned = rotated(images, TEST_SEED).images if angles else None
    by_folder = {run.folder: network for run, network in zip(runs, networks, strict=True)}
    for kind in kinds:
        if kind.finished:
            network = outcome.networks[kind.name] = by_folder[kind.finished[0].folder]
            outcome.judged[kind.name] = judge(network, images, turned, MISTAKES)
    return outcome


def _own_tests(
    data: str, kinds: list[Kind], test_images: int, degrees: Sequence[int], device: torch.device,
    progress: ProgressCallback,
) -> Outcome:  # fmt: skip
    """Test every finished run on pictures of one's own."""
    outcome = Outcome(data=data, kinds=kinds)
    angles = [one for one in degrees if one <= 90]
    where = "cuda" if device.type == "cuda" else "cpu"
    for kind in kinds:
        for run in kind.finished:
            trained, measured, figures = measure_own(run, test_images, angles, where, progress)
            outcome.measured[run.folder] = measured
            outcome.networks.setdefault(kind.name, trained.network)
            outcome.own.setdefault(kind.name, figures)
    return outcome
