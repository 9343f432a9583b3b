"""DICOM, by pydicom: rescaled as the file says, and inverted where it says that low is white."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from orbitconv._support.optional import import_optional
from orbitconv.data.errors import DamagedError, UnsupportedError
from orbitconv.data.formats.opened import Opened, Page, Region, cut, kind_of


@contextmanager
def open_dicom(path: Path, *, labels: bool = False) -> Iterator[Opened]:
    """Open a DICOM file; frames are pages.

    MONOCHROME1 (low is white) is inverted within the range of the stored bits, before slope and intercept are applied;
    labels are neither inverted nor rescaled.
    """
    pydicom = import_optional("pydicom", "formats", f"Reading {path.name}")
    dataset = pydicom.dcmread(path)
    if "Rows" not in dataset or "PixelData" not in dataset:
        if "Image" in dataset.file_meta.get("MediaStorageSOPClassUID", pydicom.uid.UID("")).name:
            raise DamagedError(f"{path} is damaged: it ends before its pixels. Replace it.")
        raise UnsupportedError(f"{path} is DICOM without a picture.")
    stored = np.dtype(f"{'i' if dataset.PixelRepresentation else 'u'}{dataset.BitsAllocated // 8 or 1}")
    kind, (black, white) = kind_of(stored, dataset.BitsStored)
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    rescaled = not labels and (slope, intercept) != (1, 0)
    inverted = not labels and dataset.PhotometricInterpretation == "MONOCHROME1"
    limits = (black, white)
    if rescaled:
        kind, limits = "float32", (min(black * slope, white * slope) + intercept,
                                   max(black * slope, white * slope) + intercept)  # fmt: skip
    frames: list[Shaped[np.ndarray, "p c h w"]] = []

    def page(index: int, region: Region | None) -> Page:
        if not frames:
            frames.append(_frames(dataset, path))
        pixels = cut(frames[0][index], region)
        if inverted:
            pixels = (int(black) + int(white) - pixels.astype(np.int64)).astype(pixels.dtype)
        return (pixels * slope + intercept).astype(np.float32) if rescaled else pixels, None

    yield Opened(
        pages=int(dataset.get("NumberOfFrames") or 1), channels=int(dataset.SamplesPerPixel), height=int(dataset.Rows),
        width=int(dataset.Columns), kind=kind, limits=limits, page=page,
    )  # fmt: skip


def _frames(dataset: Any, path: Path) -> Shaped[np.ndarray, "p c h w"]:
    """All frames, channels first."""
    try:
        pixels = dataset.pixel_array
    except (RuntimeError, NotImplementedError) as error:
        raise UnsupportedError(f"{path} is compressed as pydicom cannot read here ({error}).") from error
    pixels = pixels.reshape(-1, int(dataset.Rows), int(dataset.Columns), int(dataset.SamplesPerPixel))
    return pixels.transpose(0, 3, 1, 2)
