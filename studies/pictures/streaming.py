"""Memory and speed of training on more pictures than fit into memory, compared with data in memory."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tifffile
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

import orbitconv
from orbitconv._support.checks import check_positive
from orbitconv._support.folders import to_json
from orbitconv.data import PictureFolder
from orbitconv.data.formats import Picture
from orbitconv.models import build_model
from orbitconv.records.command import command_of, settings_of
from orbitconv.records.record import Record
from orbitconv.train import Hardware, Training
from orbitconv.train.fitting import Data

_CLASSES = ("dark", "light")


@dataclass(frozen=True, kw_only=True)
class Streaming:
    """Train on windows of generated 16-bit pictures: from their files, from a cache of decoded ones, and from memory.

    Each round is a process of its own, one of each in turns. Memory is the resident size of the process and of those
    that read for it, added up, so that pages that they share count for each.
    """

    pictures: int = 5000
    """Pictures to train on."""
    distinct: int = 500
    """Pictures that differ; the others are further names (hard links) of the same files, so that all fit into memory
    for the comparison."""
    side: int = 1024
    """Side of the pictures, in pixels; they have three channels of 16 bits."""
    window: int = 64
    """Side of the windows to train on, in pixels."""
    workers: int = 1
    """Processes that read pictures, in both cases."""
    cached: bool = True
    """Also read from a cache of decoded pictures, made before timing and as large as the pictures."""
    rounds: int = 3
    """Epochs of each kind."""
    folder: Path | None = None
    """Folder where the pictures are written, and deleted afterwards; by default the folder for temporary files."""
    results: Path | None = None
    """Write the record to this JSON file too."""

    def __post_init__(self) -> None:
        check_positive("streaming", pictures=self.pictures, distinct=self.distinct, window=self.window)
        check_positive("streaming", side=self.side, rounds=self.rounds)
        if self.window > self.side:
            raise ValueError(f"streaming expects a window of at most {self.side} pixels, got {self.window}.")

    def run(self) -> None:
        """Generate, measure, remove, and print."""
        with tempfile.TemporaryDirectory(dir=self.folder) as root:
            generate(Path(root), self)
            kinds = ("files", "cache", "memory") if self.cached else ("files", "memory")
            found: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
            for done in range(self.rounds):
                for kind in sorted(found, reverse=done % 2 == 1):
                    found[kind].append(_in_a_process(kind, Path(root), self))
        record = self.record(found)
        if self.results is not None:
            record.write(self.results)
        sys.stdout.write(to_json(record.as_dict()))

    def record(self, found: Mapping[str, Sequence[Mapping[str, float]]]) -> Record:
        """The record of all rounds, by the place that pictures come from: a row for each round, and the medians."""
        return Record(
            study="streaming",
            command=command_of("python -m studies streaming", self, "streaming"),
            config=settings_of(self),
            rows=[{"pictures": kind, "round": i, **one} for kind in found for i, one in enumerate(found[kind])],
            extra={
                "gigabytes_of_pictures": 6 * self.side**2 * self.pictures / 1e9,
                "summary": [
                    {
                        "pictures": kind,
                        "resident_gigabytes": max(one["resident_gigabytes"] for one in rounds),
                        "images_per_second": statistics.median(one["images_per_second"] for one in rounds),
                        "speed_over_memory": statistics.median(
                            one["images_per_second"] / memory["images_per_second"]
                            for one, memory in zip(rounds, found["memory"], strict=True)
                        ),
                    }
                    for kind, rounds in found.items()
                ],
            },
        )


def generate(root: Path, config: Streaming) -> None:
    """Noise around two levels, in two class folders, as TIFF without compression."""
    draws = np.random.default_rng(0)
    shape = (config.side, config.side, 3)
    noise = draws.integers(0, 1 << 14, (config.side + 64, config.side + 64, 3), dtype=np.uint16)
    for kind in _CLASSES:
        (root / "train" / kind).mkdir(parents=True)
    for number in range(config.pictures):
        kind = number % len(_CLASSES)
        path = root / "train" / _CLASSES[kind] / f"{number}.tif"
        if number < config.distinct:
            down, right = draws.integers(0, 64, 2)
            pixels = noise[down : down + config.side, right : right + config.side] + (number % 997) + 5000 * kind
            tifffile.imwrite(path, pixels.reshape(shape).astype(np.uint16), photometric="rgb")
        else:
            same = number % (config.distinct - config.distinct % len(_CLASSES) or 1)
            os.link(root / "train" / _CLASSES[kind] / f"{same}.tif", path)


class InMemory(Dataset[tuple[Tensor, Tensor]]):
    """The same pictures as arrays in memory, cut to windows and scaled alike."""

    def __init__(self, data: PictureFolder) -> None:
        self._scaling, self._side = data.scaling, data.train.window or 0
        files = [item.path.stat().st_ino for item in data.train.items]
        self._pictures: dict[int, Picture] = {}
        for place, file in enumerate(files):
            if file not in self._pictures:
                picture = data.train.picture(place)
                self._pictures[file] = replace(picture, pixels=np.array(picture.pixels))
        self._items = list(zip(files, data.train.labels, strict=True))

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[Float[Tensor, "c h w"], Tensor]:
        file, label = self._items[index]
        picture = self._pictures[file]
        down, right = (int(torch.randint(length - self._side + 1, ())) for length in picture.pixels.shape[1:])
        window = picture.pixels[:, down : down + self._side, right : right + self._side]
        return self._scaling.floats(replace(picture, pixels=window)), label


def train_one_epoch(kind: str, root: Path, window: int, workers: int, batch_size: int = 32) -> dict[str, float]:
    """Images per second, and the largest resident size of this process and its readers, in gigabytes."""
    cache = root / "cache" if kind == "cache" else None
    found = orbitconv.data.folder(root, window=window, check="headers", cache=cache)
    data: Data = InMemory(found) if kind == "memory" else found
    network = build_model("small", "spectral-c8-k3", plain_width=8, num_classes=len(_CLASSES), in_channels=3)
    with _resident_size() as sizes:
        made = orbitconv.fit(
            network,
            data,
            training=Training(epochs=1, batch_size=batch_size),
            hardware=Hardware(device="cpu", workers=workers),
        )
    return {"images_per_second": float(made.rows[-1]["images_per_second"]), "resident_gigabytes": max(sizes) / 1e9}


@contextmanager
def _resident_size() -> Iterator[list[int]]:
    """Resident bytes of this process and its children, sampled every tenth of a second."""
    sizes, done = list[int](), threading.Event()
    me = os.getpid()

    def look() -> None:
        while not done.wait(0.1 if sizes else 0):
            children = {
                int(one) for task in Path(f"/proc/{me}/task").iterdir()
                for one in (task / "children").read_text().split()
            }  # fmt: skip
            sizes.append(sum(map(_resident, {me, *children})))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield sizes
    finally:
        done.set()
        watcher.join()


def _resident(process: int) -> int:
    """Resident bytes of a process; zero if it has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _in_a_process(kind: str, root: Path, config: Streaming) -> dict[str, float]:
    words = [kind, str(root), str(config.window), str(config.workers)]
    command = [sys.executable, "-m", "studies.pictures.streaming", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ChildProcessError(f"The epoch from {kind} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return json.loads(done.stdout)


if __name__ == "__main__":
    torch.set_num_threads(1)
    kind, root, window, workers = sys.argv[1:]
    measured = train_one_epoch(kind, Path(root), int(window), int(workers))
    sys.stdout.write(json.dumps(measured))
