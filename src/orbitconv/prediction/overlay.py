"""Pictures with masks laid over them."""

import numpy as np
import torch
from jaxtyping import Float, Integer, UInt8
from torch import Tensor

_COLOURS = ((230, 60, 60), (60, 120, 230), (60, 180, 90), (240, 180, 40), (160, 80, 200), (40, 190, 200))


def overlay(image: Float[Tensor, "c h w"], mask: Integer[Tensor, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Lay a mask over a picture of numbers from 0 to 1, each class in a colour, as bytes; 0 is transparent.

    A picture of other than three channels is shown by the first, in grey.
    """
    seen = (image if image.shape[0] == 3 else image[:1].expand(3, -1, -1)).clamp(0, 1).movedim(0, -1)
    colours = torch.tensor(_COLOURS)[(mask.long() - 1).clamp(min=0) % len(_COLOURS)] / 255
    shown = torch.where(mask[..., None] > 0, 0.55 * seen + 0.45 * colours, seen)
    return (255 * shown).round().to(torch.uint8).numpy()
