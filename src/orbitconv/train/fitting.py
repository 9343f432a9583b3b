"""Training in one line: any network, on any images."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from orbitconv._support.progress import ProgressCallback, shown_progress, silent
from orbitconv.data import ImageSet, PictureFolder, folder
from orbitconv.records.metric_lines import Row
from orbitconv.train.builder import Builder
from orbitconv.train.config import Network, TrainConfig
from orbitconv.train.epoch_lines import epoch_lines
from orbitconv.train.examples import Examples, Source
from orbitconv.train.in_memory import train_examples
from orbitconv.train.networks import TrainedNetwork
from orbitconv.train.prepared import Balance, Prepared, from_folder, from_image_sets
from orbitconv.train.segmentation import Segmentation
from orbitconv.train.settings import Augmentation, Hardware, Pictures, Plan, Training
from orbitconv.train.streamed import Loaded, Streamed
from orbitconv.train.task import Classification, MultiLabel, Task

Data = PictureFolder | ImageSet | Path | str | tuple[Tensor, Tensor] | DataLoader[Any] | Dataset[Any]


def fit(
    model: nn.Module | Builder,
    data: Data,
    *,
    epochs: int = 10,
    batch_size: int = 64,
    learning_rate: float = 5e-3,
    test: Data | None = None,
    task: Task | None = None,
    classes: tuple[str, ...] | None = None,
    augmentation: Augmentation | None = None,
    balance: Balance = "none",
    training: Training | None = None,
    hardware: Hardware | None = None,
    builder: Builder | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    resume: bool = False,
    progress: ProgressCallback | None = None,
    on_epoch: Callable[[Row], bool] | None = None,
) -> TrainedNetwork:
    """Train a network in place.

    Args:
        model: Any module that takes images (batch, channels, height, width) and gives scores (batch, classes), for
            masks (batch, classes, height, width); or what builds it, which lets the result be saved.
        data: What `orbitconv.data.folder` gives, or its path; images and labels as tensors; a `Dataset` or a
            `DataLoader` of (image, label).
        epochs: Passes over the training images.
        batch_size: Images in each step, over all processes; that of a `DataLoader` if one is given.
        learning_rate: Highest learning rate of the schedule.
        test: What to test on after each epoch; a folder brings its own.
        task: What is learned; found from the labels by default.
        classes: Names of the classes; those of the folder, or their numbers, by default.
        augmentation: How training images are altered; not at all by default.
        balance: Whether rare classes of a folder count as much as frequent ones: by weights or by sampling.
        training: All about the optimizer, in place of epochs, batch size and learning rate.
        hardware: What to compute on.
        builder: What builds the network, so that the result can be saved; for a network that `orbitconv.convert` made,
            what builds the plain one, which is known if that came from `orbitconv.load_network`.
        seed: Seed of the order of the images and of all that is drawn.
        out: Folder for lines and checkpoints; None to keep nothing.
        resume: Resume the training in the folder.
        progress: Called after every step. None shows a bar on the terminal after two seconds, or where standard error
            is no terminal, a line for each epoch; `orbitconv.data.silent` shows nothing.
        on_epoch: Called with the line of every epoch; true ends the training after it.

    Returns:
        The network with all that is known of it: class names, task, scaling of pixels; `.network` is the module, and
        `.rows` has a line for each epoch.

    Raises:
        TypeError: If the data are of another kind.
        ValueError: If the images do not suffice for a batch, the labels are not of one task, or the builder builds
            another network.
    """
    if isinstance(model, Builder):
        builder = model
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = builder.build((builder.function.partition(":")[0],))
    else:
        if builder is None and getattr(model, "conversion", None) is not None:
            builder = getattr(model, "builder", None)
        builder = None if builder is None else builder.of(model)
    if isinstance(data, DataLoader):
        batch_size = data.batch_size or batch_size
    hardware = hardware or Hardware()
    training = training or Training(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    plan = Plan(training=training, augmentation=augmentation or Augmentation(), hardware=hardware, seed=seed)
    with shown_progress(progress) as report:
        ready = prepared(data, task, balance, training.label_smoothing, hardware.workers, report)
        ready = replace(ready, classes=ready.classes if classes is None else classes)
        tests = dict(ready.tests)
        if test is not None:
            given = prepared(test, ready.task, progress=report)
            tests = {"test": given.tests.get("test", given.train)}
        if progress is None and report is silent:
            on_epoch = epoch_lines(training.epochs, on_epoch)
        rows = train_examples(
            model, ready.train, plan, tests=tests, task=ready.task, out=None if out is None else Path(out),
            resume=resume, progress=report, on_epoch=on_epoch,
        )  # fmt: skip
    config = TrainConfig(
        data="" if ready.pictures is None else str(ready.pictures.found.root), seed=seed,
        network=Network(model="", basis="none" if builder is None else builder.basis),
        training=training, augmentation=plan.augmentation, hardware=plan.hardware, pictures=_settings(ready.pictures),
    )  # fmt: skip
    return TrainedNetwork(
        network=model.eval(), config=config, classes=ready.classes, in_channels=ready.channels,
        image_size=ready.image_size, task=ready.task, scaling=ready.scaling, builder=builder, rows=tuple(rows),
    )  # fmt: skip


def prepared(
    data: Data,
    task: Task | None = None,
    balance: Balance = "none",
    label_smoothing: float = 0.0,
    workers: int = 0,
    progress: ProgressCallback = silent,
) -> Prepared:
    """Data of any kind, ready for a training or a test."""
    if isinstance(data, str | Path):
        data = folder(data, progress=progress)
    if isinstance(data, PictureFolder):
        ready = from_folder(
            data, balance=balance, label_smoothing=label_smoothing, workers=workers, progress=progress
        )  # fmt: skip
        return ready if task is None else replace(ready, task=task)
    if balance != "none":
        raise ValueError("fit balances the classes of a folder. Give a task with class_weights, or a sampler.")
    if isinstance(data, ImageSet):
        return from_image_sets(data, {}, task or Classification(label_smoothing))
    source: Source
    if isinstance(data, tuple):
        source = Examples(*data)
        image, label = data[0][:1], data[1]
    elif isinstance(data, DataLoader):
        source = Loaded(loader=data)
        image, label = next(iter(data))
    elif isinstance(data, Dataset):
        source = Streamed(data=data, workers=workers)
        first: Any = data[0]
        image, label = first[0][None], torch.as_tensor(first[1])[None]
    else:
        raise TypeError(
            f"fit expects a folder of pictures, two tensors, a Dataset or a DataLoader, got {type(data).__name__}."
        )
    found = task or _task_of(label, label_smoothing)
    count = int(label.max()) + 1 if isinstance(data, tuple) and isinstance(found, Classification) else 0
    size = (image.shape[-2], image.shape[-1])
    return Prepared(
        train=source, task=found, classes=tuple(map(str, range(count))), channels=image.shape[1], image_size=size
    )


def _settings(found: PictureFolder | None) -> Pictures:
    """How pictures became images, as far as prediction has to know it."""
    if found is None:
        return Pictures()
    return Pictures(window=found.train.window, pages=found.train.pages, channels=found.channels)


def _task_of(labels: Tensor, label_smoothing: float) -> Task:
    """The task that labels of this shape and type suggest."""
    if labels.ndim == 1 and not labels.is_floating_point():
        return Classification(label_smoothing)
    if labels.ndim == 2 and labels.is_floating_point():
        return MultiLabel()
    if labels.ndim == 3 and not labels.is_floating_point():
        return Segmentation()
    raise ValueError(
        "fit expects labels as an integer for each image, a float of 0 or 1 for each class, or a mask of integers for "
        f"each image, got {labels.dtype} of shape {tuple(labels.shape)}."
    )
