"""`{public-names} PACKAGE`: the names that a package exports, each documented by autodoc."""

from importlib import import_module
from inspect import isclass, isfunction
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def documented(package: str) -> list[str]:
    """Lines of reStructuredText that document what a package exports.

    Args:
        package: Full name of the package.

    Returns:
        A directive of autodoc for each class, function and other value.
    """
    lines = []
    for name, value in vars(import_module(package)).items():
        if name.startswith("_") or not getattr(value, "__module__", "").startswith("orbitconv"):
            continue
        kind = "class" if isclass(value) else "function" if isfunction(value) else "data"
        lines += [f".. auto{kind}:: {package}.{name}", *(["   :members:"] if kind == "class" else []), ""]
    return lines


class PublicNames(SphinxDirective):
    """Documentation of all names of a package."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """What autodoc makes of them."""
        return self.parse_text_to_nodes("\n".join(documented(self.arguments[0])))


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("public-names", PublicNames)
    return {"parallel_read_safe": True}
