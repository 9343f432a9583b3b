"""The format of saved files: the same bits back, and no damaged, forged or foreign file taken for a sound one."""

import errno
import hashlib
import json
import os
import re
import struct

import pytest
import torch

from orbitconv._support.saved import read_saved, write_saved
from raising import refuses

TENSORS = {
    "a": torch.tensor([[1.5, -2.0], [0.0, 1e300]], dtype=torch.float64),
    "b": torch.tensor([3.25, -0.0], dtype=torch.bfloat16),
    "c.weight": torch.arange(5),
    "flag": torch.tensor([True, False, True]),
    "half": torch.tensor(0.1, dtype=torch.float16),
    "none": torch.empty(0, 3),
}
DESCRIPTION = {"name": 'the "sha256": ', "sizes": [1, 2], "nested": {"error": 0.25}}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "x.safetensors"
    write_saved(path, "basis", TENSORS, DESCRIPTION)
    return path


def split(content: bytes) -> tuple[dict, bytes]:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join(header: dict, data: bytes, *, sign: bool = True) -> bytes:
    """A file with a right checksum, computed here from the words that describe the format."""

    def whole(checksum: str) -> bytes:
        header["__metadata__"]["sha256"] = checksum
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data

    return whole(hashlib.sha256(whole("0" * 64)).hexdigest()) if sign else whole(header["__metadata__"]["sha256"])


def test_tensors_of_every_dtype_and_the_description_return_unchanged(path):
    saved = read_saved(path, "basis")
    assert saved.description == DESCRIPTION
    assert list(saved.tensors) == list(TENSORS)
    for name, tensor in TENSORS.items():
        assert (saved.tensors[name].dtype, saved.tensors[name].shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(saved.tensors[name], tensor)
    saved.tensors["a"].zero_()  # memory of its own, which may be written to


def test_the_safetensors_library_reads_the_same(path):
    library = pytest.importorskip("safetensors")
    with library.safe_open(path, framework="pt") as file:
        assert set(file.keys()) == set(TENSORS)
        assert all(torch.equal(file.get_tensor(name), tensor) for name, tensor in TENSORS.items())
        assert json.loads(file.metadata()["description"]) == DESCRIPTION


def test_the_checksum_is_that_of_the_whole_file_with_zeros_in_its_place(path):
    header, data = split(path.read_bytes())
    path.write_bytes(join(header, data))
    assert read_saved(path, "basis").description == DESCRIPTION


def test_any_flipped_bit_is_refused(path):
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << at % 8)]) + content[at + 1 :])
        refuses(ValueError, r"x\.safetensors (is|holds|has)", read_saved, path, "basis")


def test_a_file_cut_or_lengthened_anywhere_is_refused(path):
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        refuses(ValueError, r"x\.safetensors (is truncated|is not a saved basis)", read_saved, path, "basis")
    path.write_bytes(content + b"\0")
    refuses(ValueError, "is damaged: its checksum", read_saved, path, "basis")


def test_swapped_names_are_refused(path):
    """The numbers are as they were; only their names changed places."""
    write_saved(path, "basis", {"a": torch.ones(3), "b": torch.zeros(3)}, {})
    header, data = split(path.read_bytes())
    header["a"], header["b"] = header["b"], header["a"]
    path.write_bytes(join(header, data, sign=False))
    refuses(ValueError, "is damaged: its checksum", read_saved, path, "basis")


def test_a_refusal_names_the_kind_found_and_the_kind_expected(path):
    refuses(ValueError, "holds a saved basis, expected a saved network", read_saved, path, "network")


def test_files_of_other_programs_are_refused(path):
    library = pytest.importorskip("safetensors.torch")
    library.save_file({"a": torch.ones(3)}, path, {"format": "pt"})
    refuses(ValueError, r"x\.safetensors is not a saved basis", read_saved, path, "basis")
    path.write_text("{" * 100)
    refuses(ValueError, "is not a saved basis", read_saved, path, "basis")


def change(path, how, *, data=None):
    header, numbers = split(path.read_bytes())
    how(header)
    path.write_bytes(join(header, numbers if data is None else data))


def test_a_newer_version_is_said_to_be_newer(path):
    change(path, lambda header: header["__metadata__"].update(version="99"))
    with pytest.raises(ValueError, match=r"has format version 99; this orbitconv reads up to 1\. Update orbitconv"):
        read_saved(path, "basis")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_nan_and_infinity_are_neither_written_nor_read(tmp_path, value, dtype):
    bad = torch.tensor([0.0, value], dtype=dtype)
    with pytest.raises(ValueError, match="save_action expects finite a, got 1 NaN or infinite values among 2"):
        write_saved(tmp_path / "y.safetensors", "action", {"a": bad}, {})
    assert list(tmp_path.iterdir()) == []
    path = tmp_path / "x.safetensors"
    write_saved(path, "basis", {"a": torch.zeros(2, dtype=dtype)}, {})
    change(path, lambda _: None, data=bad.view(torch.uint8).numpy().tobytes())
    refuses(ValueError, "holds 1 NaN or infinite values in 'a'", read_saved, path, "basis")


@pytest.mark.parametrize(("entry", "words"), [
    ({"shape": [10**9, 10**9]}, "a shape in its header"),
    ({"shape": [-2, -2]}, "malformed"),
    ({"shape": [0, 10**30], "data_offsets": [0, 0]}, "a shape in its header is too large"),
    ({"shape": [2.0, 2]}, "malformed"),
    ({"shape": None}, "malformed"),
    ({"dtype": "F8"}, "its dtype 'F8' is unknown"),
    ({"dtype": "F32"}, "a shape in its header differs"),
    ({"data_offsets": [8, 40]}, "overlap or leave gaps"),
    ({"data_offsets": [0]}, ""),
    ({"data_offsets": [0, 8 * 10**15], "shape": [10**15]}, "a shape in its header is too large"),
])  # fmt: skip
def test_forged_places_are_refused_before_anything_is_built(path, monkeypatch, entry, words):
    change(path, lambda header: header["a"].update(entry))
    monkeypatch.setattr(torch, "frombuffer", None)
    monkeypatch.setattr(torch, "empty", None)
    refuses(ValueError, rf"x\.safetensors is damaged: .*{re.escape(words)}", read_saved, path, "basis")


def test_a_size_that_the_file_does_not_have_is_refused_before_anything_is_built(path):
    write_saved(path, "basis", {"a": torch.zeros(1)}, {})
    change(path, lambda header: header["a"].update(shape=[10**12], data_offsets=[0, 4 * 10**12]))
    refuses(ValueError, r"is truncated: expected 40000000\d+ bytes, got \d+\.", read_saved, path, "basis")


@pytest.mark.parametrize("length", [2**24 + 1, 2**63])
def test_a_header_that_is_said_to_be_huge_is_not_read(path, length):
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    refuses(ValueError, "is not a saved basis", read_saved, path, "basis")


@pytest.mark.parametrize("place", ["header", "description"])
def test_json_nested_without_end_is_refused(path, place):
    deep = "[" * 100_000 + "]" * 100_000
    if place == "header":
        text = f'{{"__metadata__": {deep}}}'.encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text)
    else:
        change(path, lambda header: header["__metadata__"].update(description=deep))
    refuses(ValueError, r"x\.safetensors is (not a saved basis|damaged)", read_saved, path, "basis")


@pytest.mark.parametrize("how", [
    lambda header: header["__metadata__"].pop("description"),
    lambda header: header["__metadata__"].update(description="[1]"),
    lambda header: header["__metadata__"].update(description='{"error": NaN}'),
    lambda header: header["__metadata__"].update(description=[1]),
], ids=["none", "list", "NaN", "no text"])  # fmt: skip
def test_a_description_that_is_no_json_object_is_refused(path, how):
    change(path, how)
    refuses(ValueError, "is damaged: its description cannot be read", read_saved, path, "basis")


@pytest.mark.parametrize("checksum", [[1], None, "0", "x" * 64])
def test_a_checksum_that_is_none_is_refused(path, checksum):
    header, data = split(path.read_bytes())
    header["__metadata__"]["sha256"] = checksum
    path.write_bytes(join(header, data, sign=False))
    refuses(ValueError, "is damaged: it", read_saved, path, "basis")


def test_a_pipe_is_refused_at_once(tmp_path):
    pipe = tmp_path / "x.safetensors"
    os.mkfifo(pipe)
    refuses(ValueError, "is not a regular file; expected a saved basis", read_saved, pipe, "basis")


@pytest.mark.parametrize(("tensors", "description", "error"), [
    ({"a": torch.ones(1, dtype=torch.complex64)}, {}, TypeError),
    ({"a": torch.ones(1)}, {"error": float("nan")}, ValueError),
    ({"a": torch.ones(1)}, {"tags": {1}}, ValueError),
    ({"a": torch.ones(1)}, {"text": "x" * 2**24}, ValueError),
])  # fmt: skip
def test_what_the_format_cannot_hold_is_refused_and_nothing_written(tmp_path, tensors, description, error):
    refuses(error, "save_basis expects", write_saved, tmp_path / "x.safetensors", "basis", tensors, description)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_file_as_it_was(path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    refuses(OSError, "No space left", write_saved, path, "basis", {"a": torch.ones(1)}, {})
    assert [one.name for one in path.parent.iterdir()] == ["x.safetensors"]
    assert path.read_bytes() == before
