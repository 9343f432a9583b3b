"""The record of converted networks holds what the documentation says of it. It needs no other package."""

import pytest

from compatibility.measured import is_kept, twins_agree
from studies.base.results import read

ROWS = read("convert_networks")
CONVERTED = [row for row in ROWS if row["group"] == "c4" and row.get("says_exact")]


def test_thirty_networks_convert_for_c4_d4_and_c8():
    groups, measured = {}, {row["network"] for row in CONVERTED if "promise" in row}
    for row in ROWS:
        if row["network"] in measured and row.get("says_exact") and row["float32"] <= 1e-4:
            groups.setdefault(row["network"], set()).add(row["group"])
    assert sum(found == {"c4", "d4", "c8"} for found in groups.values()) >= 30


@pytest.mark.parametrize("row", CONVERTED, ids=lambda row: row["network"])
def test_what_is_promised_was_measured(row):
    assert max(row["float64"], row["float64_after_step"]) <= 1e-10
    assert max(row["float32"], row["float32_after_step"]) <= 1e-4
    assert twins_agree(row)
    for promise in ("promise", "promise_as_it_is"):
        assert is_kept(row[promise])
