"""The outputs of a plain network and a group network for pictures at every angle, stored for `orbitconv explore`."""

import base64
import json
import lzma
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

import orbitconv
from orbitconv._support.files import check_replaceable, write_atomically
from orbitconv.conversion import Converted
from orbitconv.data import load
from orbitconv.groups import rotate_images
from orbitconv.models import count_parameters
from orbitconv.records.grouping import Spread, by_columns
from orbitconv.train import TrainedNetwork
from studies.base.results import read_record
from studies.pages.markdown import network_name

_STEP = 15
"""Degrees between two views."""
_MAPS, _SIDE = 4, 24
"""Feature maps of each network, and their largest side in pixels."""
_WINDOW, _LAND = 96, 44
"""Sides of the middle part of pictures of nuclei and of land that is shown, into which a turn brings nothing."""


@dataclass(frozen=True, kw_only=True)
class Explorer:
    """Turn three pictures in steps of 15 degrees, and keep what two trained networks make of each.

    For each picture name two trainings: of a plain network, and of what `orbitconv convert` made of it, such as those
    in docs/explorer.md.
    """

    study: ClassVar[str] = "explorer"
    digits: tuple[Path, Path]
    """Folders of trainings on MNIST."""
    satellite: tuple[Path, Path]
    """Folders of trainings on EuroSAT, a folder of classes."""
    nuclei: tuple[Path, Path]
    """Folders of trainings on nuclei, pictures with masks."""
    least: tuple[float, float] = (0.95, 0.8)
    """Probability of the true class of land, and Dice of nuclei, that both networks reach on the pictures shown."""
    record: Path = Path("results/rotated_mnist.json")
    """Record whose networks the figure of error against work shows."""
    out: Path = Path("src/orbitconv/explorer/scenes.json.xz")
    """File to write."""
    overwrite: bool = False
    """Replace a file that is there."""

    def run(self) -> None:
        """Measure, and write the file."""
        check_replaceable(self.out, overwrite=self.overwrite)
        scenes = [_digit(self.digits), _land(self.satellite, self.least[0]), _cells(self.nuclei, self.least[1])]
        text = json.dumps({"scenes": scenes, "front": front(read_record(self.record)["rows"])}, separators=(",", ":"))
        write_atomically(self.out, lzma.compress(text.encode(), preset=9))


def _digit(paths: tuple[Path, Path]) -> dict[str, Any]:
    networks = [orbitconv.load_network(path) for path in paths]
    test = load("mnist", "test")
    index = int((test.labels == 4).nonzero()[0])
    return _scene(
        "a digit", networks, test.images[index].float() / 255, partial(_classes, truth=int(test.labels[index])),
        f"Both networks saw upright digits only. {_origin(networks)}",
        "probability of the true class",
    )  # fmt: skip


def _land(paths: tuple[Path, Path], least: float) -> dict[str, Any]:
    networks = [orbitconv.load_network(path) for path in paths]
    data = orbitconv.data.folder(networks[0].config.data)
    images, labels = data.split("test").stacked()
    index = _both_sure(networks, _middle(images, _LAND), labels, least)
    return _scene(
        "a satellite picture", networks, images[index], partial(_classes, truth=int(labels[index])),
        "Both networks saw pictures as they are, and their mirror images. This is the first test picture of which "
        f"both are sure as it is. Its middle is shown, so that a turn brings nothing in. {_origin(networks)}",
        "probability of the true class", _LAND,
    )  # fmt: skip


@torch.inference_mode()
def _both_sure(networks: list[TrainedNetwork], images: Tensor, labels: Tensor, least: float) -> int:
    """The first picture to whose true class both networks give a high probability."""
    for index, label in enumerate(labels.tolist()):
        if all(float(network(images[index : index + 1])[0, label]) > least for network in networks):
            return index
    raise ValueError(f"study explorer finds no picture of which both networks are sure by {least:.0%}.")


def _cells(paths: tuple[Path, Path], least: float) -> dict[str, Any]:
    networks = [orbitconv.load_network(path) for path in paths]
    data = orbitconv.data.folder(networks[0].config.data, channels=networks[0].in_channels)
    image, mask = _both_find(networks, data.split("test"), least)
    return _scene(
        "nuclei", networks, image, partial(_mask, truth=mask),
        "Dice of the mask that a network finds and the true one. Both networks saw windows of pictures "
        "as they are. This is the first test picture, large enough, whose nuclei both find as it is. Its middle is "
        f"shown, so that a turn brings nothing in. {_origin(networks)}",
        "Dice", _WINDOW,
    )  # fmt: skip


def _both_find(
    networks: list[TrainedNetwork], pictures: Iterable[tuple[Tensor, Tensor]], least: float
) -> tuple[Tensor, Tensor]:
    """The first picture, of twice the side that is shown, in whose middle both networks have a high Dice."""
    for pair in pictures:
        if min(pair[0].shape[-2:]) >= 2 * _WINDOW:
            image, mask = (one[..., : 2 * _WINDOW, : 2 * _WINDOW] for one in pair)
            shown = _middle(image[None], _WINDOW)
            if all(_mask(network, shown, truth=mask, angle=0.0)["score"] > least for network in networks):
                return image, mask
    raise ValueError(f"study explorer finds no picture of nuclei on which both networks have a Dice above {least}.")


def _origin(networks: list[TrainedNetwork]) -> str:
    """What conversion did to the weights, as a sentence."""
    plain, other = (one.network for one in networks)
    if not isinstance(other, Converted):
        raise TypeError(f"study explorer expects a plain network and a converted one, got {type(other).__name__}.")
    sizes = [count_parameters(one) for one in (plain, other)]
    return f"Converted for {other.group.name}, the {sizes[0]:,} weights of the plain network became {sizes[1]:,}."


def _scene(
    name: str, networks: list[TrainedNetwork], image: Float[Tensor, "c h w"], judge: Callable[..., dict[str, Any]],
    note: str, score: str, window: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    views = []
    for degrees in range(0, 360 + _STEP, _STEP):
        angle = torch.deg2rad(torch.tensor(float(degrees))).item()
        turned = _middle(rotate_images(image[None], angle).clamp(0, 1), window)
        seen = [judge(network, turned, angle=angle) | {"maps": list(maps(network, turned))} for network in networks]
        views.append({"degrees": degrees, "picture": _packed(turned[0]), "networks": seen})
    return {"name": name, "note": note, "score": score, "networks": ["plain", "converted"], "views": views}


@torch.inference_mode()
def _classes(network: TrainedNetwork, image: Tensor, *, truth: int, angle: float) -> dict[str, Any]:
    del angle
    likely = network(image)[0]
    best = int(likely.argmax())
    says = f"{network.classes[best]} ({float(likely[best]):.0%})"
    return {"score": round(float(likely[truth]), 4), "says": says, "right": best == truth}


@torch.inference_mode()
def _mask(network: TrainedNetwork, image: Tensor, *, truth: Tensor, angle: float) -> dict[str, Any]:
    true = _middle(rotate_images(truth[None, None], angle, order=0), image.shape[-1])[0, 0] > 0
    found = network(image).argmax(1)[0] > 0
    dice = float(2 * (true & found).sum() / (true.sum() + found.sum()).clamp(min=1))
    return {"score": round(dice, 4), "says": f"Dice {dice:.2f}", "right": dice > 0.8}


def _middle(images: Float[Tensor, "b c h w"], window: int | None) -> Float[Tensor, "b c k l"]:
    """The middle of images, all of it if no window is named."""
    if window is None:
        return images
    top, left = ((size - window) // 2 for size in images.shape[-2:])
    return images[..., top : top + window, left : left + window]


@torch.inference_mode()
def maps(network: TrainedNetwork, image: Float[Tensor, "1 c h w"]) -> Iterator[dict[str, Any]]:
    """Feature maps of the deepest layer whose planes are large enough to see, the largest over the group.

    Features of a converted network hold the group in their channels.
    """
    kept: list[Any] = []
    smallest = min(image.shape[-2:]) // 2
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
        for module in network.network.modules()
        if isinstance(module, nn.ReLU)
    ]
    network(image)
    for hook in hooks:
        hook.remove()
    planes = [one for one in kept if min(one.shape[-2:]) >= smallest][-1][0]
    if isinstance(network.network, Converted):
        planes = planes.unflatten(0, (-1, network.network.group.order)).amax(1)
    side = min(_SIDE, *planes.shape[-2:])
    small = nn.functional.adaptive_avg_pool2d(planes[:_MAPS], side)
    for plane in small:
        yield _packed((plane / small.amax().clamp(min=1e-6))[None])


def _packed(image: Float[Tensor, "c h w"]) -> dict[str, Any]:
    pixels: UInt8[Tensor, "c h w"] = (image * 255).round().clamp(0, 255).to(torch.uint8)
    return {"shape": list(pixels.shape), "data": base64.b64encode(pixels.contiguous().numpy().tobytes()).decode()}


def front(rows_of_record: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Error and work of the networks in the rows of a study of digits at any angle, and a note."""
    rows = []
    turned = [row for row in rows_of_record if row.get("test") == "rotated"]
    for key, same in by_columns(turned, "family", "group", "num_atoms", "rotation", "epochs").items():
        family, group, atoms, rotation, epochs = key
        altered = "" if rotation == "none" else ", images turned"
        rows.append({
            "network": f"{network_name(family, group).strip('*')}, {atoms} atoms, {epochs} epochs{altered}",
            "error": round(Spread.of([row["test_error_percent"] for row in same]).mean, 3),
            "work": round(same[0]["multiply_adds"] / 1e6, 1), "parameters": same[0]["parameters"],
        })  # fmt: skip
    note = "Digits at any angle, 12,000 to train on, networks of about 70,000 parameters; mean over up to three seeds."
    return {"rows": rows, "note": note}
