from dataclasses import replace

import pytest

from orbitconv.train import Training
from studies.bases import trained_bases
from studies.bases.trained_bases import TrainedBases, compare_trained_bases

SMALL = {
    "seeds": 1, "kernel_sizes": (3,), "train_images": 64, "fit_images": 50, "test_images": 20, "curve_images": 5,
    "parameters": 2000, "training": Training(epochs=1, batch_size=32),
}  # fmt: skip


def test_learned_and_hand_made_bases_meet_at_one_kernel_dimension_and_size(tmp_path, data_dir, monkeypatch):
    config = TrainedBases(out=tmp_path / "run", data_dir=data_dir, **SMALL)
    record = compare_trained_bases(config)
    families = {row["family"] for row in record.rows}
    assert families == {"harmonic", "spectral", "spectral, whitened"}
    for column, value in (("kernel", 3), ("num_atoms", 6), ("group", "c8"), ("train", "upright")):
        assert {row[column] for row in record.rows} == {value}
    assert len({row["parameters"] for row in record.rows}) == 1
    assert len({row["basis_error_worst"] for row in record.rows}) == 3
    assert len(record.rows) == 3 * (2 + 24)

    monkeypatch.setattr(trained_bases, "measure", lambda *_: pytest.fail("done already"))
    assert compare_trained_bases(config).rows == record.rows
    with pytest.raises(FileExistsError, match="other settings"):
        compare_trained_bases(replace(config, train_images=96))
