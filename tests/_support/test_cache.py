import pathlib

import pooch
import pytest

from orbitconv._support.cache import cache_root


def test_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBITCONV_CACHE", str(tmp_path / "mine"))
    assert cache_root() == tmp_path / "mine"


@pytest.mark.parametrize("chosen", [None, "/somewhere/else", "not/absolute"])
def test_cache_is_where_the_system_intends_otherwise(monkeypatch, chosen):
    monkeypatch.delenv("ORBITCONV_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if chosen:
        monkeypatch.setenv("XDG_CACHE_HOME", chosen)
    if chosen != "not/absolute":
        assert cache_root() == pooch.os_cache("orbitconv")
    assert cache_root() == pathlib.Path(chosen if chosen == "/somewhere/else" else pathlib.Path.home() / ".cache") / (
        "orbitconv"
    )


@pytest.mark.parametrize(
    ("system", "place"), [("darwin", "Library/Caches/orbitconv"), ("win32", "AppData/Local/orbitconv/orbitconv/Cache")]
)
def test_cache_of_other_systems(monkeypatch, tmp_path, system, place):
    for name in ("ORBITCONV_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr(pathlib.Path, "home", lambda: tmp_path)
    assert cache_root() == tmp_path / place
