"""Networks from settings, and trained networks as one self-contained file."""

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.saved import read_saved, write_saved
from orbitconv.bases import FilterBasis, TabulatedBasis, load_basis
from orbitconv.data.scaling import Scaling
from orbitconv.models import build_model, count_parameters
from orbitconv.models.layers import BasisLike
from orbitconv.records.metric_lines import Row
from orbitconv.records.run_folder import CONFIG
from orbitconv.train.builder import TRUSTED, Builder
from orbitconv.train.config import Network, TrainConfig
from orbitconv.train.description import Description, read_description
from orbitconv.train.engine.state import Weights, weights_of
from orbitconv.train.plausible import check_plausible
from orbitconv.train.task import Classification, Task

_NAMED = 4  # classes that are printed by name
_LARGEST_EXAMPLE = 2**26  # numbers of the image that a network is converted with


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class TrainedNetwork:
    """The content of the file of a trained network.

    Args:
        network: The network in eval mode, on the CPU.
        config: Settings of its training.
        classes: Names of the classes, in the order of the scores.
        in_channels: Channels of the images.
        image_size: Height and width of the images it was trained on, in pixels; None if the file does not tell.
        task: What it has learned.
        scaling: How the numbers of picture files become those it takes; None for the range of their type as 0 to 1.
        builder: What builds it; None where nothing in its file does, as after `fit` on a module of the user's own.
        rows: One line for each epoch, if it was trained just now.
    """

    network: nn.Module
    config: TrainConfig
    classes: tuple[str, ...]
    in_channels: int
    image_size: tuple[int, int] | None
    task: Task = field(default_factory=Classification)
    scaling: Scaling | None = None
    builder: Builder | None = None
    rows: tuple[Row, ...] = ()

    @torch.no_grad()
    def __call__(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k *hw"]:
        """Class probabilities of scaled images."""
        return self.task.probabilities(self.network.eval()(images))

    def __repr__(self) -> str:
        classes = ", ".join(self.classes[:_NAMED]) + (", ..." if len(self.classes) > _NAMED else "")
        size = "" if self.image_size is None else "{}x{} pixels, ".format(*self.image_size)
        facts = [
            f"{type(self.network).__name__}, {count_parameters(self.network):,} weights",
            f"{self.task.name} of {len(self.classes)} classes ({classes})",
            f"images of {size}{_counted(self.in_channels, 'channel')}",
            *([_counted(len(self.rows), "epoch")] if self.rows else []),
        ]
        return f"TrainedNetwork({'; '.join(facts)})"

    def save(self, path: Path | str) -> None:
        """Write the network as one file; see `save_network`."""
        save_network(self, path)


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def find_basis(name: str) -> BasisLike:
    """The basis that settings name."""
    if name == "none":
        return None
    return load_basis(name) if name.endswith(".safetensors") else name


def build_network(config: Network, in_channels: int, num_classes: int, basis: BasisLike = None) -> nn.Module:
    """Build the network that settings name, with weights from torch's generator, on its basis if that is at hand."""
    labels = "out_channels" if config.model == "unet" else "num_classes"
    sizes = {"in_channels": in_channels, labels: num_classes}
    if given := sizes.keys() & config.options.keys():
        raise ValueError(f"{', '.join(sorted(given))} come from the data set; leave them out of the network's options.")
    basis = find_basis(config.basis) if basis is None else basis
    return build_model(config.model, basis, **{**sizes, **config.options})


def settings_builder(config: Network, in_channels: int, num_classes: int) -> Builder | None:
    """What builds the network that settings name, as a file can hold it.

    None if the basis came from a file, which a builder cannot hold, or settings name no network.
    """
    if not config.model or config.basis.endswith(".safetensors"):
        return None
    labels = "out_channels" if config.model == "unet" else "num_classes"
    basis = None if config.basis == "none" else config.basis
    arguments = {"name": config.model, "basis": basis, "in_channels": in_channels, labels: num_classes}
    return Builder("orbitconv.models:build_model", {**arguments, **config.options})


def initial_network(config: TrainConfig, in_channels: int, num_classes: int) -> nn.Module:
    """The network that a training begins with, with weights from the seed of the settings.

    Torch's generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return build_network(config.network, in_channels, num_classes)


def check_network(config: TrainConfig, trusted: Collection[str] = ()) -> TrainedNetwork | None:
    """Refuse a network that cannot be built, before any data is read; it may be that of a safetensors file.

    It is built on the meta device, where it takes no memory; channels and classes are not known yet. A file may name
    functions of this package and of trusted ones.
    """
    if config.network.model.endswith(".safetensors"):
        start = read_trained(config.network.model, trusted)
        if start.builder is None:
            raise ValueError(
                f"train cannot begin with {config.network.model}: the basis of its network came from a file, which "
                "the file of the new network could not name. Train a new network with --network.basis FILE."
            )
        return start
    basis = find_basis(config.network.basis)
    with torch.device("meta"):
        build_network(config.network, in_channels=3, num_classes=2, basis=basis)
    return None


def starting_network(
    config: TrainConfig, in_channels: int, num_classes: int, start: TrainedNetwork | None = None
) -> tuple[nn.Module, Builder | None]:
    """The network that a training begins with, in training mode, and what builds it if that is in a file.

    It may be one of a file, such as `orbitconv convert` writes.
    """
    if start is None:
        return initial_network(config, in_channels, num_classes), None
    if (start.in_channels, len(start.classes)) != (in_channels, num_classes):
        raise ValueError(
            f"{config.network.model} holds a network for images of {start.in_channels} channels and "
            f"{len(start.classes)} classes, got data with {in_channels} and {num_classes}. Build it for these."
        )
    return start.network.train(), start.builder


def described(config: TrainConfig, builder: Builder | None) -> TrainConfig:
    """Settings that name the basis of a network that comes from a file."""
    return config if builder is None else replace(config, network=replace(config.network, basis=builder.basis))


def write_trained(
    path: Path,
    weights: Weights,
    config: TrainConfig,
    in_channels: int,
    classes: tuple[str, ...],
    image_size: tuple[int, int] | None = None,
    *,
    task: Task | None = None,
    scaling: Scaling | None = None,
    builder: Builder | None = None,
) -> None:
    """Write a trained network as one safetensors file. A basis that came from a file goes in with it.

    Weights share no memory. The size of images, (height, width), is for those who want to make others like them; the
    task is classification if not given. A builder takes the place of the network that the settings name.
    """
    tensors = {f"network.{name}": tensor for name, tensor in weights.items()}
    group = None
    if builder is None and config.network.basis.endswith(".safetensors"):
        basis = find_basis(config.network.basis)
        if isinstance(basis, FilterBasis):
            tensors["basis"] = basis(torch.float64)
            group = basis.group
    description = Description(
        config=config, classes=classes, in_channels=in_channels, image_size=image_size, group=group,
        task=task or Classification(), scaling=scaling, builder=builder,
    )  # fmt: skip
    write_saved(path, "network", tensors, description.to_json())


def save_network(trained: TrainedNetwork, path: Path | str) -> None:
    """Write a trained network as one safetensors file: weights, class names, scaling of pixels, and what builds it.

    Raises:
        ValueError: If it is not known what builds it.
    """
    if trained.builder is None and not trained.config.network.model:
        raise ValueError(
            "save_network expects to know what builds the network: a file holds no code. Give fit a Builder, such as "
            "Builder('my_package.models:make', {'width': 16}), in place of the network, or as its builder=."
        )
    write_trained(
        Path(path), weights_of(trained.network), trained.config, trained.in_channels, trained.classes,
        trained.image_size, task=trained.task, scaling=trained.scaling, builder=trained.builder,
    )  # fmt: skip


def load_trained(path: Path | str) -> tuple[nn.Module, TrainConfig]:
    """Load a network in eval mode, on the CPU, and the settings of its training, as `read_trained` does."""
    trained = read_trained(path)
    return trained.network, trained.config


def read_trained(path: Path | str, trusted: Collection[str] = ()) -> TrainedNetwork:
    """Load a trained network with everything in its file.

    Args:
        path: Folder of a training that is done, or a file that one wrote (`model.safetensors`, `best.safetensors`).
        trusted: Packages, beside this one, whose functions the file may name to build the network.

    Returns:
        The network, the settings of its training, its classes and its images.

    Raises:
        FileNotFoundError: If there is no such file.
        PermissionError: If the network is built by a package that is not trusted.
        ValueError: If the file is damaged, of another kind or of a newer version.
    """
    is_folder = Path(path).is_dir()
    path = Path(path) / "model.safetensors" if is_folder else Path(path)
    if not path.exists():
        begun = is_folder or (path.parent / CONFIG).exists()
        hint = " Is the training done? Resume it with --resume." if begun else ""
        raise FileNotFoundError(f"{path} is not there.{hint}")
    saved = read_saved(path, "network")
    about = read_description(saved.description, path)
    state = {
        name.removeprefix("network."): tensor for name, tensor in saved.tensors.items() if name.startswith("network.")
    }
    try:
        network = _build(about, state, saved.tensors.get("basis"), trusted)
        network.load_state_dict(state)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path} does not hold the weights of the network that it describes: {error}.") from error
    return TrainedNetwork(
        network=network.eval(), config=about.config, classes=about.classes, in_channels=about.in_channels,
        image_size=about.image_size, task=about.task, scaling=about.scaling,
        builder=about.builder or settings_builder(about.config.network, about.in_channels, len(about.classes)),
    )  # fmt: skip


def _build(about: Description, state: Weights, table: Tensor | None, trusted: Collection[str]) -> nn.Module:
    """Build the network that a file describes, unless the file is too small for it."""
    if about.builder is None:
        basis = None
        if about.config.network.basis.endswith(".safetensors"):
            if about.group is None or table is None or table.ndim != 4:
                raise ValueError("it lacks the basis")
            basis = TabulatedBasis(about.group, (table.shape[-2], table.shape[-1]), table)
        options = {**asdict(about.config.network), "in_channels": about.in_channels}
        build = partial(build_network, about.config.network, about.in_channels, len(about.classes), basis)
    else:
        options, build = about.builder.arguments, partial(about.builder.build, (*TRUSTED, *trusted))
        if not about.builder.trusted_by(TRUSTED):
            return build()  # the user trusts the package, which may not know the meta device
        if about.builder.conversion is not None:
            if math.prod(about.builder.conversion["image"]) > _LARGEST_EXAMPLE:
                raise ValueError(f"the image {about.builder.conversion['image']} is too large to convert with")
            plain = replace(about.builder, conversion=None).build
            check_plausible(plain, {**options, **about.builder.conversion}, state, exact=False)
            return build()
    check_plausible(build, options, state)
    return build()
