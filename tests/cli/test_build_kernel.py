"""`orbitconv build-kernel` as a person calls it."""

import shutil

import pytest

from orbitconv.cli import main
from orbitconv.nn.products import kernel
from orbitconv.nn.products.kernel.library import forget, place
from refusals import refused


@pytest.fixture(autouse=True)
def empty_cache(built_kernel, monkeypatch, tmp_path):
    """A cache of its own, on a machine that has a compiler."""
    monkeypatch.setenv("ORBITCONV_CACHE", str(tmp_path / "cache"))
    forget()


def test_it_builds_says_where_and_deletes_again(capsys):
    assert not kernel.is_built()
    main(["build-kernel"])
    assert kernel.is_built()
    assert f"{place()} is built" in " ".join(capsys.readouterr().out.split())
    main(["build-kernel", "--remove"])
    assert not kernel.is_built()
    assert not place().exists()
    assert "Deleted" in capsys.readouterr().out
    main(["build-kernel", "--remove"])
    assert "There is no kernel to delete." in capsys.readouterr().out


def test_without_a_compiler_it_ends_with_2_and_leaves_nothing(monkeypatch, capsys):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "needs a C++ compiler" in refused(capsys, ["build-kernel"])
    assert not place().exists()


def test_a_cache_that_cannot_be_written_ends_with_2(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ORBITCONV_CACHE", str(tmp_path / "file"))
    assert "file" in refused(capsys, ["build-kernel"])
