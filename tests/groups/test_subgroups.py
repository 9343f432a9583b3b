import numpy as np
import pytest

from orbitconv.groups import Cyclic, Dihedral, cosets, embed

PAIRS = [
    (Cyclic(4), Cyclic(8)), (Cyclic(3), Cyclic(12)), (Cyclic(1), Dihedral(4)), (Cyclic(8), Dihedral(8)),
    (Dihedral(4), Dihedral(8)), (Dihedral(1), Dihedral(6)), (Dihedral(4), Dihedral(4)),
]  # fmt: skip


@pytest.mark.parametrize(("subgroup", "group"), PAIRS, ids=str)
def test_embedded_elements_move_points_alike(subgroup, group):
    for h, g in enumerate(embed(subgroup, group)):
        np.testing.assert_allclose(group.matrix(int(g)), subgroup.matrix(h), atol=1e-15)


@pytest.mark.parametrize(("subgroup", "group"), PAIRS, ids=str)
def test_cosets_cut_the_group_into_orbits_of_the_subgroup(subgroup, group):
    rows = cosets(subgroup, group)
    assert sorted(rows.flatten()) == list(range(group.order))
    for row in rows:
        for k in range(subgroup.order):  # acting from the left moves along the row as the subgroup's own product does
            moved = [group.product[embed(subgroup, group)[k], g] for g in row]
            assert moved == [row[subgroup.product[k, h]] for h in range(subgroup.order)]


@pytest.mark.parametrize(
    ("subgroup", "group"), [(Cyclic(3), Cyclic(8)), (Dihedral(4), Cyclic(8)), (Cyclic(8), Cyclic(4))], ids=str
)
def test_what_is_no_subgroup_is_refused(subgroup, group):
    with pytest.raises(ValueError, match=f"{subgroup} is not part of {group}"):
        cosets(subgroup, group)
