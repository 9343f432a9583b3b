"""The folder of the user for what can be made or fetched again."""

import os
import sys
from pathlib import Path


def cache_root() -> Path:
    """Return the cache folder of the user; it may not exist yet.

    Returns:
        `ORBITCONV_CACHE` if set, else the place the operating system intends.
    """
    if chosen := os.environ.get("ORBITCONV_CACHE"):
        return Path(chosen).expanduser()
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData/Local") / "orbitconv/orbitconv/Cache"
    if sys.platform == "darwin":
        return home / "Library/Caches/orbitconv"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "orbitconv"
