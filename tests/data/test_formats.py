"""Every reader against the library of its format, on small files of many kinds."""

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from orbitconv.data import DataError
from orbitconv.data.errors import DamagedError, UnsupportedError
from orbitconv.data.formats import open_picture, read, regions
from raising import refuses

image_module = pytest.importorskip("PIL.Image")
tifffile = pytest.importorskip("tifffile")
imagecodecs = pytest.importorskip("imagecodecs")
fits = pytest.importorskip("astropy.io.fits")
pydicom = pytest.importorskip("pydicom")
rasterio = pytest.importorskip("rasterio")
zarr = pytest.importorskip("zarr")

CODECS = ["none", "lzw", "zlib", "zstd", "packbits", "lzma", "jpeg", "webp", "jpeg2000", "lerc"]
RNG = np.random.default_rng(0)
CASES = {}


def case(*names, **given):
    """Register a function (path, name) -> expected channels-first numbers, for each name."""

    def register(make):
        for name in names:
            CASES[name] = (make, given)
        return make

    return register


def numbers(dtype, *shape):
    """Random numbers over the whole range of a type."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return RNG.normal(size=shape).astype(dtype)
    facts = np.iinfo(dtype)
    return RNG.integers(facts.min, facts.max, shape, dtype=dtype.newbyteorder("="), endpoint=True).astype(dtype)


def first(planes):
    """Channels first, of grey or channels last."""
    return planes[None] if planes.ndim == 2 else planes.transpose(2, 0, 1)


@case("RGB.png", "L.png", "RGB.webp", "RGB.bmp", "L.gif", "RGB.jpg", "L.jpg", "I;16.png", "CMYK.jpg")
def by_pillow(path, name):
    mode = name.split(".")[0]
    shape = (5, 7) if mode in {"L", "I;16"} else (5, 7, len(mode))
    pixels = numbers(np.uint16 if mode == "I;16" else np.uint8, *shape)
    image_module.fromarray(pixels, **({"mode": "CMYK"} if mode == "CMYK" else {})).save(path)
    with image_module.open(path) as opened:
        return first(np.asarray(opened.convert("RGB") if mode == "CMYK" or path.suffix == ".gif" else opened))


@case("palette.png", "palette.gif", "transparent.png", "alpha-grey.png", "bilevel.png")
def looked_up(path, name):
    grey = image_module.fromarray(numbers(np.uint8, 5, 7))
    kind = name.split(".")[0]
    if kind == "palette":
        grey.convert("RGB").quantize(7).save(path)
        with image_module.open(path) as opened:
            return first(np.asarray(opened.convert("RGB")))
    if kind == "bilevel":
        grey.convert("1").save(path)
        with image_module.open(path) as opened:
            return np.asarray(opened)[None]
    mode = "RGBA" if kind == "transparent" else "LA"
    image_module.fromarray(numbers(np.uint8, 5, 7, len(mode)), mode=mode).save(path)
    with image_module.open(path) as opened:
        white = image_module.new("RGBA", opened.size, "white")
        seen = image_module.alpha_composite(white, opened.convert("RGBA"))
        return first(np.asarray(seen.convert("RGB" if kind == "transparent" else "L")))


@case("colours-16.png")
def deep_colours(path, name):
    pixels = numbers(np.uint16, 5, 7, 3)
    path.write_bytes(imagecodecs.png_encode(pixels))
    return first(pixels)


@case(*(f"{dtype}.tif" for dtype in ["u1", "i1", "u2", ">u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", ">f4", "f8"]))
def number_types(path, name):
    pixels = numbers(name.split(".")[0], 5, 7)
    tifffile.imwrite(path, pixels, byteorder=">" if name.startswith(">") else "<")
    return tifffile.imread(path)[None]


@case(*(f"tiled-{codec}.tif" for codec in CODECS))
def compressed(path, name):
    codec = name.removeprefix("tiled-").removesuffix(".tif")
    pixels = numbers(np.uint8, 40, 24, 3)
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(16, 16), compression=None if codec == "none" else codec)
    return first(tifffile.imread(path))


@case("planes-apart.tif", "planes-apart-lzw.tif", "planes-apart-tiled.tif")
def planes_apart(path, name):
    how = {"compression": "lzw"} if "lzw" in name else {"tile": (16, 16)} if "tiled" in name else {}
    tifffile.imwrite(path, numbers(np.uint16, 3, 20, 24), photometric="rgb", planarconfig="separate", **how)
    return tifffile.imread(path)


@case("two-channels.tif", "five-channels.tif", "near-infrared.tif")
def many_channels(path, name):
    n = {"two": 2, "five": 5, "near": 4}[name.split("-")[0]]
    how = {"photometric": "rgb", "extrasamples": ["unspecified"]} if n == 4 else {"photometric": "minisblack"}
    tifffile.imwrite(path, numbers(np.uint8, 5, 7, n), planarconfig="contig", **how)
    return first(tifffile.imread(path))


@case("white-is-zero-u1.tif", "white-is-zero-u2.tif", "white-is-zero-u4.tif", "white-is-zero-i2.tif")
def white_is_zero(path, name):
    pixels = numbers(name[-6:-4], 5, 7)
    tifffile.imwrite(path, pixels, photometric="miniswhite")
    return ~pixels[None]  # the largest number is the darkest: with all bits inverted


@case("horizontal-predictor.tif", "float-predictor.tif")
def predictor(path, name):
    pixels = numbers(np.float32 if name.startswith("float") else np.uint16, 20, 24)
    tifffile.imwrite(path, pixels, compression="zlib", predictor=True)
    return tifffile.imread(path)[None]


@case("twelve-bits.tif", "one-bit.tif")
def packed_bits(path, name):
    bits = 12 if name.startswith("twelve") else 1
    pixels = RNG.integers(0, 2**bits, (6, 16)).astype(np.uint16)
    packed = np.packbits((pixels[..., None] >> np.arange(bits)[::-1] & 1).astype(np.uint8).reshape(6, -1), axis=1)
    write_tiff(path, packed.tobytes(), 6, 16, bits)
    assert (tifffile.imread(path) == pixels).all()
    return pixels[None] if bits > 1 else pixels[None].astype(bool)


def write_tiff(path, data, height, width, bits):
    """A grey TIFF, tag by tag."""
    tags = [
        (256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1),
        (278, 4, height), (279, 4, len(data)),
    ]  # fmt: skip
    data += b"\0" * (len(data) % 2)
    directory = struct.pack("<H", len(tags))
    directory += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + b"\0\0\0\0")


@case("colour-map.tif")
def colour_map(path, name):
    table, pixels = numbers(np.uint16, 3, 256), numbers(np.uint8, 5, 7)
    tifffile.imwrite(path, pixels, photometric="palette", colormap=table)
    return table[:, pixels]


@case("big.tif")
def big(path, name):
    tifffile.imwrite(path, numbers(np.uint16, 5, 7), bigtiff=True)
    return tifffile.imread(path)[None]


@case("channels.ome.tif")
def ome_channels(path, name):
    tifffile.imwrite(path, numbers(np.uint16, 4, 5, 7), metadata={"axes": "CYX"})
    return tifffile.imread(path)


@case("stack.tif", "depth.ome.tif", "times.ome.tif", "imagej.tif", pages="pictures", page=2)
def third_page(path, name):
    how = {
        "stack.tif": {"photometric": "minisblack"},
        "depth.ome.tif": {"metadata": {"axes": "ZYX"}},
        "times.ome.tif": {"metadata": {"axes": "TCYX"}},
        "imagej.tif": {"imagej": True, "metadata": {"axes": "ZYX"}},
    }
    tifffile.imwrite(path, numbers(np.uint16, 6, *([2] if "times" in name else []), 5, 7), **how[name])
    page = tifffile.imread(path)[2]
    return page if page.ndim == 3 else page[None]


@case("pages-are-channels.tif", pages="channels")
def pages_are_channels(path, name):
    tifffile.imwrite(path, numbers(np.uint8, 6, 5, 7), photometric="minisblack", compression="lzw")
    return tifffile.imread(path)


@case("pyramid.ome.tif")
def pyramid(path, name):
    pixels = numbers(np.uint8, 64, 64)
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(pixels, subifds=1, tile=(16, 16))
        writer.write(pixels[::2, ::2], subfiletype=1, tile=(16, 16))
    return tifffile.imread(path, series=0, level=0)[None]


@case("plain.npy", "last.npy", "first.npy", "big-endian.npy", "fortran.npy", "bool.npy")
def by_numpy(path, name):
    shape = {"last.npy": (5, 7, 3), "first.npy": (3, 5, 7)}.get(name, (5, 7))
    pixels = numbers(">i4" if "endian" in name else np.float32, *shape)
    pixels = np.asfortranarray(pixels) if name == "fortran.npy" else pixels > 0 if name == "bool.npy" else pixels
    np.save(path, pixels)
    loaded = np.load(path)
    return loaded if name == "first.npy" else first(loaded)


@case("floats.fits", "signed.fits", "unsigned.fits", "scaled.fits")
def by_astropy(path, name):
    unit = fits.PrimaryHDU(numbers({"floats.fits": "f4", "unsigned.fits": "u2"}.get(name, "i2"), 5, 7))
    if name == "scaled.fits":
        unit.scale("int16", bscale=0.5, bzero=3)
    unit.writeto(path)
    return fits.getdata(path)[None]


@case("cube.fits", pages="pictures", page=1)
def cube(path, name):
    fits.PrimaryHDU(numbers("f4", 3, 5, 7)).writeto(path)
    return fits.getdata(path)[[1]]


def write_dicom(path, pixels, **facts):
    """An uncompressed DICOM file."""
    dataset = pydicom.dataset.FileDataset(str(path), {}, preamble=b"\0" * 128)
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = pydicom.uid.generate_uid()
    bits = pixels.dtype.itemsize * 8
    dataset.Rows, dataset.Columns = pixels.shape[-2:] if facts.get("SamplesPerPixel", 1) == 1 else pixels.shape[:2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    for key, value in facts.items():
        setattr(dataset, key, value)
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    dataset.save_as(path, enforce_file_format=True)


@case("bytes.dcm", "sixteen.dcm", "signed.dcm", "rescaled.dcm", "colours.dcm")
def by_pydicom(path, name):
    pixels = numbers({"bytes.dcm": "u1", "colours.dcm": "u1", "sixteen.dcm": "u2"}.get(name, "i2"), 6, 8)
    facts = {"RescaleSlope": 2, "RescaleIntercept": -1024} if name == "rescaled.dcm" else {}
    if name == "colours.dcm":
        pixels = numbers("u1", 6, 8, 3)
        facts = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    write_dicom(path, pixels, **facts)
    dataset = pydicom.dcmread(path)
    scaled = first(pydicom.pixels.apply_rescale(dataset.pixel_array, dataset))
    return scaled.astype(np.float32) if facts.get("RescaleSlope") else scaled


@case("low-is-white.dcm")
def low_is_white(path, name):
    pixels = RNG.integers(0, 2**12, (6, 8)).astype(np.uint16)
    write_dicom(path, pixels, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    return (2**12 - 1 - pixels)[None]


@case("frames.dcm", pages="pictures", page=1)
def frames(path, name):
    write_dicom(path, numbers("u1", 3, 6, 8), NumberOfFrames=3)
    return pydicom.dcmread(path).pixel_array[[1]]


PLACE = {"transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6), "crs": "EPSG:32631"}


def write_geotiff(path, pixels, **facts):
    with rasterio.open(
        path, "w", driver="GTiff", count=len(pixels), height=pixels.shape[1], width=pixels.shape[2],
        dtype=pixels.dtype.name, **PLACE, **facts,
    ) as file:  # fmt: skip
        file.write(pixels)


@case("bands-1.tif", "bands-4.tif", "bands-13.tif", "geo-tiled.tif", "geo-pixel-interleaved.tif")
def by_rasterio(path, name):
    bands = int(name.split("-")[1].removesuffix(".tif")) if name.startswith("bands") else 3
    how = {
        "geo-tiled.tif": {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"},
        "geo-pixel-interleaved.tif": {"interleave": "pixel"},
    }
    write_geotiff(path, numbers(np.uint16, bands, 20, 24), **how.get(name, {}))
    with rasterio.open(path) as file:
        return file.read()


@case("scale-and-offset.tif")
def scale_and_offset(path, name):
    write_geotiff(path, numbers(np.int16, 2, 5, 7))
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.5, 2.0), (1.0, -3.0)
    with rasterio.open(path) as file:
        return np.stack([file.read(i + 1) * file.scales[i] + file.offsets[i] for i in range(2)]).astype(np.float32)


@case("plain.zarr", "channels.zarr", "zarr-2.zarr")
def by_zarr(path, name):
    pixels = numbers(np.uint16, *([3] if name.startswith("channels") else []), 20, 24)
    version = 2 if name == "zarr-2.zarr" else 3
    array = zarr.create_array(str(path), shape=pixels.shape, chunks=pixels.shape, dtype="u2", zarr_format=version)
    array[:] = pixels
    loaded = zarr.open(str(path), mode="r")[:]
    return loaded if loaded.ndim == 3 else loaded[None]


@case("ome.zarr", pages="pictures", page=1)
def ome_zarr(path, name):
    group = zarr.open_group(str(path), mode="w")
    pixels = numbers(np.uint16, 2, 3, 20, 24)
    for level in (1, 2):
        group.create_array(f"s{level}", data=pixels[..., ::level, ::level])
    axes = [{"name": axis} for axis in "zcyx"]
    group.attrs["ome"] = {"multiscales": [{"axes": axes, "datasets": [{"path": "s1"}, {"path": "s2"}]}]}
    return pixels[1]


@pytest.mark.filterwarnings("ignore:.*mode.*parameter is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", CASES)
def test_numbers_are_those_of_the_formats_own_library(tmp_path, monkeypatch, name):
    make, given = CASES[name]
    expected = make(tmp_path / name, name)
    picture = read(tmp_path / name, **given)
    np.testing.assert_array_equal(picture.pixels, expected)
    assert picture.pixels.dtype == expected.dtype.newbyteorder("=")
    with open_picture(tmp_path / name) as opened:
        size = (opened.height, opened.width)
        assert (opened.channels * (opened.pages if given.get("pages") == "channels" else 1), *size) == expected.shape
    monkeypatch.setattr("orbitconv.data.formats.tiff._PARTS_FROM", 0)
    region = (slice(1, 4), slice(2, 5))
    np.testing.assert_array_equal(read(tmp_path / name, region=region, **given).pixels, expected[:, 1:4, 2:5])
    with regions(tmp_path / name, **given) as read_region:
        for corner in ((slice(3), slice(2)), (slice(2, 5), slice(5, 7))):
            np.testing.assert_array_equal(read_region(corner).pixels, expected[:, corner[0], corner[1]])


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_honoured_as_pillow_does(tmp_path, orientation, suffix):
    pixels, path = numbers(np.uint8, 16, 24), tmp_path / f"a.{suffix}"
    if suffix == "tif":
        tifffile.imwrite(path, pixels, extratags=[(274, "H", 1, orientation, True)])
        turned = tmp_path / "b.png"
    else:
        turned = path
    facts = image_module.Exif()
    facts[274] = orientation
    image_module.fromarray(pixels).save(turned, exif=facts)
    operations = pytest.importorskip("PIL.ImageOps")
    with image_module.open(turned) as opened:
        expected = np.asarray(operations.exif_transpose(opened))
    np.testing.assert_array_equal(read(path).pixels[0], expected)
    with open_picture(path) as opened:
        assert (opened.height, opened.width) == expected.shape


def test_kinds_name_the_bits_that_are_used(tmp_path):
    write_tiff(tmp_path / "a.tif", np.zeros(6 * 24, np.uint8).tobytes(), 6, 16, 12)
    assert (read(tmp_path / "a.tif").kind, read(tmp_path / "a.tif").limits) == ("uint12", (0, 4095))
    write_dicom(tmp_path / "b.dcm", numbers("u1", 6, 8), RescaleSlope=2, RescaleIntercept=-10)
    assert (read(tmp_path / "b.dcm").kind, read(tmp_path / "b.dcm").limits) == ("float32", (-10, 500))


@pytest.mark.parametrize("nodata", [-9999, -3.4e38])
def test_missing_data_of_geotiff_and_fits_is_known(tmp_path, nodata):
    pixels = numbers(np.float32, 2, 5, 7)
    pixels[0, 1, 2] = pixels[1, 3, 4] = nodata
    write_geotiff(tmp_path / "a.tif", pixels, nodata=nodata)
    valid = read(tmp_path / "a.tif").valid
    assert np.argwhere(~valid).tolist() == [[1, 2], [3, 4]]
    pixels[0, 1, 2] = np.nan
    fits.PrimaryHDU(pixels[0]).writeto(tmp_path / "a.fits")
    assert np.argwhere(~read(tmp_path / "a.fits").valid).tolist() == [[1, 2]]


@pytest.mark.parametrize("unit", ["PrimaryHDU", "CompImageHDU"])
@pytest.mark.parametrize("blank", [0, -1])
@pytest.mark.parametrize("scale", [{}, {"BZERO": 32768, "BSCALE": 1}, {"BZERO": 3, "BSCALE": 0.5}], ids=str)
def test_blank_integers_of_fits_are_missing(tmp_path, unit, blank, scale):
    # The integers are written as they are: what BLANK names is known without a reader.
    stored = np.array([[7, 0, -1], [0, 5, 9]], dtype=np.int16)
    path = tmp_path / "a.fits"
    made = getattr(fits, unit)(stored)
    (fits.HDUList([fits.PrimaryHDU(), made]) if unit == "CompImageHDU" else made).writeto(path)
    for key, value in {"BLANK": blank, **scale}.items():
        with fits.open(path, "update", disable_image_compression=True) as units:
            units[-1].header[key] = value
    assert np.array_equal(read(path).valid, stored != blank)


def test_labels_of_palettes_and_of_few_bits_are_numbers_not_colours(tmp_path):
    labels = RNG.integers(0, 4, (5, 8), dtype=np.uint8)
    picture = image_module.fromarray(labels)
    picture.putpalette(numbers(np.uint8, 768).tobytes())
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png", labels=True).pixels[0], labels)
    tifffile.imwrite(tmp_path / "a.tif", labels, photometric="palette", colormap=numbers(np.uint16, 3, 256))
    np.testing.assert_array_equal(read(tmp_path / "a.tif", labels=True).pixels[0], labels)
    (tmp_path / "b.png").write_bytes(two_bit_png(labels))
    with image_module.open(tmp_path / "b.png") as opened:
        assert np.asarray(opened).max() == 255  # stretched by Pillow
    np.testing.assert_array_equal(read(tmp_path / "b.png", labels=True).pixels[0], labels)


def two_bit_png(labels):
    """A grey PNG of two bits, chunk by chunk."""
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    bits = (labels[..., None] >> np.array([1, 0]) & 1).astype(np.uint8).reshape(len(labels), -1)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(bits, axis=1))
    header = struct.pack(">IIBBBBB", labels.shape[1], len(labels), 2, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "name", ["a.png", "a.jpg", "a.webp", "a.gif", "a.bmp", "a.tif", "b.tif", "a.npy", "a.fits", "a.dcm"]
)
def test_files_that_end_early_are_called_damaged(tmp_path, name):
    path, pixels = tmp_path / name, numbers(np.uint8, 64, 64)
    if name.endswith(".tif"):
        tifffile.imwrite(path, pixels, compression="zlib" if name == "b.tif" else None)
    elif name == "a.npy":
        np.save(path, pixels)
    elif name == "a.fits":
        fits.PrimaryHDU(pixels).writeto(path)
    elif name == "a.dcm":
        write_dicom(path, pixels)
    else:
        image_module.fromarray(pixels).save(path)
    content = path.read_bytes()
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(content[: int(len(content) * share)])
        refuses(DamagedError, "is damaged", read, path)


def test_flipped_bits_are_read_or_refused_but_never_raise_errors_of_other_libraries(tmp_path):
    refused = 0
    for name, (make, given) in CASES.items():
        path = tmp_path / name
        make(path, name)
        if path.is_dir():
            continue
        content = path.read_bytes()
        for _ in range(4):
            broken = bytearray(content)
            for place in RNG.integers(len(broken), size=3):
                broken[place] ^= 1 << RNG.integers(8)
            path.write_bytes(broken)
            try:
                read(path, **given)
            except DataError:
                refused += 1
    assert refused > 50


def test_other_kinds_are_refused_by_name_and_not_called_damaged(tmp_path):
    fits.BinTableHDU.from_columns([fits.Column("a", "E", array=np.zeros(3))]).writeto(tmp_path / "table.fits")
    np.save(tmp_path / "objects.npy", np.array([{}, None], dtype=object), allow_pickle=True)
    np.save(tmp_path / "complex.npy", np.zeros((3, 3), complex))
    (tmp_path / "scan.nii").write_bytes(b"\x5c\x01\0\0" + b"\0" * 400)
    with tifffile.TiffWriter(tmp_path / "two.tif") as writer:
        writer.write(numbers(np.uint8, 5, 7))
        writer.write(numbers(np.uint8, 9, 7))
    for name, said in (
        ("table.fits", "no image, only"), ("objects.npy", "Python objects"), ("complex.npy", "complex128"),
        ("scan.nii", "NIfTI"), ("two.tif", "2 pictures of different sizes"),
    ):  # fmt: skip
        refuses(UnsupportedError, said, read, tmp_path / name)


def test_stacks_empty_files_pipes_and_nan_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", numbers(np.uint8, 6, 5, 7), photometric="minisblack")
    refuses(DataError, r"stack of 6 pages.*pages='pictures'.*pages='channels'", read, tmp_path / "stack.tif")
    (tmp_path / "empty.png").touch()
    refuses(DamagedError, "empty", read, tmp_path / "empty.png")
    os.mkfifo(tmp_path / "pipe.png")
    refuses(DataError, "no regular file", read, tmp_path / "pipe.png")
    tifffile.imwrite(tmp_path / "hole.tif", np.array([[1, np.nan, np.inf]], dtype=np.float32))
    refuses(DataError, "2 NaN or infinite pixels among 3", read, tmp_path / "hole.tif")


def test_a_missing_extra_is_named_in_one_line(tmp_path, monkeypatch):
    write_dicom(tmp_path / "a.dcm", numbers("u1", 6, 8))
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    refuses(ModuleNotFoundError, r"a\.dcm needs the module pydicom.*'\.\[formats\]'", read, tmp_path / "a.dcm")


def test_the_first_bytes_tell_the_format_not_the_name(tmp_path):
    pixels = numbers(np.uint8, 5, 7)
    content = io.BytesIO()
    image_module.fromarray(pixels).save(content, "PNG")
    (tmp_path / "a.jpg").write_bytes(content.getvalue())
    np.testing.assert_array_equal(read(Path(tmp_path / "a.jpg")).pixels[0], pixels)
