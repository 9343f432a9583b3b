"""The page of `orbitconv explore`, beside the pages of the documentation."""

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from orbitconv.explorer import write_page


def write(app: Sphinx, exception: Exception | None) -> None:
    """Write the page into the built pages."""
    if exception is None and app.builder.name == "html":
        write_page(Path(app.outdir) / "explore.html")


def setup(app: Sphinx) -> dict[str, Any]:
    """Write it last."""
    app.connect("build-finished", write)
    return {"parallel_read_safe": True}
