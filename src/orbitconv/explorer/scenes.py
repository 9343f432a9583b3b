"""Pictures that turn, what two networks say of them, and the networks of a record; measured by a study."""

import json
import lzma
from importlib.resources import files
from typing import Any


def read_scenes() -> dict[str, Any]:
    """Read what `python -m studies explorer` measured.

    `scenes` has for each picture its name and, for each angle, the picture and what each network makes of it: feature
    maps, a score and words; `front` has networks of a record with error and multiply-adds.
    """
    packed = files("orbitconv.explorer").joinpath("scenes.json.xz").read_bytes()
    return json.loads(lzma.decompress(packed))
