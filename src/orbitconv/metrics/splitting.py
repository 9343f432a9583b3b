"""Split a mask of classes into objects: connected components, or these cut by a watershed."""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Int32, Shaped

from orbitconv._support.optional import import_optional

_LARGEST = 1 << 24
"""Pixels of the box around a connected part up to which a watershed cuts it: distances take many times its memory."""

Splitting = Literal["components", "watershed"]

_DISTANCE = 3
"""Least distance, in pixels, between the middles of two objects that a watershed parts."""
_SMOOTH = 2.0
"""Standard deviation, in pixels, of the Gaussian that makes one maximum of a plateau of distances."""


def objects_of(classes: Shaped[np.ndarray, "h w"], how: Splitting = "components") -> Int32[np.ndarray, "h w"]:
    """Number the objects of a mask.

    Args:
        classes: Class of every pixel, 0 for background.
        how: `"components"`: the connected parts of the foreground; pixels that touch at a corner are of one object.
            `"watershed"`: these, cut along the watersheds of the distance to the background, so that round objects that
            touch come apart; a part whose box has more than 16 million pixels stays whole.

    Returns:
        0 for background, 1, 2, ... for the objects.
    """
    if how not in get_args(Splitting):
        raise ValueError(f"objects_of expects 'components' or 'watershed', got {how!r}.")
    ndimage = import_optional("scipy.ndimage", "train", "Counting objects")
    objects = np.empty(classes.shape, np.int32)
    count = ndimage.label(classes > 0, np.ones((3, 3)), output=objects)
    if how == "watershed":
        for number, place in enumerate(ndimage.find_objects(objects), start=1):
            part = objects[place]
            if part.size > _LARGEST:
                continue
            inside = part == number
            pieces = _cut(inside)
            new = pieces > 1
            part[new] = pieces[new] + (count - 1)
            count += max(int(pieces.max()) - 1, 0)
    return objects


def _cut(inside: Bool[np.ndarray, "h w"]) -> Int32[np.ndarray, "h w"]:
    """One connected part as pieces 1, 2, ..."""
    ndimage = import_optional("scipy.ndimage", "train", "Counting objects")
    feature = import_optional("skimage.feature", "train", "Parting objects")
    segmentation = import_optional("skimage.segmentation", "train", "Parting objects")
    padded = np.pad(inside, 1)  # the border of the box is background
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(padded), _SMOOTH)
    peaks = feature.peak_local_max(distance, min_distance=_DISTANCE, labels=padded.astype(np.int32),
                                   exclude_border=False)  # fmt: skip
    if len(peaks) < 2:
        return inside.astype(np.int32)
    markers = np.zeros(padded.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return segmentation.watershed(-distance, markers, mask=padded)[1:-1, 1:-1]
