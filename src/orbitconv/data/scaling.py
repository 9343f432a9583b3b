"""How pixel values of files become floats.

y = (x - offset) * scale for each channel. Offset and scale are fixed once, from the type of the numbers or from the
training pictures, kept with the network, and applied alike in training, prediction and the exported file.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv.data.formats import Picture

Rule = Literal["type", "file", "percentiles", "fixed"]
LOW, HIGH = 0.5, 99.5
"""Percentiles that become 0 and 1 by rule "percentiles"."""
_PER_PICTURE = 10_000
"""Pixels of a picture that percentiles are measured from."""
_NARROW = {"bool", "uint8", *(f"uint{bits}" for bits in range(1, 8))}


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Offset and scale of each channel.

    Args:
        rule: Where they come from. `"type"`: the range of the integers of a file becomes 0 to 1, floats stay as they
            are. `"file"`: the smallest number of a file becomes 0, its largest 1. `"percentiles"`: measured from
            training pictures. `"fixed"`: given.
        kind: Type of the numbers they were made for, such as `"uint16"`.
        offset: Number of each channel that becomes 0.
        scale: Factor of each channel, after the offset is subtracted.

    Raises:
        ValueError: If there is no channel, or numbers are not finite or a scale is zero.
    """

    rule: Rule
    kind: str
    offset: tuple[float, ...]
    scale: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.rule not in get_args(Rule):
            raise ValueError(f"Scaling expects a rule among {', '.join(get_args(Rule))}, got {self.rule!r}.")
        if not self.offset or len(self.offset) != len(self.scale):
            raise ValueError(
                f"Scaling expects an offset and a scale for each channel, got {len(self.offset)} and {len(self.scale)}."
            )
        if not np.isfinite([*self.offset, *self.scale]).all() or 0 in self.scale:
            raise ValueError(
                f"Scaling expects finite offsets and scales other than 0, got {self.offset}, {self.scale}."
            )

    @classmethod
    def by_type(cls, kind: str, limits: tuple[float, float], channels: int) -> "Scaling":
        """Scale the range of a type, its black and its white, to 0 to 1."""
        black, white = limits
        return cls(rule="type", kind=kind, offset=(float(black),) * channels, scale=(1 / (white - black),) * channels)

    @classmethod
    def by_file(cls, kind: str, channels: int) -> "Scaling":
        """Scale the minimum and maximum of each file to 0 and 1."""
        return cls(rule="file", kind=kind, offset=(0.0,) * channels, scale=(1.0,) * channels)

    @classmethod
    def by_percentiles(cls, pictures: Iterable[Picture], low: float = LOW, high: float = HIGH) -> "Scaling":
        """Scale two percentiles of each channel, over all pictures, to 0 and 1, without clipping.

        A channel of one value alone keeps its scale.

        Raises:
            ValueError: If there are no pixels.
        """
        samples, kind = [], ""
        for picture in pictures:
            kind = picture.kind
            pixels = picture.pixels.reshape(len(picture.pixels), -1)
            if picture.valid is not None:
                pixels = pixels[:, picture.valid.reshape(-1)]
            samples.append(pixels[:, :: max(1, pixels.shape[1] // _PER_PICTURE)].astype(np.float64))
        if not sum(sample.size for sample in samples):
            raise ValueError("Scaling.by_percentiles expects pictures with pixels, got none.")
        black, white = np.percentile(np.concatenate(samples, 1), [low, high], axis=1)
        width = np.where(white > black, white - black, 1)
        return cls(rule="percentiles", kind=kind, offset=tuple(map(float, black)), scale=tuple(map(float, 1 / width)))

    @classmethod
    def fixed(cls, kind: str, offset: Sequence[float], scale: Sequence[float]) -> "Scaling":
        """Take given numbers for each channel, such as published means and the inverse of standard deviations."""
        return cls(rule="fixed", kind=kind, offset=tuple(map(float, offset)), scale=tuple(map(float, scale)))

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.offset)

    def floats(self, picture: Picture) -> Float[Tensor, "c h w"]:
        """Scale a picture to numbers that a network takes; pixels without data become 0.

        By rule "type" a picture of another type is scaled by its own range.

        Raises:
            ValueError: If it has another number of channels.
        """
        if len(picture.pixels) != self.channels:
            raise ValueError(f"Scaling expects {self.channels} channels, got {len(picture.pixels)}.")
        offset, scale = (np.array(values)[:, None, None] for values in (self.offset, self.scale))
        if self.rule == "type" and picture.kind != self.kind:
            black, white = picture.limits
            offset, scale = np.array(float(black)), np.array(1 / (white - black))
        elif self.rule == "file":
            known = picture.pixels if picture.valid is None else picture.pixels[:, picture.valid]
            black, white = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
            offset, scale = np.array(black), np.array(1 / ((white - black) or 1))
        wide = picture.pixels.dtype.itemsize > 2  # 32-bit floats hold all narrower numbers exactly
        numbers = picture.pixels.astype(np.float64 if wide else np.float32)
        numbers -= offset.astype(numbers.dtype)
        numbers *= scale.astype(numbers.dtype)
        numbers = numbers.astype(np.float32, copy=False)
        if picture.valid is not None:
            numbers[:, ~picture.valid] = 0
        return torch.from_numpy(numbers)

    def apply(self, x: Float[Tensor, "*b c h w"]) -> Float[Tensor, "*b c h w"]:
        """Scale the numbers of a file in a tensor, none of which lack data, as an exported network does."""
        if self.rule == "file":
            black, white = x.amin((-3, -2, -1), keepdim=True), x.amax((-3, -2, -1), keepdim=True)
            return (x - black) / torch.where(white > black, white - black, 1)
        offset, scale = (x.new_tensor(values)[:, None, None] for values in (self.offset, self.scale))
        return (x - offset) * scale

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Scaling":
        """Read what `to_json` wrote.

        Raises:
            ValueError: If a value is missing or of another kind.
        """
        try:
            return cls(
                rule=values["rule"], kind=str(values["kind"]), offset=tuple(map(float, values["offset"])),
                scale=tuple(map(float, values["scale"])),
            )  # fmt: skip
        except (KeyError, TypeError) as error:
            raise ValueError(f"Scaling.from_json expects rule, kind, offset and scale, got {values!r}.") from error


def rule_for(kind: str) -> Rule:
    """The rule of `scaling="auto"`: the range of the type for bytes and less, percentiles for all others."""
    return "type" if kind in _NARROW else "percentiles"
