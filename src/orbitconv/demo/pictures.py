"""Pictures of what networks do: filters as they turn, feature maps of a digit as it turns, still and moving."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.demo.demo import Outcome
from orbitconv.figures.drawing import LEARNED, Strip, import_plotting, looks
from orbitconv.groups import rotate_images

if TYPE_CHECKING:
    from PIL.Image import Image

EIGHTHS = tuple(range(0, 360, 45))
FRAMES = tuple(range(0, 360, 15))

# The animation: side of a panel in pixels, and how long a frame stays.
_SIDE, _MILLISECONDS = 168, 140


def learned_family(outcome: Outcome) -> str:
    """The learned family of a demo; the last family with a basis if none is known to be learned."""
    return next((name for name in outcome.bases if name in LEARNED), list(outcome.bases)[-1])


def early_layer(network: nn.Module) -> nn.Sequential:
    """The beginning of a network, up to and with its first ReLU."""
    layers = list(network.get_submodule("features").children())
    last = next(index for index, layer in enumerate(layers) if isinstance(layer, nn.ReLU))
    return nn.Sequential(*layers[: last + 1])


@dataclass(frozen=True)
class Follow:
    """One channel of a network's early layer while its input turns.

    Args:
        fixed: Its map at group element 0, at each angle; without a group, its only map.
        maps: Its map at the group element that follows the turn; without a group, the same as `fixed`.
        back: `maps` turned back by the same angles, inside the disc: all equal if the map turns with the input.
        errors: ||f(T x) - T f(x)|| / ||T f(x)|| of each of `maps`, inside the disc.
    """

    fixed: Float[np.ndarray, "t h w"]
    maps: Float[np.ndarray, "t h w"]
    back: Float[np.ndarray, "t h w"]
    errors: list[float]


@torch.no_grad()
def follow(network: nn.Module, digit: Float[Tensor, "1 c h w"], degrees: Sequence[float | int]) -> Follow:
    """Follow the channel of a network's early layer that depends most on direction, while a digit turns.

    That is the channel whose map at group element 0 changes most under a quarter turn, of those that respond.
    Between two group elements their maps are blended.
    """
    was_training, layer = network.training, early_layer(network).eval()
    try:
        channel = _most_directed(_at(layer(digit), 0), _at(layer(turn(digit, 90)), 0))
        features = [layer(turn(digit, angle))[:, [channel]] for angle in degrees]
        upright = _at(layer(digit), 0)[:, [channel]]
    finally:
        network.train(was_training)
    maps = [_at(f, angle) for f, angle in zip(features, degrees, strict=True)]
    back = [turn(m, -angle, "reflect") * _disc(m) for m, angle in zip(maps, degrees, strict=True)]
    return Follow(
        fixed=_stack([_at(f, 0) for f in features]),
        maps=_stack(maps),
        back=_stack(back),
        errors=[float(_errors(upright, m, angle)) for m, angle in zip(maps, degrees, strict=True)],
    )


def clear_digit(digits: Float[Tensor, "b c h w"]) -> Float[Tensor, "1 c h w"]:
    """A digit that shows a turn well: inside the disc at every angle, and unlike itself after a quarter or half turn.

    That is the one that changes most when blurred, of the half with the least ink in the outer fifth of the disc.
    """
    ink = digits.square().sum(1)
    outside = (ink * (1 - _disc(digits, 0.8))).sum((1, 2)) / ink.sum((1, 2)).clamp_min(1e-12)
    inner = digits[outside <= outside.median()]
    blurred = F.avg_pool2d(inner, 7, stride=1, padding=3)
    change = torch.minimum(*((blurred - turn(blurred, angle)).flatten(1).norm(dim=1) for angle in (90, 180)))
    return inner[[int((change / blurred.flatten(1).norm(dim=1).clamp_min(1e-12)).argmax())]]


def turn(
    images: Float[Tensor, "b c h w"], degrees: float | int, padding_mode: str = "zeros"
) -> Float[Tensor, "b c h w"]:
    """Turn images or planar maps of zero or more by degrees, counter-clockwise; exactly at quarter turns."""
    mode = "reflect" if padding_mode == "reflect" else "zeros"
    return rotate_images(images, math.radians(degrees), padding_mode=mode).clamp_min(0)


def _stack(maps: list[Tensor]) -> Float[np.ndarray, "t h w"]:
    """One map an angle, as an array."""
    return torch.cat(maps)[:, 0].cpu().numpy()


def _at(features: Tensor, degrees: float | int) -> Float[Tensor, "b c h w"]:
    """The maps at the group element that is this turn, or a blend of its two neighbours; planar maps as they are."""
    if features.ndim == 4:
        return features
    order = features.shape[2]
    step, rest = divmod(degrees / 360 * order, 1)
    return torch.lerp(features[:, :, int(step) % order], features[:, :, (int(step) + 1) % order], rest)


def _disc(planes: Tensor, radius: float = 1.0) -> Float[Tensor, "h w"]:
    """One inside a disc about the centre, zero outside; radius 1 touches the sides."""
    rows, cols = (torch.linspace(-1, 1, n, device=planes.device) for n in planes.shape[-2:])
    return (torch.hypot(rows[:, None], cols) <= radius).to(planes.dtype)


def _errors(upright: Tensor, turned: Tensor, degrees: float | int) -> Float[Tensor, " c"]:
    """Relative distance of maps of a turned image from the turned maps, for each channel, inside the disc."""
    expected = turn(upright, degrees, "reflect")
    disc = _disc(expected)
    distance, size = ((x * disc).transpose(0, 1).flatten(1).norm(dim=1) for x in (turned - expected, expected))
    return distance / size.clamp_min(1e-12)


def _most_directed(upright: Tensor, turned: Tensor) -> int:
    """The channel whose map changes most under a quarter turn, for its own energy and the layer's."""
    change = (turned - turn(upright, 90)).square().sum((0, 2, 3))
    energy = torch.maximum(*(x.square().sum((0, 2, 3)) for x in (upright, turned)))
    return int(torch.where(energy >= 0.2 * energy.max(), change / energy.clamp_min(1e-12), -1.0).argmax())


def strips(
    digit: Float[Tensor, "1 c h w"], seen: dict[str, Follow], names: dict[str, str], degrees: Sequence[float | int]
) -> list[Strip]:
    """The digit, and under it what networks see: at a fixed group element, at the one that follows, turned back.

    A network without a group has no row of its own for the fixed element.
    """
    digits = torch.cat([turn(digit, angle).mean(1) for angle in degrees]).cpu().numpy()
    rows = [Strip("digit", digits, "#1f2328", 1.0)]
    for family, look in looks(list(seen)).items():
        one, name = seen[family], names[family]
        limit = _full(one)
        if not np.array_equal(one.fixed, one.maps):
            rows.append(Strip(f"{name}\nelement 0", one.fixed, look.color, limit))
            name = f"{name}\nelement that follows"
        else:
            name = f"{name}\nfeature map"
        rows.append(Strip(name, one.maps, look.color, limit))
        rows.append(Strip("the row above\nturned back", one.back, look.color, limit, one.errors))
    return rows


def _full(one: Follow) -> float:
    """The value that gets the full colour: near the largest, but not for the sake of a few pixels."""
    return max(float(np.quantile(one.maps, 0.995)), 1e-12)


def animation(
    digit: Float[Tensor, "1 c h w"], seen: dict[str, Follow], names: dict[str, str], degrees: Sequence[float | int]
) -> tuple[bytes, bytes]:
    """A moving picture: the digit and the maps that follow it side by side, and below them the same turned back."""
    digits = torch.cat([turn(digit, angle).mean(1) for angle in degrees]).cpu().numpy()
    columns = [("the digit", "#1f2328", 1.0, digits, digits[[0] * len(degrees)])]
    for family, look in looks(list(seen)).items():
        one = seen[family]
        columns.append((names[family], look.color, _full(one), one.maps, one.back))
    frames = [
        _frame([(n, [_tint(x[t] / m, c) for x in rows]) for n, c, m, *rows in columns]) for t in range(len(digits))
    ]
    moving, still = io.BytesIO(), io.BytesIO()
    frames[0].save(
        moving, format="WEBP", save_all=True, append_images=frames[1:], duration=_MILLISECONDS, loop=0, quality=80,
        method=4,
    )  # fmt: skip
    frames[0].save(still, format="WEBP", quality=80)
    return moving.getvalue(), still.getvalue()


def _frame(columns: Sequence[tuple[str, Sequence[np.ndarray]]]) -> "Image":
    """One frame: columns of pictures, given as bytes (height, width, 3), under their names."""
    image, draw_on, fonts = (import_plotting(f"PIL.{module}") for module in ("Image", "ImageDraw", "ImageFont"))
    pictures = [[image.fromarray(a).resize((_SIDE, _SIDE), image.Resampling.NEAREST) for a in p] for _, p in columns]
    rows, left, gap, top = len(pictures[0]), 96, 12, 34
    frame = image.new("RGB", (left + len(columns) * (_SIDE + gap) - gap, top + rows * (_SIDE + gap) - gap), "white")
    draw, font = draw_on.Draw(frame), fonts.load_default(17)
    for c, (name, _) in enumerate(columns):
        x = left + c * (_SIDE + gap)
        draw.text((x + _SIDE / 2, top / 2), name, fill="#1f2328", font=font, anchor="mm")
        for r in range(rows):
            y = top + r * (_SIDE + gap)
            frame.paste(pictures[c][r], (x, y))
            draw.rectangle((x, y, x + _SIDE - 1, y + _SIDE - 1), outline="#d0d4d9")
    for r, words in enumerate(("as seen", "turned\nback")[:rows]):
        y = top + r * (_SIDE + gap) + _SIDE / 2
        draw.multiline_text((left - 14, y), words, fill="#1f2328", font=font, anchor="rm", align="right")
    return frame


def _tint(values: Float[np.ndarray, "h w"], color: str) -> np.ndarray:
    """Values from 0 to 1 as bytes from white to a colour given as #rrggbb."""
    full = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    return np.rint(255 + np.clip(values, 0, 1)[..., None] * (full - 255)).astype(np.uint8)
