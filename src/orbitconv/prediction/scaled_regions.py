"""One large picture, region by region, as a network takes it."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from orbitconv.data import Scaling
from orbitconv.data.channels import with_channels
from orbitconv.data.formats import Picture, Region
from orbitconv.data.reading import scaling_of_one
from orbitconv.train.networks import TrainedNetwork


@final
class ScaledRegions:
    """A picture whose regions are scaled alike; `read` reads a region, or everything if given None."""

    def __init__(
        self, read: Callable[[Region | None], Picture], trained: TrainedNetwork, path: Path, size: tuple[int, int]
    ) -> None:
        self._read, self._trained, self._path, self._scaling = read, trained, path, trained.scaling
        self.valid: Bool[np.ndarray, "h w"] = np.broadcast_to(np.True_, size)
        """Which pixels hold data, as far as they were read."""

    def scaled(self, region: Region | None) -> Float[Tensor, "c h w"]:
        """A region as numbers that the network takes."""
        picture = self._picture(region)
        return (self._scaling or scaling_of_one(picture)).floats(picture)

    def _picture(self, region: Region | None) -> Picture:
        picture = with_channels(self._read(region), self._trained.in_channels, self._path)
        if picture.valid is not None:
            if not self.valid.flags.writeable:
                self.valid = self.valid.copy()
            self.valid[... if region is None else region] = picture.valid
        return picture

    def fix_scaling(self, parts: Iterable[Region]) -> None:
        """Where the numbers of a file are scaled by its own range, find that of the whole file before any part."""
        if self._trained.scaling is not None and self._trained.scaling.rule != "file":
            return
        black, white, kind = np.inf, -np.inf, ""
        for part in parts:
            picture = self._picture(part)
            if self._scaling is None:
                self._scaling = scaling_of_one(picture)
            if self._scaling.rule != "file":
                return
            known = picture.pixels if picture.valid is None else picture.pixels[:, picture.valid]
            kind = picture.kind
            if known.size:
                black, white = min(black, float(known.min())), max(white, float(known.max()))
        black, white = (black, white) if black <= white else (0.0, 1.0)
        channels = self._trained.in_channels
        self._scaling = Scaling.fixed(kind, (black,) * channels, (1 / ((white - black) or 1),) * channels)
