"""Tiny data sets in the upstream formats, written here byte by byte, and a server that can misbehave."""

import gzip
import hashlib
import os
import re
import struct
import threading
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from orbitconv.data.published.cifar import CIFAR10, CifarSource
from orbitconv.data.published.mnist import MNIST, TEST, TRAIN, IdxSource
from orbitconv.data.published.source import Split

REAL_DATA = os.environ.get("ORBITCONV_DATA")


@pytest.fixture(autouse=True)
def no_folders_of_the_user(monkeypatch, tmp_path):
    """Keep the tests away from the data and the cache of whoever runs them."""
    monkeypatch.delenv("ORBITCONV_DATA", raising=False)
    monkeypatch.setenv("ORBITCONV_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def real_data() -> Path:
    if not REAL_DATA:
        pytest.skip("needs the real data sets: name their folder in ORBITCONV_DATA")
    return Path(REAL_DATA)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Tiny:
    """A small data set: what is known about it, its files, and the values in them."""

    source: IdxSource | CifarSource
    files: dict[str, bytes] = field(default_factory=dict)
    values: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def write(self, root: Path) -> Path:
        """Write the upstream files into their folder below `root`."""
        folder = root / self.source.folders[0]
        folder.mkdir(parents=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return folder


def split_of(files: tuple[str, ...], images: np.ndarray, labels: np.ndarray) -> Split:
    return Split(
        files=files, shape=images.shape, pixels_sha256=sha256(images.tobytes()), labels_sha256=sha256(labels.tobytes()),
    )  # fmt: skip


@pytest.fixture
def tiny_mnist() -> Tiny:
    """Five training and three test images of 4 x 3 pixels, without mirrors or package."""
    rng = np.random.default_rng(0)
    tiny = Tiny(MNIST)
    splits = {}
    for name, files, n in (("train", TRAIN, 5), ("test", TEST, 3)):
        images, labels = rng.integers(0, 256, (n, 1, 4, 3), np.uint8), rng.integers(0, 10, n, np.uint8)
        tiny.files[files[0]] = gzip.compress(struct.pack(">IIII", 2051, n, 4, 3) + images.tobytes())
        tiny.files[files[1]] = gzip.compress(struct.pack(">II", 2049, n) + labels.tobytes())
        tiny.values[name] = images, labels
        splits[name] = split_of(files, images, labels)
    sums = {name: sha256(content) for name, content in tiny.files.items()}
    tiny.source = replace(MNIST, splits=splits, file_sha256=sums, mirrors=(), package=None)
    return tiny


@pytest.fixture
def tiny_cifar() -> Tiny:
    """Ten training and two test images of 2 x 3 pixels in six files, without mirrors or package."""
    rng = np.random.default_rng(1)
    tiny = Tiny(CIFAR10)
    splits = {}
    for name, spec in CIFAR10.splits.items():
        n = 2 * len(spec.files)
        images, labels = rng.integers(0, 256, (n, 3, 2, 3), np.uint8), rng.integers(0, 10, n, np.uint8)
        for i, file in enumerate(spec.files):
            records = [bytes([labels[j]]) + images[j].tobytes() for j in (2 * i, 2 * i + 1)]
            tiny.files[file] = b"".join(records)
        tiny.values[name] = images, labels
        splits[name] = split_of(spec.files, images, labels)
    sums = {name: sha256(content) for name, content in tiny.files.items()}
    tiny.source = replace(CIFAR10, splits=splits, file_sha256=sums, mirrors=(), package=None)
    return tiny


@dataclass
class Server:
    """Serves `files`; `cuts` holds, for each path, after how many bytes the next answers break off."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    ranges: bool = True
    lengths: bool = True
    hang: threading.Event | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def server():
    """An HTTP server on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range")
            state.asked.append((self.path, wanted))
            if state.hang:
                state.hang.wait(10)
                return
            content = state.files.get(self.path.lstrip("/"))
            if content is None:
                self.send_error(404)
                return
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and state.ranges else 0
            if start and start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            body = content[start:]
            if state.lengths:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            cuts = state.cuts.get(self.path.lstrip("/"))
            self.wfile.write(body[: cuts.pop(0)] if cuts else body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        state = Server(f"http://127.0.0.1:{http.server_port}/")
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        if state.hang:
            state.hang.set()
        http.shutdown()
        thread.join()


@pytest.fixture
def dead_mirror() -> str:
    """An address at which nothing listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as http:
        port = http.server_port
    return f"http://127.0.0.1:{port}/"
