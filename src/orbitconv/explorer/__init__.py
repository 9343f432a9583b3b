"""One page in which filters and pictures turn: no server, no network, opens from a file."""

from orbitconv.explorer.page import write_page as write_page
