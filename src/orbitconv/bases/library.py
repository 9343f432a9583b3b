"""Bases that come with the package, learned from CIFAR-10's training images."""

from pathlib import Path

FOLDER = Path(__file__).parent / "library_files"


def list_bases() -> list[str]:
    """Names of the learned bases that come with the package, sorted, such as "spectral-c8-k5" and "unitary-d8-k3".

    The other families have no files: see `load_basis`.
    """
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))
