import pooch

from orbitconv.cache import cache_root


def test_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBITCONV_CACHE", str(tmp_path / "mine"))
    assert cache_root() == tmp_path / "mine"


def test_cache_is_where_the_system_intends_otherwise(monkeypatch):
    monkeypatch.delenv("ORBITCONV_CACHE", raising=False)
    assert cache_root() == pooch.os_cache("orbitconv")
