"""The study of MLP, learned translations and CNN, on small stand-ins for digits."""

import json
from dataclasses import replace

import pytest

from digits import load_small_digits, small_digits
from orbitconv._support.progress import silent
from orbitconv.train import Training
from raising import refuses
from studies.mlp_to_cnn import bench as mlp_bench
from studies.mlp_to_cnn import study as mlp_to_cnn
from studies.mlp_to_cnn.bench import Bench, build, measure
from studies.mlp_to_cnn.curves import layout_name
from studies.mlp_to_cnn.lessons import Lessons
from studies.mlp_to_cnn.study import MlpToCnn, compare_mlp_to_cnn

SMALL = {
    "seeds": 1, "train_images": 200, "test_images": 50, "pairs": 200, "reach": 3, "curve_pairs": (12, 200),
    "curve_pair_labels": 60, "curve_labels": (20, 60), "curve_steps": 4, "training": Training(epochs=1, batch_size=50),
}  # fmt: skip


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr(mlp_to_cnn, "load", load_small_digits)
    return MlpToCnn(out=tmp_path / "run", **SMALL)


def test_every_part_has_its_rows_and_goes_on_where_it_stopped(config, monkeypatch):
    main = compare_mlp_to_cnn(replace(config, parts="main"))
    kinds = {(row["family"], row["test"]) for row in main.rows}
    assert kinds == {(f, t) for f in ("mlp", "learned", "cnn") for t in ("plain", "permuted")} | {
        ("learned", "zero-filled")
    }
    assert set(main.extra["actions"]) == {"plain", "permuted", "zero-filled"}
    for row in main.rows:
        assert row["train"] == ("plain" if row["test"] == "plain" else "permuted")
        assert ("distance_learned" in row) == (row["family"] == "learned")
        if row["family"] == "learned":
            assert row["distance_learned"] < 1e-6
            assert row["distance_closed"] == 0
            assert (row["group"], row["pairs"]) == ("t8x8", 200)

    whole = compare_mlp_to_cnn(config)
    assert whole.rows[: len(main.rows)] == main.rows
    assert [row["family"] for row in whole.rows if row["part"] == "pairs"][:2] == ["mlp", "cnn"]
    pairs = [row for row in whole.rows if row["part"] == "pairs" and row["family"] == "learned"]
    assert len(pairs) == 2 * 2 * 2
    for row in pairs:
        no_group = row["pairs"] == 12 and row["learner"] == "any map"  # fewer than pixels
        assert (row["test_error_percent"] is None) == (row["layout"] is None) == no_group
    layouts = {(row["layout"], row["test_error_percent"]) for row in pairs if row["layout"]}
    assert len(layouts) == len({layout for layout, _ in layouts})  # one network for each layout
    labels = [row for row in whole.rows if row["part"] == "labels"]
    assert len(labels) == 2 * 4
    assert {row["steps"] for row in labels} == {4}
    json.dumps(whole.as_dict(), allow_nan=False)

    monkeypatch.setattr(mlp_bench, "train", lambda *_, **__: pytest.fail("done already"))
    assert compare_mlp_to_cnn(config).rows == whole.rows
    refuses(FileExistsError, "other settings", lambda: compare_mlp_to_cnn(replace(config, pairs=100)))


def test_a_network_learns_the_order_of_pixels_from_nothing_but_pairs(config):
    digits = small_digits(400)
    lessons = Lessons(digits, 200, 3, silent)
    training = Training(epochs=6, batch_size=50)
    bench = Bench(
        digits=digits, test=small_digits(100, "test"), unlabelled=digits, training=training, steps=1, progress=silent
    )
    row, network = measure("learned", "permuted", lessons.group("permuted"), bench, seed=0, what="")
    assert row["test_error_percent"] < 40
    assert row["steps"] == 48
    assert layout_name(lessons.group("permuted")) == layout_name(lessons.group("permuted")) is not None
    assert layout_name(lessons.group("permuted")) != layout_name(lessons.group("plain"))
    assert layout_name(None) is None
    assert not network.training


def test_bad_settings_are_refused():
    refuses(ValueError, r"curve_pairs\[1\] >= 1", MlpToCnn, curve_pairs=(50, 0))
    refuses(ValueError, "no more labels", MlpToCnn, train_images=500)
    assert MlpToCnn(train_images=500, parts="main").train_images == 500
    assert MlpToCnn(train_images=500, parts="labels", curve_labels=(100,)).curve_pair_labels == 6000
    refuses(ValueError, r"two labels or more .* got 6000, 1, 20", MlpToCnn, curve_labels=(1, 20))
    refuses(ValueError, "--reach >= 0", MlpToCnn, reach=-3)
    refuses(ValueError, "learning_rate > 0", lambda: MlpToCnn(training=Training(learning_rate=-1.0)))
    for size in (1, 501):
        with pytest.raises(ValueError, match=f"batches of two digits, .* got --training.batch-size {size}"):
            MlpToCnn(train_images=500, parts="main", training=Training(batch_size=size))
    refuses(ValueError, "auto, cpu or cuda", MlpToCnn, device="gpu")
    with pytest.raises(ValueError, match="no other"):
        build("cnn", 8, Lessons(small_digits(200), 200, 3, silent).group("plain"), 0)
    refuses(ValueError, "one for each pixel", lambda: Lessons(small_digits(200), 20, 3, silent).group("plain"))
