"""The filters of the first layer of a trained network, at every element of its group."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from torch import nn

from orbitconv.figures.contact_sheet import Row, contact_sheet
from orbitconv.nn import BasisConv2d

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROWS, _PLAIN = 4, 8


def first_filters(network: nn.Module, count: int) -> Float[np.ndarray, "f g ky kx"] | None:
    """The strongest filters of the first layer, of norm one at the identity, at every group element (one if plain).

    Channels of the image are summed: what is shown is the filter that a grey image meets. None if the network has no
    convolution.
    """
    layer = next((m for m in network.modules() if isinstance(m, BasisConv2d | nn.Conv2d)), None)
    if layer is None:
        return None
    weight = layer.filters() if isinstance(layer, BasisConv2d) else layer.weight
    filters = weight.detach().double().cpu().sum(1).unflatten(0, (layer.out_channels, -1))
    norms = filters[:, 0].flatten(1).norm(dim=1)
    chosen = norms.argsort(descending=True, stable=True)[:count]
    return (filters[chosen] / norms[chosen].clamp_min(1e-12)[:, None, None, None]).numpy()


def orbit_figure(network: nn.Module) -> "Figure | None":
    """Draw the strongest filters of the first layer: a row for each, turned by each group element; one row if plain."""
    layer = next((m for m in network.modules() if isinstance(m, BasisConv2d)), None)
    filters = first_filters(network, _PLAIN if layer is None else _ROWS)
    if filters is None:
        return None
    if layer is None:
        rows = [Row("filters", list(filters[:, 0]))]
        return contact_sheet("No group: every filter stands alone", rows, [str(f + 1) for f in range(len(filters))])
    norms = np.linalg.norm(filters, axis=(2, 3))
    rows = [Row(f"filter {f + 1}", list(filters[f]), norms[f].tolist()) for f in range(len(filters))]
    return contact_sheet(f"Filters turned by {layer.group}", rows, layer.group, note="The norm is below each picture.")
