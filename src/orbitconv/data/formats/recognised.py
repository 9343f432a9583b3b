"""The reader for a file, chosen by its first bytes rather than its suffix."""

import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from orbitconv.data.errors import DamagedError, DataError, UnsupportedError, unreadable
from orbitconv.data.formats.dicom import open_dicom
from orbitconv.data.formats.fits import open_fits
from orbitconv.data.formats.npy import open_npy
from orbitconv.data.formats.opened import Opened
from orbitconv.data.formats.pillow import open_pillow
from orbitconv.data.formats.tiff import open_tiff
from orbitconv.data.formats.zarr import open_zarr

SUFFIXES = frozenset({
    ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".npy", ".fits", ".fit", ".fts", ".dcm",
    ".dicom", ".zarr",
})  # fmt: skip
"""How the names of pictures end, in lower case; `.ome.tif` and `.ome.zarr` among them."""

_Reader = Callable[..., AbstractContextManager[Opened]]
_SIGNATURES: tuple[tuple[int, bytes, _Reader], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", open_pillow),
    (0, b"\xff\xd8\xff", open_pillow),
    (0, b"GIF8", open_pillow),
    (0, b"BM", open_pillow),
    (8, b"WEBP", open_pillow),
    (0, b"II*\0", open_tiff),
    (0, b"MM\0*", open_tiff),
    (0, b"II+\0", open_tiff),
    (0, b"MM\0+", open_tiff),
    (0, b"\x93NUMPY", open_npy),
    (0, b"SIMPLE  =", open_fits),
    (128, b"DICM", open_dicom),
)
_CONVERT = {
    ".nii": "NIfTI; save its slices as TIFF or .npy",
    ".gz": "compressed; unpack it first",
    ".zip": "an archive; unpack it first",
    ".npz": "several arrays; save each as .npy",
    ".jp2": "JPEG 2000; save it as TIFF",
    ".heic": "HEIF; save it as PNG or JPEG",
    ".avif": "AVIF; save it as PNG or JPEG",
    ".exr": "OpenEXR; save it as a TIFF of floats",
    ".czi": "of a microscope; save it as OME-TIFF",
    ".nd2": "of a microscope; save it as OME-TIFF",
    ".lif": "of a microscope; save it as OME-TIFF",
    ".svg": "drawn, not of pixels; save it as PNG",
    ".pdf": "a document; save its pictures as PNG",
    ".h5": "HDF5; save each picture as TIFF or .npy",
    ".hdf5": "HDF5; save each picture as TIFF or .npy",
    ".mat": "of MATLAB; save each picture as TIFF or .npy",
}


def is_picture(path: Path) -> bool:
    """Whether a name is that of a picture: by its suffix, and not hidden."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def reader_of(path: Path) -> _Reader:
    """The reader of a file."""
    suffix = path.suffix.lower()
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode) and suffix == ".zarr":
            return open_zarr
        if not stat.S_ISREG(mode):
            raise DataError(f"{path} is no regular file but a folder, pipe or device, expected a picture file.")
        with path.open("rb") as file:
            first_bytes = file.read(132)
    except OSError as error:
        raise unreadable(path, error) from error
    for start, signature, reader in _SIGNATURES:
        if first_bytes[start : start + len(signature)] == signature:
            return reader
    if suffix in _CONVERT:
        raise UnsupportedError(f"{path} cannot be read as a picture: it is {_CONVERT[suffix]}.")
    if not first_bytes:
        raise DamagedError(f"{path} cannot be read as a picture: the file is empty. Remove or replace it.")
    if suffix in SUFFIXES:
        raise DamagedError(
            f"{path} cannot be read as a picture: it is damaged or none, as it does not begin like a file of its or "
            "any known format. Remove or repair it."
        )
    raise UnsupportedError(
        f"{path} cannot be read as a picture: expected one of {', '.join(sorted(SUFFIXES))}. Save it as PNG or TIFF."
    )
