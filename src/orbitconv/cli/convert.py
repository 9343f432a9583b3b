"""`orbitconv convert`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

from orbitconv._support.files import check_replaceable
from orbitconv.cli.terminal import Terminal
from orbitconv.conversion import Converted
from orbitconv.train import Builder, read_trained
from orbitconv.train.builder import TRUSTED, converted
from orbitconv.train.config import Network, Option, TrainConfig
from orbitconv.train.engine.state import weights_of
from orbitconv.train.networks import write_trained


@dataclass(frozen=True, kw_only=True)
class ConvertCommand:
    """Make a plain network equivariant, and write it as one file, for train, evaluate, predict and export.

    Prints what became of every layer, what is exact, and how large the network is.
    """

    network: tyro.conf.Positional[str]
    """What builds the network, as module:function; or the file of a trained plain one, which names its builder."""
    image: tuple[int, int, int]
    """Channels, height and width of the images."""
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
        """Build, convert, show, write.

        Raises:
            FileExistsError: If the file is there and may not be replaced.
            ValueError: If the network cannot be converted, or a file does not name what builds it.
        """
        check_replaceable(self.out, overwrite=self.overwrite)
        plain, builder = self._plain()
        width = _width(self.width)
        conversion = {
            "group": self.group, "basis": self.basis, "image": list(self.image), "width": width, "output": self.output,
            "pool": self.pool, "exact": self.exact, "antialias": self.antialias, "strict": self.strict,
        }  # fmt: skip
        if self.inherit:
            conversion["weights"] = "inherit"
        network = converted(plain, conversion)
        assert isinstance(network, Converted)
        conversion |= {"width": network.report.width}
        conversion.pop("weights", None)  # a file brings its own
        with torch.no_grad():
            scores = network.eval()(torch.zeros(1, *self.image))
        if not isinstance(scores, torch.Tensor):
            raise TypeError(f"convert writes networks that return one tensor, got {type(scores).__name__}.")
        classes = tuple(map(str, range(scores.shape[1])))
        config = TrainConfig(data="", network=Network(model="", basis="none"))
        write_trained(
            self.out, weights_of(network), config, self.image[0], classes, self.image[1:],
            builder=replace(builder, conversion=conversion),
        )  # fmt: skip
        terminal = Terminal()
        terminal.say(str(network.report))
        module = builder.function.partition(":")[0].partition(".")[0]
        trust = "" if module in TRUSTED else f" --trust {module}"
        terminal.say(f"\nNetwork: {self.out}. Train it: orbitconv train --network.model {self.out} --data ...{trust}")

    def _plain(self) -> tuple[torch.nn.Module, Builder]:
        """The plain network and what builds it."""
        if not self.network.endswith(".safetensors"):
            builder = Builder(self.network, self.arguments)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                return builder.build((*TRUSTED, builder.function.partition(":")[0])), builder
        trained = read_trained(self.network, self.trust)
        if trained.builder is None:
            raise ValueError(
                f"{self.network} does not name what builds its network: it is one of orbitconv's own. Train its plain "
                "twin's equivariant form instead: orbitconv train --network.basis spectral-c8."
            )
        return trained.network, trained.builder


def _width(words: str) -> Any:
    """One of the three words, or a number."""
    if words in {"channels", "params", "compute"}:
        return words
    try:
        return float(words)
    except ValueError:
        raise ValueError(f"--width expects channels, params, compute or a number, got {words!r}.") from None
