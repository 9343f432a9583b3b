"""Groups by name."""

import pytest

from orbitconv.groups import Cyclic, Dihedral, parse_group


@pytest.mark.parametrize("group", [Cyclic(1), Cyclic(8), Cyclic(16), Dihedral(4), Dihedral(12)], ids=str)
def test_every_name_finds_its_group_in_either_case(group):
    assert parse_group(group.name) == parse_group(group.name.lower()) == group


@pytest.mark.parametrize("name", ["", "8", "C", "C0", "E8", "C8x", "c-4", "C 8"])
def test_other_words_are_refused(name):
    with pytest.raises(ValueError, match="C8 or D4"):
        parse_group(name)
