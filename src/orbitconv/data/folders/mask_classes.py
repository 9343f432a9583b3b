"""Which numbers in masks are which classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orbitconv.data.errors import DataError

_MOST_CLASSES = 32
"""More numbers than this are taken for objects, unless the user says otherwise."""


@dataclass(frozen=True, kw_only=True)
class MaskClasses:
    """Classes of masks: their names, the class of each number that occurs, and what was chosen for the user.

    What is ignored has the code `ignore_index`. If `objects`, numbers above 0 are those of objects, all of class 1.
    """

    names: tuple[str, ...]
    codes: dict[int, int]
    objects: bool = False
    note: str = ""


def mask_classes(
    values: set[int], classes: Sequence[str] | Mapping[str, int] | None, objects: bool | None, ignore_index: int
) -> MaskClasses:
    """Decide what the numbers that occur in masks are.

    Without names, 0 and one other number are background and foreground; 0, 1, ... are classes, with `ignore_index`
    ignored; more than 32 numbers are those of objects, unless `objects` says which. Classes are the names of 0, 1, ...,
    or the number in the masks for each name.
    """
    used = sorted(values - {ignore_index})
    if classes is None and objects is not False and (objects or len(used) > _MOST_CLASSES):
        if used and used[0] < 0:
            raise DataError(f"folder expects objects numbered from 1, and 0 for background, got {used[0]} in a mask.")
        note = "" if objects else (
            f"masks hold {len(used)} different numbers and so are taken to number objects: class 0 is background, "
            "class 1 object. If they are classes, say objects=False."
        )  # fmt: skip
        return MaskClasses(names=("background", "object"), codes={}, objects=True, note=note)
    if objects:
        raise DataError("folder expects no class names for masks that number objects; they are background and object.")
    note = ""
    if classes is None:
        if len(used) == 1 and ignore_index in values and used == [0]:
            used = [0, ignore_index]
        if len(used) == 2 and used[0] == 0:
            names = {"background": 0, "foreground": used[1]}
            note = f"masks hold 0 and {used[1]}: background and foreground" if used[1] != 1 else ""
        elif len(used) > 1 and used == list(range(len(used))):
            names = {str(number): number for number in used}
        elif len(used) < 2:
            raise DataError(f"folder expects masks of two classes or more, got the number {used} in all of them.")
        else:
            raise DataError(
                f"folder expects masks that hold 0, 1, 2, ... (and {ignore_index} for what is ignored), got the "
                f"numbers {', '.join(map(str, used[:12]))}{', ...' if len(used) > 12 else ''}. Say which class has "
                "which: classes={'background': 0, 'road': 3}; or objects=True if they number objects."
            )
    else:
        names = dict(classes) if isinstance(classes, Mapping) else {name: i for i, name in enumerate(classes)}
        if len(names) < 2 or len(set(names.values())) < len(names):
            raise DataError(f"folder expects two classes or more of different numbers, got {names}.")
    codes = {number: label for label, number in enumerate(names.values())}
    if ignore_index not in codes:
        codes[ignore_index] = ignore_index
    unknown = sorted(values - codes.keys())
    if unknown:
        raise DataError(
            f"folder expects the labels {', '.join(map(str, names.values()))} in masks, or {ignore_index} for what is "
            f"ignored, got {', '.join(map(str, unknown[:12]))} as well. Add these classes, or correct the masks."
        )
    return MaskClasses(names=tuple(names), codes=codes, note=note)
