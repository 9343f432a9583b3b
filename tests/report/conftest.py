"""A few trained runs: two seeds of the plain network, one on C4, and one on C4 that was stopped."""

import pytest

from small_runs import cut_off, train_small, use_small_digits


@pytest.fixture
def small_data(monkeypatch):
    """All data sets are small digits."""
    use_small_digits(monkeypatch)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Folder with the runs."""
    pytest.importorskip("lightning_fabric")
    pytest.importorskip("safetensors")
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        use_small_digits(patch)
        for seed in (0, 1):
            train_small(folder / f"plain-{seed}", seed=seed)
        train_small(folder / "c4 <0>", basis="exact-c4")
    cut_off(folder / "c4-stopped", basis="exact-c4", seed=1)
    return folder
