"""Networks from their settings, and trained ones as one file that holds all it takes to build them again."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.files import write_atomically
from orbitconv._support.optional import import_optional
from orbitconv.bases import FilterBasis, TabulatedBasis, load_basis
from orbitconv.data.scaling import Scaling
from orbitconv.models import build_model
from orbitconv.models.layers import BasisLike
from orbitconv.records.metric_lines import Row
from orbitconv.records.run_folder import CONFIG
from orbitconv.train.builder import TRUSTED, Builder
from orbitconv.train.config import Network, TrainConfig
from orbitconv.train.engine.state import Weights, weights_of
from orbitconv.train.head import Head, read_head
from orbitconv.train.task import Classification, Task


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedNetwork:
    """What the file of a trained network holds.

    Args:
        network: The network in eval mode, on the CPU.
        config: Settings of its training.
        classes: Names of the classes, in the order of the scores.
        in_channels: Channels of the images.
        image_size: Height and width of the images it was trained on, in pixels; None if the file does not tell.
        task: What it has learned.
        scaling: How the numbers of picture files become those it takes; None for the range of their type as 0 to 1.
        builder: What builds it; None for the network that the settings name.
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
        """Probabilities of the classes, of images that are scaled already."""
        return self.task.probabilities(self.network.eval()(images))

    def save(self, path: Path | str) -> None:
        """Write the network as one file; see `save_network`.

        Args:
            path: File to write.
        """
        save_network(self, path)


def find_basis(name: str) -> BasisLike:
    """The basis that settings name.

    Args:
        name: As in `Network.basis`.

    Returns:
        What a network takes as its basis.
    """
    if name == "none":
        return None
    return load_basis(name) if name.endswith(".safetensors") else name


def build_network(config: Network, in_channels: int, num_classes: int, basis: BasisLike = None) -> nn.Module:
    """Build the network that settings name.

    Args:
        config: Settings.
        in_channels: Channels of the images.
        num_classes: Number of classes.
        basis: Its basis, if it is at hand already.

    Returns:
        The network, with weights from torch's generator.
    """
    labels = "out_channels" if config.model == "unet" else "num_classes"
    sizes = {"in_channels": in_channels, labels: num_classes}
    if given := sizes.keys() & config.options.keys():
        raise ValueError(f"{', '.join(sorted(given))} come from the data set; leave them out of the network's options.")
    basis = find_basis(config.basis) if basis is None else basis
    return build_model(config.model, basis, **{**sizes, **config.options})


def initial_network(config: TrainConfig, in_channels: int, num_classes: int) -> nn.Module:
    """The network that a training begins with.

    Args:
        config: Settings of the training.
        in_channels: Channels of the images.
        num_classes: Number of classes.

    Returns:
        The network, with weights from the seed of the settings; torch's generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return build_network(config.network, in_channels, num_classes)


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

    Args:
        path: File to write.
        weights: Its weights, none sharing memory.
        config: Settings of its training.
        in_channels: Channels of the images.
        classes: Names of the classes.
        image_size: Height and width of the images, for those who want to make others like them.
        task: What it has learned; classification if not given.
        scaling: How the numbers of picture files become those that it takes.
        builder: What builds it, in place of the network that the settings name.
    """
    safetensors = import_optional("safetensors.torch", "train", "orbitconv's training")
    tensors = {f"network.{name}": tensor for name, tensor in weights.items()}
    group = None
    if builder is None and config.network.basis.endswith(".safetensors"):
        basis = find_basis(config.network.basis)
        if isinstance(basis, FilterBasis):
            tensors["basis"] = basis(torch.float64).detach().contiguous()
            group = basis.group
    head = Head(
        config=config, classes=classes, in_channels=in_channels, image_size=image_size, group=group,
        task=task or Classification(), scaling=scaling, builder=builder,
    )  # fmt: skip
    write_atomically(path, safetensors.save(tensors, head.facts(tensors)))


def save_network(trained: TrainedNetwork, path: Path | str) -> None:
    """Write a trained network as one safetensors file: weights, class names, scaling of pixels, and what builds it.

    Args:
        trained: The network.
        path: File to write.

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
    """Load a trained network.

    Args:
        path: Folder of a training that is done, or a file that one wrote (`model.safetensors`, `best.safetensors`).

    Returns:
        The network in eval mode, on the CPU, and the settings of its training.
    """
    trained = read_trained(path)
    return trained.network, trained.config


def read_trained(path: Path | str, trusted: Collection[str] = ()) -> TrainedNetwork:
    """Load a trained network with all that its file tells.

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
    library = import_optional("safetensors", "train", "load_trained")
    is_folder = Path(path).is_dir()
    path = Path(path) / "model.safetensors" if is_folder else Path(path)
    if not path.exists():
        begun = is_folder or (path.parent / CONFIG).exists()
        hint = " Is the training done? Go on with it with --resume." if begun else ""
        raise FileNotFoundError(f"{path} is not there.{hint}")
    try:
        with library.safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except library.SafetensorError as error:
        raise ValueError(f"{path} is damaged, or no safetensors file: {error}.") from error
    head, basis = read_head(facts, tensors, path), None
    if head.group is not None:
        table = tensors.pop("basis")
        basis = TabulatedBasis(head.group, (table.shape[-2], table.shape[-1]), table)
    if head.builder is not None:
        network = head.builder.build((*TRUSTED, *trusted))
    else:
        network = build_network(head.config.network, head.in_channels, len(head.classes), basis)
    try:
        network.load_state_dict({name.removeprefix("network."): tensor for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise ValueError(f"{path} does not hold the weights of the network that it names: {error}.") from error
    return TrainedNetwork(
        network=network.eval(), config=head.config, classes=head.classes, in_channels=head.in_channels,
        image_size=head.image_size, task=head.task, scaling=head.scaling, builder=head.builder,
    )  # fmt: skip
