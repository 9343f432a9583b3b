"""One network trained from its settings into a folder."""

from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from orbitconv._support.checks import check_positive
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.data import ImageSet
from orbitconv.models import count_parameters
from orbitconv.records.metric_lines import Row
from orbitconv.records.run_folder import CONFIG, RunFolder
from orbitconv.train.config import TrainConfig, merge, read_config
from orbitconv.train.datasets import is_path, load_split
from orbitconv.train.engine.loop import Loop
from orbitconv.train.engine.processes import launched
from orbitconv.train.engine.state import Weights, tested_weights, weights_of
from orbitconv.train.examples import Examples
from orbitconv.train.networks import check_network, described, starting_network, write_trained
from orbitconv.train.prepared import (
    Prepared,
    as_unet,
    from_folder,
    from_image_sets,
    open_folder,
    record_split,
    task_named,
)
from orbitconv.train.task import Classification

_FEW_STEPS = 10
"""Steps of an epoch below which a smaller batch is recommended."""


@dataclass(frozen=True, kw_only=True)
class TrainNetwork(TrainConfig):
    """Settings of a training and where it goes."""

    out: Path = Path("runs/train")
    """Folder of the training: settings, a line for each epoch, checkpoints, and at the end model.safetensors."""
    resume: bool = False
    """Resume the training in the folder from its last checkpoint, with its settings where none are given; in an empty
    folder a new training begins."""
    config: Path | None = None
    """JSON file of settings, such as the config.json of another training; command-line options take precedence. When a
    folder is resumed, its settings must agree with the file."""
    data_dir: Path | None = None
    """Folder with the data sets; by default ORBITCONV_DATA, then the user's cache, then a download."""
    cache: Path | None = None
    """Decode your pictures once into this folder, for pictures that are slow to read or larger than memory."""
    checkpoint_every: int | None = None
    """Steps between two checkpoints, beside the one after each epoch."""
    tensorboard: bool = False
    """Write TensorBoard event files too."""
    trust: tuple[str, ...] = ()
    """Packages that the file of a network to begin with may call to build it."""

    def __post_init__(self) -> None:
        if self.checkpoint_every is not None:
            check_positive("TrainNetwork", checkpoint_every=self.checkpoint_every)

    def show(self, words: str) -> None:
        """Report what is worth knowing before training begins, such as what a folder of pictures holds.

        Ignored here.
        """

    def complete(self) -> TrainConfig:
        """The settings, checked, as given, else from a file of settings or from the folder to resume."""
        config = self.given()
        if (saved := self.saved()) is not None:
            config = merge(config, saved)
        config.check()
        return config

    def given(self) -> TrainConfig:
        """What the result depends on, as given."""
        return TrainConfig(**{one.name: getattr(self, one.name) for one in fields(TrainConfig)})

    def saved(self) -> TrainConfig | None:
        """Settings that replace fields left at their defaults, if there are some.

        What the file of settings names, and for the rest what the training to resume began with.

        Raises:
            OSError: If a file cannot be read.
            ValueError: If one holds no settings of a training.
        """
        begun = self.out / CONFIG
        saved = read_config(begun) if self.resume and begun.exists() else None
        return saved if self.config is None else read_config(self.config, saved)


@dataclass(frozen=True, kw_only=True)
class WholeTraining(TrainNetwork):
    """Settings of a training in which defaults count as given, also on resume."""

    def complete(self) -> TrainConfig:
        """What the result depends on, checked."""
        config = self.given()
        config.check()
        return config


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The result of a training.

    Args:
        config: Settings.
        rows: One line for each epoch.
        parameters: Number of weights.
        path: The network as a file.
    """

    config: TrainConfig
    rows: list[Row]
    parameters: int
    path: Path


def train_network(settings: TrainNetwork, progress: ProgressCallback = silent) -> Trained:
    """Train one network into a folder, or resume a stopped training.

    Args:
        settings: What to train, how, and where.
        progress: Progress callback, in process 0.

    Returns:
        The lines of all epochs, and the file of the network.

    Raises:
        FileExistsError: If the folder is not empty and the training in it is not to be resumed.
        FloatingPointError: If the loss is NaN or infinite; the last checkpoint stays, with its network as
            `last.safetensors`.
        KeyboardInterrupt: After Ctrl-C, once a checkpoint is written, or the network if it was done.
        MemoryError: If the memory does not suffice; says what to lower.
        OSError: If the folder is in use, full, or cannot be written.
        ValueError: If settings make no sense, or the checkpoint is of other ones.
    """
    config = settings.complete()
    config = as_unet(config, task_named(config.data))
    start = check_network(config, settings.trust)
    data = prepare(config, settings, progress)
    if 0 < (steps := len(data.train) // config.training.batch_size) < _FEW_STEPS:
        settings.show(
            f"An epoch has {steps} step{'s' * (steps > 1)}, the training {steps * config.training.epochs}: few to "
            "learn from. Take a smaller --training.batch-size or more --training.epochs."
        )
    with launched(config.hardware) as fabric:
        network, builder = starting_network(config, data.channels, len(data.classes), start)
        config = described(config, builder)
        plan = config.plan(settings.checkpoint_every)
        what = f"train {config.network.model}"
        loop = Loop(fabric, network, data.train, data.tests, plan, task=data.task, what=what, progress=progress)
        opened = nullcontext()
        if fabric.is_global_zero:
            opened = RunFolder(
                settings.out, asdict(config), resume=settings.resume, changeable={"hardware"},
                inputs=_files(config), tensorboard=settings.tensorboard,
            )  # fmt: skip

        def write(name: str, weights: Weights | None) -> None:
            if weights is not None and fabric.is_global_zero:
                path = settings.out / f"{name}.safetensors"
                write_trained(
                    path,
                    weights,
                    config,
                    data.channels,
                    data.classes,
                    data.image_size,
                    task=data.task,
                    scaling=data.scaling,
                    builder=builder,
                )

        def keep() -> None:
            write("model", weights_of(network))
            write("best", loop.state.best)

        with opened as folder:
            if folder is not None and data.pictures is not None:
                record_split(data.pictures, folder.path)
            try:
                rows = loop.run(folder, keep)
            except FloatingPointError as error:
                if folder is None or not folder.has_checkpoint:
                    raise
                found = folder.checkpoint()
                write("last", None if found is None else tested_weights(found.weights))
                raise FloatingPointError(
                    f"{error} Its network is {settings.out / 'last.safetensors'}; for other settings, train in another "
                    "folder (--out)."
                ) from error
    path = settings.out / "model.safetensors"
    return Trained(config=config, rows=rows, parameters=count_parameters(network), path=path)


def _files(config: TrainConfig) -> dict[str, Path]:
    """Files that a training reads again when it is resumed."""
    named = {"network.basis": config.network.basis, "network.model": config.network.model}
    return {name: Path(value) for name, value in named.items() if value.endswith(".safetensors")}


def prepare(config: TrainConfig, settings: TrainNetwork, progress: ProgressCallback) -> Prepared:
    """Load what settings name."""
    if is_path(config.data):
        if config.validation_images:
            raise ValueError("train holds out your own pictures by share: give --pictures.val-share.")
        record = settings.out if settings.resume else None
        pictures = open_folder(config, cache=settings.cache, record=record, progress=progress)
        settings.show(str(pictures.found))
        return from_folder(
            pictures, balance=config.pictures.balance, label_smoothing=config.training.label_smoothing,
            dice=config.pictures.dice, workers=config.hardware.workers, train_images=config.train_images,
            test_images=config.test_images, seed=config.seed, progress=progress,
        )  # fmt: skip
    train, test = (load_split(config.data, split, settings.data_dir, progress) for split in ("train", "test"))
    if config.test_images is not None:
        test = test.take(config.test_images)
    train, validation = parted(config, train)
    data = from_image_sets(train, {"test": test}, Classification(config.training.label_smoothing))
    return replace(data, tests={**validation, **data.tests})


def parted(config: TrainConfig, images: ImageSet) -> tuple[ImageSet, dict[str, Examples]]:
    """The images to train on and those held out as "validation", as settings ask for them."""
    tests = {}
    if config.validation_images:
        images, validation = images.hold_out(config.validation_images, config.seed)
        tests = {"validation": Examples.of(validation)}
    if config.train_images is not None:
        images = images.take(config.train_images, config.seed)
    return images, tests
