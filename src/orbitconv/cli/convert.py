"""`orbitconv convert`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

from orbitconv._support.files import check_replaceable
from orbitconv.cli.terminal import Terminal
from orbitconv.conversion import Converted
from orbitconv.train import Builder, TrainedNetwork, read_trained, save_network
from orbitconv.train.builder import TRUSTED, converted
from orbitconv.train.config import Network, Option, TrainConfig
from orbitconv.train.networks import described


@dataclass(frozen=True, kw_only=True)
class ConvertCommand:
    """Make a plain network equivariant, and write it as one file, for train, evaluate, predict and export.

    Prints what became of every layer, what is exact, and how large the network is.
    """

    network: tyro.conf.Positional[str]
    """What builds the network, as module:function; or the folder or file of a trained plain one."""
    image: tuple[int, int, int] | None = None
    """Channels, height and width of the images; by default those that a trained network was trained on."""
    group: str = "c8"
    """Turns to be equivariant to: c4, c8, ...; d4, d8, ... with mirrors."""
    basis: str = "spectral"
    """Family of filter bases: spectral, exact, unitary, harmonic, ..."""
    arguments: dict[str, Option] = field(default_factory=dict)
    """Keyword arguments of the function, such as num_classes 10."""
    width: str = "channels"
    """channels: as many as the plain network has, for each group element; params or compute: as large as it is; or a
    number to multiply widths with."""
    output: Literal["invariant", "vector", "regular", "equivariant"] = "invariant"
    """How the channels of the output turn."""
    pool: Literal["max", "mean"] = "max"
    """How the group is pooled at the output."""
    exact: bool = False
    """Exchange layers that lose quarter turns."""
    antialias: bool = False
    """Exchange every stride for blur pooling, for the turns between."""
    inherit: bool = False
    """Start from the filters of the plain network."""
    strict: bool = True
    """Refuse layers that cannot be converted, rather than keeping them plain."""
    trust: tuple[str, ...] = ()
    """Packages that a file may call to build its network; that of module:function is trusted anyway."""
    out: Path = Path("converted.safetensors")
    """File to write."""
    overwrite: bool = False
    """Replace a file that is there."""

    def run(self) -> None:
        """Build, convert, show, write."""
        check_replaceable(self.out, overwrite=self.overwrite)
        plain, builder, trained = self._plain()
        image = self._image(trained)
        width = _width(self.width)
        conversion = {
            "group": self.group, "basis": self.basis, "image": list(image), "width": width, "output": self.output,
            "pool": self.pool, "exact": self.exact, "antialias": self.antialias, "strict": self.strict,
        }  # fmt: skip
        if self.inherit:
            conversion["weights"] = "inherit"
        network = converted(plain, conversion)
        assert isinstance(network, Converted)
        conversion |= {"width": network.report.width}
        conversion.pop("weights", None)  # a file brings its own
        with torch.no_grad():
            scores = network.eval()(torch.zeros(1, *image))
        if not isinstance(scores, torch.Tensor):
            raise TypeError(f"convert writes networks that return one tensor, got {type(scores).__name__}.")
        builder, classes = replace(builder, conversion=conversion), tuple(map(str, range(scores.shape[1])))
        if trained is None:
            config = TrainConfig(data="", network=Network(model="", basis="none"))
            trained = TrainedNetwork(
                network=network, config=config, classes=classes, in_channels=image[0], image_size=image[1:]
            )
        made = replace(
            trained, network=network, config=described(trained.config, builder), image_size=image[1:], builder=builder,
            classes=trained.classes if len(trained.classes) == len(classes) else classes,
        )  # fmt: skip
        save_network(made, self.out)
        terminal = Terminal()
        terminal.say(str(network.report))
        trust = (
            "" if builder.trusted_by(TRUSTED) else f" --trust {builder.function.partition(':')[0].partition('.')[0]}"
        )
        data = trained.config.data or "..."
        terminal.say(
            f"\nNetwork: {self.out}. Train it: orbitconv train --network.model {self.out} --data {data}{trust}"
        )

    def _plain(self) -> tuple[torch.nn.Module, Builder, TrainedNetwork | None]:
        """The plain network, what builds it, and all that its file tells."""
        if not (self.network.endswith(".safetensors") or Path(self.network).is_dir()):
            builder = Builder(self.network, self.arguments)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                return builder.build((*TRUSTED, builder.function.partition(":")[0])), builder, None
        trained = read_trained(self.network, self.trust)
        if self.arguments:
            raise ValueError(f"convert expects --arguments for module:function only; {self.network} brings its own.")
        if trained.builder is None or trained.builder.basis != "none" or isinstance(trained.network, Converted):
            raise ValueError(
                f"convert expects a plain network; {self.network} holds one that is equivariant already. Convert the "
                "plain one that it was made of, or train a plain one: orbitconv train --network.basis none."
            )
        return trained.network, trained.builder, trained

    def _image(self, trained: TrainedNetwork | None) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        if self.image is not None:
            return self.image
        if trained is None or trained.image_size is None:
            raise ValueError("convert expects the channels, height and width of the images: --image 3 64 64.")
        return (trained.in_channels, *trained.image_size)


def _width(words: str) -> Any:
    """One of the three words, or a number."""
    if words in {"channels", "params", "compute"}:
        return words
    try:
        return float(words)
    except ValueError:
        raise ValueError(f"--width expects channels, params, compute or a number, got {words!r}.") from None
