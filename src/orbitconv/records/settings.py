"""Settings of a run, compared before it is resumed, and checksums of its input files."""

import hashlib
from pathlib import Path
from typing import Any

from torch import Tensor


def tensor_digest(tensor: Tensor) -> str:
    """SHA-256 of shape, dtype and values, in hexadecimal digits."""
    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of the content of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flat_settings(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under flat names."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= flat_settings(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def check_same(found: dict[str, Any], wanted: dict[str, Any], folder: Path) -> None:
    """Refuse to resume a run with other settings, and say where they differ.

    Those of the run in the folder have what is under "config" as if beside it.
    """
    flat_found, flat_wanted = (flat_settings({**d, **d.get("config", {})}) for d in (found, wanted))
    names = sorted(name for name in flat_wanted.keys() | flat_found.keys() if not name.startswith("config."))
    different = [name for name in names if flat_found.get(name) != flat_wanted.get(name)]
    if different:
        name = different[0]
        raise ValueError(
            f"{folder} holds the record of another run: {', '.join(different)} differ ({name}: {flat_found.get(name)} "
            f"there, {flat_wanted.get(name)} here). Use its settings, or choose another folder."
        )
