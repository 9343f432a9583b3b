"""Groups of rows, their means and spreads, against NumPy."""

from fractions import Fraction

import numpy as np

from orbitconv.records.grouping import Spread, by_columns, mean_and_spread, values_by

ROWS = [
    {"family": "plain", "seed": seed, "degrees": degrees, "error": 10.0 * seed + degrees}
    for seed in (1, 2)
    for degrees in (90, 0)
] + [{"family": "exact", "seed": 1, "degrees": None, "error": 3.0}]


def test_rows_are_grouped_in_the_order_of_their_first():
    groups = by_columns(ROWS, "family", "seed")
    assert list(groups) == [("plain", 1), ("plain", 2), ("exact", 1)]
    assert [row for rows in groups.values() for row in rows] == ROWS


def test_a_curve_has_the_values_of_all_seeds_at_each_place_in_rising_order():
    assert values_by(ROWS, "degrees", "error") == {0.0: [10.0, 20.0], 90.0: [100.0, 110.0]}
    assert list(values_by(ROWS, "degrees", "error")) == [0.0, 90.0]


def test_mean_and_spread_are_those_of_numpy():
    values = [8.1, 9.7, 11.2]
    assert np.allclose(Spread.of(values)[:2], (np.mean(values), np.std(values, ddof=1)), rtol=1e-14)
    assert mean_and_spread(values, 2) == f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}"
    assert mean_and_spread([1234.5], 1, unit=" %") == "1,234.5 %"
    assert mean_and_spread([], none="") == ""


def test_a_mean_is_rounded_once():
    """The sum of these three is 26.85 in floats, and a little less in truth: a third of it is nearer to 8.9."""
    values = [8.1, 8.15, 10.6]
    assert sum(map(Fraction, values)) / 3 < Fraction(895, 100)
    assert mean_and_spread(values).startswith("8.9 ")
