"""The cache folder of the user."""

import os
import sys
from pathlib import Path


def cache_root() -> Path:
    """The cache folder of the user, `ORBITCONV_CACHE` or that of the operating system; it may not exist yet."""
    if chosen := os.environ.get("ORBITCONV_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData/Local") / "orbitconv/orbitconv/Cache"
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    if Path(chosen).is_absolute():  # others do not count, by the standard
        return Path(chosen) / "orbitconv"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "orbitconv"
