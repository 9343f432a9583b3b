"""Bases as files: the same bits back, and no damaged file taken for a whole one."""

import errno
import json
import os
import struct

import pytest
import torch

from orbitconv.bases import BilinearBasis, ExactBasis, HarmonicBasis, UnitaryBasis, read_basis, save_basis
from orbitconv.bases.files import TabulatedBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.learn import measure_moments

BASES = [
    ExactBasis(Cyclic(4), (3, 5)),
    BilinearBasis(Cyclic(8), 3),
    HarmonicBasis(Dihedral(6), 5),
    HarmonicBasis(Cyclic(5), 4),
    TabulatedBasis(Cyclic(8), (2, 2), torch.randn(8, 3, 2, 2, generator=torch.Generator().manual_seed(0))),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "basis.safetensors"


@pytest.mark.parametrize("basis", BASES, ids=str)
def test_a_basis_reloads_to_the_same_bits(basis, path):
    save_basis(basis, path)
    again = read_basis(path)
    assert torch.equal(again.atoms, basis.atoms)
    assert (again.group, again.kernel_size) == (basis.group, basis.kernel_size)


def test_a_learned_basis_reloads_to_the_same_bits(path, smooth):
    basis = UnitaryBasis(Dihedral(8), 3, measure_moments(smooth, Dihedral(8), 3))
    save_basis(basis, path, data="noise", images=40)
    again = read_basis(path)
    assert torch.equal(again.atoms, basis.atoms)
    assert {k: again.metadata[k] for k in ("family", "data", "images")} == {
        "family": "unitary", "data": "noise", "images": 40,
    }  # fmt: skip


def test_only_what_exact_moves_cannot_supply_is_stored(path):
    save_basis(HarmonicBasis(Dihedral(8), 5), path)
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    assert json.loads(content[8 : 8 + length])["atoms"]["shape"] == [2, 11, 5, 5]


def test_any_safetensors_library_opens_the_file(path):
    library = pytest.importorskip("safetensors.torch")
    basis = HarmonicBasis(Cyclic(8), 3)
    save_basis(basis, path)
    assert torch.equal(library.load_file(path)["atoms"], basis.atoms[:2])


def test_a_file_is_cut_between_atoms_that_turn_together_only(path):
    basis = HarmonicBasis(Cyclic(8), 3)
    save_basis(basis, path, frequencies=[0, 0, 1, 1, 2, 2])
    cut = read_basis(path, dimension=4)
    assert torch.equal(cut.atoms, basis.atoms[:, :4])
    assert cut.metadata["frequencies"] == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="1, 2, 4, 6"):
        read_basis(path, dimension=5)


def damaged(content: bytes, how: str) -> bytes:
    (length,) = struct.unpack("<Q", content[:8])
    if how == "truncated":
        return content[:-8]
    if how == "flipped":
        return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]
    if how == "head":
        return content[:20]
    if how == "empty":
        return b""
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] |= {"version": "99"} if how == "version" else {"format": "other"}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("truncated", "is truncated"), ("flipped", "is damaged"), ("head", "no basis file"), ("empty", "no basis file"),
        ("version", "version 99"), ("format", "'other'"),
    ],
)  # fmt: skip
def test_damaged_files_are_refused_by_name(path, how, words):
    save_basis(HarmonicBasis(Cyclic(8), 3), path)
    path.write_bytes(damaged(path.read_bytes(), how))
    with pytest.raises(ValueError, match=rf"basis\.safetensors.*{words}"):
        read_basis(path)


def test_a_full_disk_leaves_no_file(path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_basis(HarmonicBasis(Cyclic(8), 3), path)
    assert list(path.parent.iterdir()) == []
