"""Networks and weights of other libraries: escnn, e2cnn and GrouPy.

Nothing of these libraries is imported here: their modules are read by their attributes. `docs/interop.md` says what
corresponds to what, and derives which turns are which.
"""

from orbitconv.interop.groupy import from_groupy as from_groupy
from orbitconv.interop.groupy import to_groupy as to_groupy
from orbitconv.interop.steerable import from_e2cnn as from_e2cnn
from orbitconv.interop.steerable import from_escnn as from_escnn
from orbitconv.interop.steerable import to_e2cnn as to_e2cnn
from orbitconv.interop.steerable import to_escnn as to_escnn
