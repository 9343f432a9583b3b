"""Kernels that compute something else."""

import pytest

from orbitconv.nn.products.kernel import building


@pytest.fixture
def spoil(monkeypatch, tmp_path):
    """Replaces words in one of the sources of the kernel, and gives an empty cache."""

    def replace(name, right, wrong):
        text, source = getattr(building, name).read_text(), tmp_path / "spoiled.cpp"
        assert right in text
        source.write_text(text.replace(right, wrong))
        monkeypatch.setattr(building, name, source)
        monkeypatch.setenv("ORBITCONV_CACHE", str(tmp_path / "cache"))
        return tmp_path / "cache"

    return replace
