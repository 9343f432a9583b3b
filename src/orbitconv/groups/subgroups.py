"""Groups inside groups."""

import numpy as np
from jaxtyping import Int

from orbitconv.groups.group import Group


def embed(subgroup: Group, group: Group) -> Int[np.ndarray, " h"]:
    """The elements of a group that do what the elements of a smaller one do: for each the same rotation and mirror.

    Raises:
        ValueError: If `subgroup` is not part of `group`.
    """
    steps, rest = divmod(group.num_rotations, subgroup.num_rotations)
    if rest or (subgroup.mirrors.any() and not group.mirrors.any()):
        raise ValueError(
            f"{subgroup} is not part of {group}: a subgroup has a number of rotations that divides "
            f"{group.num_rotations}" + ("." if group.mirrors.any() else ", and no mirrors.")
        )
    element = {
        (int(step), bool(mirror)): g
        for g, (step, mirror) in enumerate(zip(group.rotation_steps, group.mirrors, strict=True))
    }
    pairs = zip(subgroup.rotation_steps, subgroup.mirrors, strict=True)
    return np.array([element[int(step) * steps, bool(mirror)] for step, mirror in pairs])


def cosets(subgroup: Group, group: Group) -> Int[np.ndarray, "t h"]:
    """The right cosets of a subgroup, which cut the group into orbits of the subgroup.

    Row t holds `h * t` for every `h` of the subgroup, in its order; `t` is the first element not in the rows above.
    """
    inside = embed(subgroup, group)
    rows: list[Int[np.ndarray, " h"]] = []
    left = np.ones(group.order, dtype=bool)
    while left.any():
        row = group.product[inside, int(left.argmax())]
        left[row] = False
        rows.append(row)
    return np.stack(rows)
