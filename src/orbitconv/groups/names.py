"""Groups by their short names."""

import re

from orbitconv.groups.cyclic import Cyclic
from orbitconv.groups.dihedral import Dihedral


def parse_group(name: str) -> Cyclic | Dihedral:
    """The group of a short name, "C8", "d4", ...: the letter, in either case, and the number of rotations.

    Raises:
        ValueError: If the name is not of this form.
    """
    match = re.fullmatch(r"([cCdD])([1-9]\d*)", name)
    if match is None:
        raise ValueError(f"A group is named by C or D and its number of rotations, as in C8 or D4, got {name!r}.")
    return (Cyclic if match[1] in "cC" else Dihedral)(int(match[2]))
