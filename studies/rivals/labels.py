"""Few labels: the same networks, trained for equally many steps on smaller and smaller shares of the pictures."""

import time
from dataclasses import replace
from functools import partial

import orbitconv
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.nn.products import kernel
from orbitconv.records.record import Record, Row
from orbitconv.train import error_percent
from studies.base.journal import Journal
from studies.base.progress import named
from studies.base.settings import gathered
from studies.rivals.data import Pictures, labelled, load_pictures
from studies.rivals.measure import augmentation_of
from studies.rivals.rows import Rival, described, networks_on_groups, of_width
from studies.rivals.settings import Labels


def study_labels(config: Labels, progress: ProgressCallback = silent) -> Record:
    """Train and test every network on every share of the labels, seed by seed."""
    found = [
        load_pictures(name, config.train_images, config.test_images, config.side, config.data_dir, progress)
        for name in config.data
    ]
    networks = {pictures.name: _networks(config, pictures) for pictures in found}
    for pictures in found:
        for share in config.shares:
            labelled(pictures.train, share, 0, f"study labels on {pictures.name}")
    journal = Journal(config.out, config.fixed, overwrite=config.overwrite)
    journal.collect({
        f"{pictures.name}, {share:g}, {rival.name}, seed {seed}":
            partial(_work, config, pictures, rival, share, seed, progress)
        for seed in range(config.seeds) for pictures in found for share in config.shares
        for rival in networks[pictures.name]
    })  # fmt: skip
    return gathered(config, [row for rows in journal.done.values() for row in rows], journal.source)


def _networks(config: Labels, pictures: Pictures) -> list[Rival]:
    return [of_width(config, pictures, config.plain_width, "plain"), *networks_on_groups(config, pictures).values()]


def _work(
    config: Labels, pictures: Pictures, rival: Rival, share: float, seed: int, progress: ProgressCallback
) -> list[Row]:
    """Train one network on labels drawn with its seed, and test it once."""
    train = labelled(pictures.train, share, seed, f"study labels on {pictures.name}")
    count = len(train[1])
    batch = min(config.training.batch_size, count)
    epochs = max(1, round(config.steps / (count // batch)))
    name = f"{pictures.name}, {share:.0%} of the labels, {rival.name}, seed {seed}"
    start = time.process_time()
    network = orbitconv.fit(
        rival.builder(pictures), train, training=replace(config.training, epochs=epochs, batch_size=batch),
        augmentation=augmentation_of(pictures.kind), hardware=config.hardware, seed=seed,
        progress=named(progress, name),
    )  # fmt: skip
    return [{
        "table": "labels", **described(rival, pictures), "seed": seed, "train": pictures.name, "share": share,
        "labels": count, "epochs": epochs, "steps": epochs * (count // batch), "batch_size": batch,
        "seconds": round(time.process_time() - start, 1), "compiled_kernel": str(kernel.is_built()), "test": "rotated",
        "test_error_percent": round(error_percent(network.network, *pictures.test), 4),
    }]  # fmt: skip
