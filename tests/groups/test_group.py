import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orbitconv.groups import Cyclic, Dihedral, Group
from raising import refuses

groups = st.one_of(st.builds(Cyclic, st.integers(1, 24)), st.builds(Dihedral, st.integers(1, 12)))


@st.composite
def elements(draw, count: int) -> tuple[Group, ...]:
    group = draw(groups)
    return (group, *(draw(st.integers(0, group.order - 1)) for _ in range(count)))


@given(elements(3))
def test_product_is_associative(case):
    group, a, b, c = case
    p = group.product
    assert p[p[a, b], c] == p[a, p[b, c]]


@given(elements(1))
def test_inverse_undoes_on_both_sides(case):
    group, g = case
    inverse = group.inverse[g]
    assert group.product[g, inverse] == group.product[inverse, g] == 0


@given(elements(2))
def test_quotient_solves_for_the_right_factor(case):
    group, g, h = case
    assert group.product[g, group.quotient[g, h]] == h


@given(groups)
def test_rows_and_columns_of_the_product_table_are_permutations(group):
    everything = np.arange(group.order)
    assert (np.sort(group.product, axis=0) == everything[:, None]).all()
    assert (np.sort(group.product, axis=1) == everything).all()


@given(elements(2))
def test_matrices_multiply_like_elements(case):
    group, g, h = case
    expected = group.matrix(int(group.product[g, h]))
    np.testing.assert_allclose(group.matrix(g) @ group.matrix(h), expected, rtol=0, atol=2e-15)


@given(elements(1))
def test_matrix_is_made_of_angle_and_mirror(case):
    group, g = case
    mirror = -1 if group.mirrors[g] else 1
    # A point right of the centre goes up (rows count downwards) for a small counter-clockwise turn.
    x, y = mirror * math.cos(group.angles[g]), mirror * math.sin(group.angles[g])
    np.testing.assert_allclose(group.matrix(g) @ [0, 1], [-y, x], rtol=0, atol=2e-15)
    assert np.linalg.det(group.matrix(g)) == pytest.approx(mirror, abs=2e-15)


@given(st.integers(1, 24))
def test_order_name_and_mirrors(n):
    assert (Cyclic(n).order, Cyclic(n).name, str(Cyclic(n))) == (n, f"C{n}", f"C{n}")
    assert (Dihedral(n).order, Dihedral(n).name, str(Dihedral(n))) == (2 * n, f"D{n}", f"D{n}")
    assert Cyclic(n).mirrors.tolist() == [False] * n
    assert Dihedral(n).mirrors.tolist() == [False] * n + [True] * n


@given(groups, groups)
def test_groups_are_equal_exactly_when_their_names_are(a, b):
    assert (a == b) == (a.name == b.name)
    if a == b:
        assert hash(a) == hash(b)


@given(groups)
def test_copies_and_pickles_are_equal(group):
    _ = group.product, group.inverse  # cached tables must not get in the way
    for again in (pickle.loads(pickle.dumps(group)), copy.deepcopy(group)):
        assert again == group
        assert hash(again) == hash(group)
        np.testing.assert_array_equal(again.product, group.product)


@pytest.mark.parametrize("n", [4, 8, 12, 24])
def test_matrices_of_quarter_turns_are_exact(n):
    np.testing.assert_array_equal(Cyclic(n).matrix(n // 4), [[0, -1], [1, 0]])
    np.testing.assert_array_equal(Cyclic(n).matrix(n // 2), [[-1, 0], [0, -1]])
    # ... and angles a quarter turn apart have the same digits.
    np.testing.assert_array_equal(Cyclic(n).matrix(n // 4 + 1), [[0, -1], [1, 0]] @ Cyclic(n).matrix(1))


def test_groups_are_immutable():
    with pytest.raises(AttributeError):
        Cyclic(4).num_rotations = 8


@pytest.mark.parametrize("family", [Cyclic, Dihedral])
@pytest.mark.parametrize("number", [0, -1])
def test_refuses_orders_below_one(family, number):
    refuses(ValueError, rf"{family.__name__} expects num_rotations >= 1, got {number}", family, number)


@pytest.mark.parametrize("family", [Cyclic, Dihedral])
@pytest.mark.parametrize("number", [4.0, "4", True, None])
def test_refuses_orders_that_are_no_integers(family, number):
    refuses(TypeError, rf"{family.__name__} expects num_rotations to be an integer", family, number)


@pytest.mark.parametrize("g", [-1, 8])
def test_refuses_elements_out_of_range(g):
    refuses(ValueError, rf"C8 has the elements 0 to 7, got {g}", lambda: Cyclic(8).matrix(g))
