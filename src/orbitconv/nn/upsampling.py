"""Up-sampling: back to the grid that down-sampling by two came from."""

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from orbitconv.nn.products.kernel import planes as compiled


def upsample_to(x: Float[Tensor, "*lead h w"], size: Sequence[int]) -> Float[Tensor, "*lead h2 w2"]:
    """Interpolate planes linearly on the grid that BlurPool2d or GroupBlurPool2d took them from.

    Pooled pixels lie between the pixels of an even side and on those of an odd one; so each axis is read by its own
    parity, the output grid has the centre of the input grid, and quarter turns and mirrors are exact at *every* size.

    Args:
        x: Planes, with any axes before them: planar features or feature maps on a group.
        size: Height and width before down-sampling.

    Returns:
        Planes of that size.

    Raises:
        ValueError: If down-sampling by two would not have made the planes of `x` from that size.
    """
    if has_torch_function_unary(x):  # one operation for those who follow a network by its operations
        return handle_torch_function(upsample_to, (x,), x, size)
    halves = tuple((side + 1) // 2 for side in size)
    if tuple(x.shape[-2:]) != halves:
        raise ValueError(
            f"upsample_to expects planes of {halves[0]}x{halves[1]} pixels to make {size[0]}x{size[1]} of, got input "
            f"of shape {tuple(x.shape)}."
        )
    height, width = size
    if compiled.is_offered(whole := x.flatten(0, -3)[None]):
        return compiled.upsample(whole, (height, width))[0].unflatten(0, x.shape[:-2])
    planes = x.flatten(0, -3)[:, None]  # as a batch, which may be empty
    tall = F.interpolate(planes, (height, x.shape[-1]), mode="bilinear", align_corners=height % 2 == 1)
    wide = F.interpolate(tall, (height, width), mode="bilinear", align_corners=width % 2 == 1)
    return wide[:, 0].unflatten(0, x.shape[:-2])
