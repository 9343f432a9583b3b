"""Records as they lie in results/: packed without loss, brought together, and shown as tables."""

import csv
import io
import json

import pytest

from orbitconv.records.record import Record
from studies.base.results import RESULTS, pack, read_record, read_variants
from studies.base.summary import errors, grouped, kinds, layer_means, mean, means, spread, values, where
from studies.pages.tables import filled, flat


def rows():
    """Two seeds of three kinds of networks, one of them trained in another way too."""
    for family, group, rotation, epochs, error in [
        ("plain", "c1", "none", 2, 9.0), ("spectral", "c8", "none", 2, 3.0), ("exact", "c4", "none", 2, 5.0),
        ("spectral", "c8", "circle", 4, 1.0),
    ]:  # fmt: skip
        for seed in range(2):
            for test, less in (("upright", 0.5), ("rotated", 0.0)):
                yield {
                    "family": family, "group": group, "rotation": rotation, "epochs": epochs, "seed": seed,
                    "kernel": 3, "train": "mnist", "parameters": 1000, "seconds": 4.0 + 2 * seed, "test": test,
                    "test_error_percent": error + seed - less,
                }  # fmt: skip


@pytest.mark.parametrize("copies", [1, 20])
def test_a_packed_record_reads_back_as_it_was(tmp_path, copies):
    record = Record(study="x", command="c", config={}, rows=[*rows()] * copies)
    record.write(tmp_path / "x.json")
    before = json.loads((tmp_path / "x.json").read_text())
    for _ in range(2):
        pack(tmp_path)
        assert read_record(tmp_path / "x.json") == before
    assert (tmp_path / "x.rows.json.xz").exists() == (copies == 20)
    if copies == 20:
        (tmp_path / "x.rows.json.xz").write_bytes(b"something else")
        with pytest.raises(ValueError, match=r"x\.json is no record of a study"):
            read_record(tmp_path / "x.json")


@pytest.mark.parametrize("copies", [1, 20])
def test_variants_of_a_study_share_one_record_and_read_back_as_they_were(tmp_path, copies):
    before = {}
    for variant in ("", "_large", "_small"):
        record = Record(study="x", command=f"c {variant}", config={"v": variant}, rows=[*rows()][:6] * copies)
        record.write(tmp_path / f"x{variant}.json")
        before[variant.removeprefix("_")] = json.loads((tmp_path / f"x{variant}.json").read_text())
    for _ in range(2):
        pack(tmp_path)
        assert read_variants(tmp_path / "x.json") == before
    assert len([*tmp_path.iterdir()]) == (1 if copies == 1 else 2)


def test_records_are_small_and_name_their_commands():
    assert sum(path.stat().st_size for path in RESULTS.iterdir()) < 1_500_000
    studies = [read_variants(path) for path in RESULTS.glob("*.json")]
    for one in (one for variants in studies for one in variants.values()):
        assert one["rows"]
        assert one["command"].split()[0] in {"orbitconv", "python"}
    names = [variants[""]["study"] for variants in studies]
    assert len(set(names)) == len(names)


def test_rows_come_together_by_columns():
    all_rows = list(rows())
    assert list(grouped(all_rows, "family")) == ["plain", "spectral", "exact"]
    assert errors(where(all_rows, family="exact")) == {"upright": [4.5, 5.5], "rotated": [5.0, 6.0]}
    assert mean(where(all_rows, family="plain"), "seconds") == 5.0
    assert means(where(all_rows, family="plain", test="rotated"), "seed", "test_error_percent") == {0: 9.0, 1: 10.0}
    assert values([{"a": 1}, {"a": None}, {}], "a") == [1]
    layers = [{"test": "layer", "when": w, "equivariance_error": e} for w, e in (("before", 1), ("after", 3))]
    assert layer_means([*layers, {"test": "upright"}]) == (1, 3)
    assert [kind.name for kind in kinds(all_rows)] == ["spectral C8", "exact C4", "plain", "spectral C8"]
    assert (spread([1.0, 2.0]), spread([1.0]), spread([])) == ("1.5 ± 0.7 %", "1.0 %", "")


def test_the_flat_file_holds_a_line_for_each_cell_with_its_number():
    table = "| network | error |\n| --- | ---: |\n| **spectral** | 1.25 ± 0.31 % |\n| plain | 48,421 |\n| none |  |"
    lines = list(csv.DictReader(io.StringIO(flat({"t": table}))))
    assert [(x["first_cell"], x["column"], x["value"], x["standard_deviation"]) for x in lines] == [
        ("spectral", "error", "1.25", "0.31"), ("plain", "error", "48421", ""), ("none", "error", "", ""),
    ]  # fmt: skip
    assert filled("a <!-- table: t -->old<!-- end --> b", {"t": "new"}) == (
        "a <!-- table: t -->\n\nnew\n\n<!-- end --> b"
    )
