"""Sphinx settings. `make docs` builds the pages into docs/_build/html; every warning is an error."""

import sys
from importlib.metadata import version as _version
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "orbitconv"
author = "The orbitconv developers"
copyright = "The orbitconv developers"  # noqa: A001
version = release = _version("orbitconv")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinxcontrib.bibtex",
    "sphinx_copybutton",
    "command_help",
    "public_names",
    "plain_docstrings",
    "static_explorer",
]
exclude_patterns = ["_build", "tutorials/*.py"]
source_suffix = {".md": "myst-nb"}

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 240
nb_merge_streams = True

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"

default_role = "code"

html_theme = "furo"
html_title = "orbitconv"
html_static_path = ["_static"]
html_theme_options = {"source_repository": "", "navigation_with_keys": True}
