import gzip
import os
import struct

import numpy as np
import pytest

from orbitconv.data import DataError
from orbitconv.data.published.idx import idx_bytes, read_idx
from raising import refuses

VALUES = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
BODY = VALUES.tobytes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "images.gz"


def content(magic=2051, shape=(2, 4, 3), body=BODY):
    return struct.pack(f">{1 + len(shape)}I", magic, *shape) + body


def test_values_are_read_in_c_order(path):
    path.write_bytes(gzip.compress(content()))
    np.testing.assert_array_equal(read_idx(path, (2, 4, 3)), VALUES)


def test_written_file_has_the_layout_of_the_format():
    assert gzip.decompress(idx_bytes(VALUES)) == content()


def test_written_bytes_hold_no_time_stamp():
    assert idx_bytes(VALUES)[4:8] == bytes(4)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(content(magic=2049)), r"expected magic 0x00000803, got 0x00000801"),
        (gzip.compress(content(magic=0x0D03)), r"expected magic 0x00000803, got 0x00000d03"),
        (gzip.compress(content(shape=(3, 4, 3))), r"expected \(2, 4, 3\), got \(3, 4, 3\)"),
        (gzip.compress(content(shape=(2**32 - 1, 4, 3))), r"got \(4294967295, 4, 3\)"),
        (gzip.compress(content()[:10]), r"expected a header of 16 bytes, got 10"),
        (gzip.compress(content(body=b"")), r"expected 24 bytes of data, got 0"),
        (gzip.compress(content()[:-1]), r"expected 24 bytes of data, got 23"),
        (gzip.compress(content() + b"x"), r"expected 24 bytes of data, got more than 24"),
        (gzip.compress(content())[:-9], r"damaged or truncated"),
        (gzip.compress(content())[:-6] + b"\0\0\0\0\0\0", r"CRC check failed"),
        (content(), r"Not a gzipped file"),
        (b"", r"header of 16 bytes, got 0"),
    ],
    ids=[
        "labels-for-images", "float-type", "count", "absurd-count", "short-header", "no-body", "short-body",
        "long-body", "truncated-gzip", "crc", "not-gzip", "empty",
    ],
)  # fmt: skip
def test_damaged_file_is_refused_with_what_is_wrong_and_what_to_do(path, data, message):
    path.write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path, (2, 4, 3))
    assert str(path) in str(caught.value)
    assert "Delete the file and load the set again" in str(caught.value)


def test_folder_in_place_of_the_file_is_refused(path):
    path.mkdir()
    refuses(DataError, r"readable file at .*images\.gz, got: Is a directory", read_idx, path, (2, 4, 3))


def test_pipes_are_refused_and_not_waited_on(tmp_path):
    os.mkfifo(tmp_path / "train-images-idx3-ubyte.gz")
    refuses(DataError, "pipe", read_idx, tmp_path / "train-images-idx3-ubyte.gz", (1, 2, 2))
