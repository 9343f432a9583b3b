"""Pictures that turn, what two networks say of them, and the networks of the records: measured by a study beforehand."""

import json
import lzma
from importlib.resources import files
from typing import Any


def read_scenes() -> dict[str, Any]:
    """Read what `python -m studies explorer` measured.

    Returns:
        `scenes`: for each picture its name, classes, truth, and for each angle the picture and, for each network, feature
        maps and probabilities; `front`: networks of the records with error and multiply-adds.
    """
    packed = files("orbitconv.explorer").joinpath("scenes.json.xz").read_bytes()
    return json.loads(lzma.decompress(packed))
