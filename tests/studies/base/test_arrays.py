"""Arrays of studies: the same back, and a damaged file refused by name."""

import numpy as np
import pytest

from studies.base.arrays import read_arrays, write_arrays


def test_arrays_come_back(tmp_path):
    write_arrays(tmp_path / "a.npz", x=np.arange(6).reshape(2, 3), y=np.float32([0.5]))
    x, y = read_arrays(tmp_path / "a.npz", "x", "y")
    assert (x.tolist(), y.tolist(), y.dtype) == ([[0, 1, 2], [3, 4, 5]], [0.5], np.float32)


@pytest.mark.parametrize("how", ["cut", "flipped", "text", "empty", "of other names", "one array"])
def test_a_damaged_file_is_refused_by_name(tmp_path, how):
    path = tmp_path / "a.npz"
    write_arrays(path, **{"z" if how == "of other names" else "x": np.arange(1000)})
    content = path.read_bytes()
    if how == "one array":
        with path.open("wb") as file:
            np.save(file, np.arange(3))
    elif how != "of other names":
        path.write_bytes({
            "cut": content[:500], "text": b"mine", "empty": b"",
            "flipped": content[:400] + bytes([content[400] ^ 1]) + content[401:],
        }[how])  # fmt: skip
    with pytest.raises(ValueError, match=r"a\.npz is damaged"):
        read_arrays(path, "x")
