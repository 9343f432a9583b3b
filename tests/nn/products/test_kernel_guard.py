"""Which compiled files are loaded: harmless ones are put where somebody else could have put them, and must be left."""

import os
import stat
import warnings
from pathlib import Path

import pytest

from orbitconv.nn import GroupConv2d
from orbitconv.nn.products import kernel
from orbitconv.nn.products.kernel import library as kernel_library
from orbitconv.nn.products.kernel.guard import UntrustedFileError, check_trusted, digest_of, install, private_folder
from orbitconv.nn.products.kernel.library import forget, place
from raising import refuses


@pytest.fixture
def installed(tmp_path):
    """A harmless file in place of a library."""
    folder = tmp_path / "cache" / "kernels"
    private_folder(folder)
    made = folder / "made"
    made.write_bytes(b"harmless")
    install(made, folder / "one.so")
    return folder / "one.so"


def test_an_installed_file_is_trusted_and_private(installed):
    check_trusted(installed)
    assert stat.S_IMODE(installed.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(installed.stat().st_mode) & 0o077 == 0


def test_a_full_disk_or_a_cut_leaves_the_old_pair_or_one_that_is_refused(installed, monkeypatch):
    made = installed.with_name("made")
    made.write_bytes(b"new")

    def full(*_):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:  # the bytes reach the disk before the file takes its place
        patch.setattr(os, "fsync", full)
        refuses(OSError, "No space", install, made, installed)
    check_trusted(installed)
    monkeypatch.setattr("orbitconv.nn.products.kernel.guard.write_atomically", full)
    refuses(OSError, "No space", install, made, installed)
    refuses(UntrustedFileError, "does not match the checksum", check_trusted, installed)


def test_each_library_has_its_own_checksum(installed):
    other = installed.with_name("two.so")
    made = installed.with_name("made")
    made.write_bytes(b"harmless too")
    install(made, other)
    check_trusted(installed)
    check_trusted(other)
    digest_of(other).write_text(digest_of(installed).read_text())
    refuses(UntrustedFileError, "does not match the checksum", check_trusted, other)


@pytest.mark.parametrize(("damage", "message"), [
    (lambda path: path.write_bytes(b"harmleSs"), "does not match the checksum"),
    (lambda path: path.write_bytes(b"harm"), "does not match the checksum"),
    (lambda path: digest_of(path).unlink(), "checksum one.so.sha256 is missing"),
    (lambda path: path.chmod(0o777), r"may write one\.so \(mode 0777\)"),
    (lambda path: path.chmod(0o720), r"may write one\.so \(mode 0720\)"),
    (lambda path: digest_of(path).chmod(0o666), r"may write one\.so\.sha256"),
    (lambda path: path.parent.chmod(0o777), r"may write kernels \(mode 0777\)"),
    (lambda path: path.parent.parent.chmod(0o777), "the folder .*cache can be changed by other users"),
    (lambda path: path.symlink_to(path.rename(path.with_name("real"))), "one.so is a symbolic link"),
    (
        lambda path: path.parent.symlink_to(path.parent.rename(path.parent.with_name("real"))),
        "kernels is a symbolic link",
    ),
])  # fmt: skip
def test_refuses_what_changed_or_others_could_change(installed, damage, message):
    damage(installed)
    refuses(UntrustedFileError, message, check_trusted, installed)


@pytest.mark.parametrize("which", ["file", "folder", "above"])
def test_refuses_what_belongs_to_another_user(installed, monkeypatch, which):
    path = {"file": installed, "folder": installed.parent, "above": installed.parent.parent}[which]
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:  # nobody but root gives files away: then it is us who are another
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    refuses(UntrustedFileError, r"belongs to another user|can be changed by other users", check_trusted, installed)


def test_refuses_a_relative_path(installed, monkeypatch):
    monkeypatch.chdir(installed.parent)
    refuses(UntrustedFileError, "absolute path", lambda: check_trusted(installed.relative_to(installed.parent)))


SPOILT = {
    "mode": lambda path: path.chmod(0o777),
    "link": lambda path: path.symlink_to(path.rename(path.with_name("moved"))),
    "flipped": lambda path: path.write_bytes(b"harmlesS"),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "pipe": lambda path: (path.unlink(), os.mkfifo(path, 0o600)),
    "pipe as checksum": lambda path: (digest_of(path).unlink(), os.mkfifo(digest_of(path), 0o600)),
}


@pytest.mark.parametrize("way", [*SPOILT, "relative", "closed"])
def test_layers_say_so_once_and_go_on(installed, monkeypatch, tmp_path, way):
    def load(path):
        raise AssertionError(f"{path} was loaded")

    monkeypatch.setattr(kernel_library, "load", load)
    monkeypatch.setenv("ORBITCONV_CACHE", str(tmp_path / "cache"))
    install(installed, place())
    if way == "relative":
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ORBITCONV_CACHE", "cache")
    elif way == "closed":
        close(place().parent, monkeypatch)
    else:
        SPOILT[way](place())
    assert_told_once("is not used.*orbitconv build-kernel")


def assert_told_once(words):
    """A layer says why no kernel is used, and goes on without a word."""
    forget()
    layer = GroupConv2d(2, 2, "spectral-c4-k3", fourier=False)
    with pytest.warns(UserWarning, match=words) as told:
        layer.filters()
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert layer.filters().shape == (8, 8, 3, 3)
    assert not kernel.is_built()


def close(folder, monkeypatch):
    """Make a folder one that only another user may enter."""
    if os.geteuid():
        folder.chmod(0)
        return
    real = Path.lstat

    def lstat(path):  # root may enter every folder
        if folder in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "lstat", lstat)


def test_kernels_of_another_machine_are_told_once_and_left(installed, monkeypatch, tmp_path):
    monkeypatch.setenv("ORBITCONV_CACHE", str(tmp_path / "cache"))
    install(installed, installed.with_name("expansion-0123456789abcdef.so"))
    assert_told_once("of another processor or version.*not used.*orbitconv build-kernel")


def test_nothing_is_built_where_others_may_write(monkeypatch, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv("ORBITCONV_CACHE", str(shared))
    refuses(UntrustedFileError, "shared can be changed by other users", kernel.build)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORBITCONV_CACHE", "here")
    refuses(UntrustedFileError, "absolute path", kernel.build)
    assert not (tmp_path / "here").exists()
