import io
import math
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from digits import small_digits
from orbitconv.data import rotated
from orbitconv.groups import Cyclic, act_features, act_image
from orbitconv.train import Training, error_percent, load_trained, read_config
from orbitconv.train.datasets import LOADERS
from studies.networks.measurements import untrained
from studies.networks.stability import ABLATIONS, StabilityStudy, study_stability
from studies.networks.stability_command import table
from studies.networks.stability_figures import error_by_angle, error_by_layer


@pytest.fixture
def config(small_data, tmp_path, monkeypatch):
    for name in ("mnist-disc", "mnist-padded"):
        change = (lambda images: images.inside_disc()) if name.endswith("disc") else (lambda images: images.padded(2))
        monkeypatch.setitem(
            LOADERS,
            name,
            lambda split, change=change, **_: change(small_digits(100 if split == "train" else 20, split)),
        )
    return StabilityStudy(
        out=tmp_path / "run", families=("plain", "exact", "spectral"), groups=("c4", "c8"), rotations=("none",),
        kernel_size=3, plain_width=4, train_images=100, training=Training(epochs=1, batch_size=50), curve_images=20,
        step_degrees=90, layer_images=5, ablations=(),
    )  # fmt: skip


def test_rows_hold_the_curve_and_the_layers_before_and_after(config):
    record = study_stability(config)
    spectral = [row for row in record.rows if row["family"] == "spectral"]
    assert {row["test"] for row in spectral} == {"upright", "rotated", "angle", "layer"}
    network, trained = load_trained(config.out / "networks" / "spectral-c8-1-epochs-seed-0")
    test = small_digits(50, "test")
    few = test.take(20, 1)
    for row in spectral:
        if row["test"] == "angle":
            turned = rotated(few, degrees=row["degrees"])
            assert row["test_error_percent"] == error_percent(network, turned.images, few.labels)
    # Quarter turns of 8x8 pixels are exact through two max pools; so is the first layer at 90 degrees, by hand:
    images, group = test.take(5, 0).floats(), Cyclic(8)
    for when, one in (("before", untrained(trained, 1, 10).eval()), ("after", network)):
        first = one.get_submodule("features.0")
        by_hand = []
        with torch.no_grad():
            for g in range(1, 8):
                expected = act_features(first(images), group, g, padding_mode="reflect")
                offset = torch.arange(8) - 3.5
                disc = torch.hypot(offset[:, None], offset) <= 4
                difference = (first(act_image(images, group, g)) - expected) * disc
                by_hand.append(float(difference.norm() / (expected * disc).norm()))
        (row,) = [r for r in spectral if (r["test"], r.get("when"), r.get("layer")) == ("layer", when, 0)]
        assert row["equivariance_error"] == pytest.approx(sum(by_hand) / 7, rel=1e-4)
        assert row["kind"] == "LiftingConv2d"


def test_exact_network_is_exactly_stable_and_plain_one_is_not(config):
    rows = study_stability(config).rows
    worst = {
        family: max(r["equivariance_error"] for r in rows if (r["family"], r["test"]) == (family, "layer"))
        for family in ("plain", "exact", "spectral")
    }
    assert worst["exact"] < 1e-5
    assert worst["plain"] > worst["spectral"] > 1e-3


@pytest.mark.parametrize("name", ["wide border", "disc images", "disc filters", "3x3", "anti-aliased"])
def test_ablations_change_one_thing(config, name):
    record = study_stability(replace(config, families=("plain",), ablations=(name,)))
    changed = [row for row in record.rows if row["ablation"] == name]
    assert {row["family"] for row in changed} == {ABLATIONS[name].get("families", ("spectral",))[0]}
    assert {row["group"] for row in changed} == {"c8"}
    assert all(math.isfinite(row["equivariance_error"]) for row in changed if row["test"] == "layer")
    assert (config.out / "ablations" / name.replace(" ", "-") / "journal.jsonl").exists()


def test_fewer_atoms_go_with_other_changes(config, monkeypatch):
    name = "7 atoms, anti-aliased, wide border"
    assert ABLATIONS[name]["atoms"] == 7
    monkeypatch.setitem(ABLATIONS, name, {**ABLATIONS[name], "atoms": 4})  # of kernels that fit these images
    rows = study_stability(replace(config, families=("spectral",), ablations=(name,))).rows
    atoms = {row["ablation"]: row["num_atoms"] for row in rows if row["group"] == "c8"}
    assert atoms == {"none": 6, name: 4}
    first = next(row for row in rows if row["ablation"] == name and row["test"] == "layer")
    trained = read_config(next(config.out.glob("ablations/7-atoms-anti-aliased-wide-border/networks/*/config.json")))
    assert (trained.data, trained.network.options["downsample"]) == ("mnist-padded", "blur")
    assert first["kind"] == "LiftingConv2d"


def test_a_record_with_ablations_is_taken_as_done_and_more_may_follow(config, tmp_path, monkeypatch):
    first = study_stability(replace(config, families=("plain",), ablations=("3x3",)))
    first.write(tmp_path / "known.json")
    monkeypatch.setattr("studies.networks.study.train_network", lambda *_: pytest.fail("done"))
    known = replace(config, families=("plain",), out=tmp_path / "again", known=tmp_path / "known.json")
    assert study_stability(replace(known, ablations=("3x3",))).rows == first.rows
    third = study_stability(replace(known, out=tmp_path / "third"))  # what is known is not dropped
    assert third.rows == first.rows
    assert third.config["ablations"] == ("3x3",)
    again = study_stability(replace(known, out=tmp_path / "third", known=None))
    assert (again.rows, again.config["ablations"]) == (first.rows, ("3x3",))


def test_what_cannot_be_changed_is_said_before_any_network_is_trained(config, monkeypatch):
    monkeypatch.setattr("studies.networks.study.train_network", lambda *_: pytest.fail("trained"))
    with pytest.raises(ValueError, match=r"'7 atoms' .*: SpectralBasis cannot have 7 atoms"):
        study_stability(replace(config, ablations=("7 atoms",)))
    with pytest.raises(ValueError, match="no data set named 'rotated-mnist-padded'"):
        study_stability(replace(config, data="rotated-mnist", ablations=("wide border",)))
    assert not config.out.exists()


def test_a_study_that_begins_anew_forgets_its_ablations(config):
    study_stability(replace(config, families=("plain",), ablations=("3x3",)))
    rows = study_stability(replace(config, families=("plain",), plain_width=5, overwrite=True)).rows
    assert {row["ablation"] for row in rows} == {"none"}
    assert not (config.out / "ablations").exists()


def test_networks_of_other_epochs_are_kept_and_not_mixed_in(config):
    first = study_stability(replace(config, families=("plain",)))
    longer = replace(config, families=("plain",), training=Training(epochs=2, batch_size=50))
    assert {row["epochs"] for row in study_stability(longer).rows} == {2}
    assert study_stability(replace(config, families=("plain",))).rows == first.rows


def test_wrong_step_and_unknown_ablation_are_refused(tmp_path):
    with pytest.raises(ValueError, match="divides 360"):
        StabilityStudy(out=tmp_path, step_degrees=7)
    with pytest.raises(ValueError, match="ablations out of"):
        StabilityStudy(out=tmp_path, ablations=("no filters",))


def test_pictures_and_table_show_what_was_measured(config):
    rows = study_stability(config).rows
    (axes,) = error_by_angle(rows).axes
    assert sorted(line.get_label() for line in axes.lines) == ["exact C4", "plain", "spectral C8"]
    for line in axes.lines:
        family = str(line.get_label()).split()[0]
        curve = {r["degrees"]: r["test_error_percent"] for r in rows if (r["family"], r["test"]) == (family, "angle")}
        assert list(line.get_ydata()) == [*curve.values(), curve[0]]
    panels = error_by_layer(rows).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["before training", "after training"]
    assert "exact C4 (0 but for rounding)" in [line.get_label() for line in panels[0].lines]
    for rotation in ("eighths", "circle"):
        rows += [{**row, "rotation": rotation} for row in rows if row["rotation"] == "none"]
    titles = [axes.get_title(loc="left") for axes in error_by_layer(rows).axes]
    trained = ["trained on upright images", "trained with eighth turns", "trained with any turn"]
    assert titles == ["before training", *trained]
    turned = [row for row in rows if row["rotation"] == "circle"]
    exact = [row for row in turned if row["family"] == "exact"]
    assert [len(axes.lines) for axes in error_by_layer(exact).axes] == [1, 1]
    (legend,) = error_by_angle([*exact, *({**row, "rotation": "none"} for row in turned)]).legends
    assert sorted(text.get_text() for text in legend.texts) == ["exact C4", "plain", "spectral C8"]
    late = [row for row in turned if row["family"] != "exact"] + [{**row, "rotation": "none"} for row in exact]
    (legend,) = error_by_angle(late).legends  # families that are not in the first panel
    assert sorted(text.get_text() for text in legend.texts) == ["exact C4", "plain", "spectral C8"]
    assert [len(axes.lines) for axes in error_by_layer(turned).axes] == [3, 3]
    rows = study_stability(config).rows
    console = Console(width=140, file=io.StringIO())
    console.print(table("families", rows, "family"))
    before = [r["equivariance_error"] for r in rows if (r["family"], r.get("when")) == ("spectral", "before")]
    assert f"{sum(before) / len(before):.3f}" in console.file.getvalue()
