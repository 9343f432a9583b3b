"""Nuclei in microscope images: U-Nets in one pass, and a plain one averaged over eight rotated and mirrored copies."""

import statistics
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

import orbitconv
from orbitconv import Builder
from orbitconv._support.checks import check_positive
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.data import PictureFolder
from orbitconv.models import count_multiply_adds, count_parameters
from orbitconv.records.record import Record, Row
from orbitconv.train import TrainedNetwork, Training
from studies.base.journal import Journal
from studies.base.settings import gathered
from studies.base.timing import Pace, interleave, seconds_of
from studies.pictures.settings import PictureStudy, Subject, compared
from studies.pictures.training import trained

_VALIDATION = 0.2


@dataclass(frozen=True, kw_only=True)
class Nuclei(PictureStudy):
    """Train U-Nets to find nuclei, and test each on whole pictures in one pass, the plain one in eight passes too.

    A stopped study resumes; later calls may add seeds.
    """

    study: ClassVar[str] = "nuclei"
    out: Path = Path("runs/nuclei")
    bases: tuple[str, ...] = ("exact-d4-k3", "spectral-c8-k3")
    """Bases of 3x3 kernels; the plain network is trained in any case."""
    plain_width: int = 6
    """Channels of the finest scale of the plain network; all others get widths that make them as large."""
    depth: int = 3
    """Number of times the planes are halved."""
    window: int = 64
    """Side of the windows that training pictures are cut to, in pixels."""
    training: Training = field(
        default_factory=lambda: Training(epochs=30, batch_size=8, learning_rate=1e-2, weight_decay=1e-2)
    )
    timed_side: int = 256
    """Side of the timed pictures, in pixels."""
    validation: bool = False
    """Test on a part of the training pictures, held out, to choose settings without the test set."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("study nuclei", depth=self.depth, window=self.window, timed_side=self.timed_side)


class EightPasses(nn.Module):
    """The mean of what a network says about the eight turned and mirrored copies of a picture, turned back.

    Shapes:
        (batch, channels, height, width) -> (batch, classes, height, width), logarithms of the mean probabilities
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Transform, evaluate, transform back, and average."""
        said = []
        for mirrored in (False, True):
            for quarters in range(4):
                copy = torch.rot90(x.flip(-1) if mirrored else x, quarters, (-2, -1))
                back = torch.rot90(self.network(copy).softmax(1), -quarters, (-2, -1))
                said.append(back.flip(-1) if mirrored else back)
        return torch.stack(said).mean(0).log()


def study_nuclei(config: Nuclei, progress: ProgressCallback = silent) -> Record:
    """Train and test every network, seed by seed, then time them on one picture."""
    _ = config.pictures  # refused before a folder is made
    journal = Journal(config.out, config.fixed, overwrite=config.overwrite, also=("networks", "decoded"))
    data = pictures(config, progress)
    subjects = compared(config)
    milliseconds = {
        (row["network"], row["passes"]): row["picture_ms"]
        for row in journal.rows("time of a picture", partial(_time, config, subjects, data, progress))
    }
    parts = {
        f"{one.name}, seed {seed}": partial(_work, config, one, seed, data, progress)
        for seed in range(config.seeds) for one in subjects
    }  # fmt: skip
    done = [row for rows in journal.collect(parts).values() for row in rows]
    timed = ({**row, "picture_ms": milliseconds[row["network"], row["passes"]]} for row in done)
    return gathered(config, timed, journal.source)


def pictures(config: Nuclei, progress: ProgressCallback = silent) -> PictureFolder:
    """Windows of pictures to train on, decoded once, and whole pictures to test on."""
    share = _VALIDATION if config.validation else None
    found = orbitconv.data.folder(
        config.pictures, channels=3, objects=True, window=config.window, val_share=share,
        cache=config.out / "decoded", progress=progress,
    )  # fmt: skip
    return replace(found, test=None) if config.validation else found


def _builder(config: Nuclei, subject: Subject, data: PictureFolder) -> Builder:
    return Builder("orbitconv.models:build_model", {
        "name": "unet", "basis": subject.basis, "plain_width": subject.plain_width, "depth": config.depth,
        "out_channels": len(data.classes), "in_channels": data.channels,
    })  # fmt: skip


def _work(config: Nuclei, subject: Subject, seed: int, data: PictureFolder, progress: ProgressCallback) -> list[Row]:
    """Train one network, and test it in one pass; the plain one in eight too."""
    network, seconds = trained(
        subject.name, seed, _builder(config, subject, data), replace(data, test=None, val=None), config.out,
        config.plan(subject.epochs), progress,
    )  # fmt: skip
    columns: Row = {
        "network": subject.name, "family": subject.family, "group": subject.group, "kernel": 3, "seed": seed,
        "train": "nuclei", "test": "validation" if config.validation else "upright", "epochs": subject.epochs,
        "parameters": count_parameters(network.network),
        "multiply_adds": count_multiply_adds(network.network, (data.channels, config.timed_side, config.timed_side)),
        "seconds": seconds,
    }  # fmt: skip
    rows = [{**columns, "passes": 1, **_figures(network, data)}]
    if subject.basis is None:
        rows.append({**columns, "passes": 8, **_figures(replace(network, network=EightPasses(network.network)), data)})
    return rows


def _figures(network: TrainedNetwork, data: PictureFolder) -> Row:
    """Dice of the nuclei over all pixels, F1 of nuclei that were found, and 1 less the mean IoU."""
    found = orbitconv.evaluate(network, data)
    return {
        "test_error_percent": found["error_percent"], "dice": found["dice"][1],
        **{f"f1_{round(100 * float(iou))}": value for iou, value in found["object_f1"].items()},
    }  # fmt: skip


def _time(config: Nuclei, subjects: list[Subject], data: PictureFolder, progress: ProgressCallback) -> list[Row]:
    """Median processor time of one square picture, in milliseconds; weights do not matter."""
    picture = torch.rand(1, data.channels, config.timed_side, config.timed_side)
    networks: dict[tuple[str, int], nn.Module] = {}
    for one in subjects:
        networks[one.name, 1] = _builder(config, one, data).build().eval()
        if one.basis is None:
            networks[one.name, 8] = EightPasses(networks[one.name, 1]).eval()
    readings = {
        f"{name}, {passes}": partial(seconds_of, partial(network, picture), time.process_time)
        for (name, passes), network in networks.items()
    }
    with torch.no_grad():
        for reading in readings.values():
            reading()  # warms up
        seconds = interleave(
            readings, Pace(repeats=config.rounds, budget_seconds=600),
            on_round=lambda done: progress("time of a picture", done, config.rounds),
        )  # fmt: skip
    medians = {key: 1e3 * statistics.median(seconds[f"{key[0]}, {key[1]}"]) for key in networks}
    return [{"network": name, "passes": n, "picture_ms": round(ms, 1)} for (name, n), ms in medians.items()]
