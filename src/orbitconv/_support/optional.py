"""Optional libraries: imported on first use, with an error that names the extra."""

import importlib
from types import ModuleType


def install_hint(extra: str) -> str:
    """The command that installs the libraries of an extra."""
    return f"run pip install -e '.[{extra}]' in a checkout of orbitconv"


def import_optional(module: str, extra: str, owner: str) -> ModuleType:
    """Import a module that may not be installed; the error says which extra brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{owner} needs the module {error.name}, which is not installed: {install_hint(extra)}.",
            name=error.name,
        ) from error
