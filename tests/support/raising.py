"""How a call refuses."""

from collections.abc import Callable

import pytest


def refuses(error: type[Exception] | tuple[type[Exception], ...], match: str, call: Callable, *args, **options) -> None:
    """A call raises an error whose message has these words."""
    with pytest.raises(error, match=match):
        call(*args, **options)
