import pytest

from orbitconv.data.cache import install, locked


def test_lock_keeps_others_out_until_it_is_left(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    with locked(tmp_path, "mnist"), (tmp_path / ".mnist.lock").open() as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with locked(tmp_path, "cifar10"):
            assert (tmp_path / ".cifar10.lock").exists()
    with (tmp_path / ".mnist.lock").open() as other:
        assert fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB) is None


def test_installing_replaces_old_files_and_moves_only_those_named(tmp_path):
    staging, folder = tmp_path / "staging", tmp_path / "folder"
    staging.mkdir()
    folder.mkdir()
    (folder / "a").write_text("old")
    for name in "ab":
        (staging / name).write_text("new")
    install(staging, folder, ["a"])
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a": "new"}
    assert [path.name for path in staging.iterdir()] == ["b"]
