"""What is worked out from the atoms of a basis, once for each basis."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from torch import Tensor

from orbitconv.bases.filter_basis import FixedBasis

Found = TypeVar("Found")


class OncePerBasis(Generic[Found]):
    """A function of a basis; its value is kept until the atoms are replaced or edited in place."""

    def __init__(self, work_out: Callable[[FixedBasis], Found]) -> None:
        self._work_out = work_out
        self._known: WeakKeyDictionary[FixedBasis, tuple[Tensor, int, Found]] = WeakKeyDictionary()

    def __call__(self, basis: Any) -> Found | None:
        """The value; None for a basis whose atoms are not fixed."""
        known = self._known.get(basis)
        if known is None and not isinstance(basis, FixedBasis):
            return None
        atoms = basis.atoms
        version = 0 if atoms.is_inference() else atoms._version  # noqa: SLF001, torch's only count of edits
        if known is None or known[0] is not atoms or known[1] != version:
            known = self._known[basis] = atoms, version, self._work_out(basis)
        return known[2]
