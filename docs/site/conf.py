"""Sphinx's settings for the site that `make site` builds; gan_restore/course/site.py assembles its sources."""

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import gan_restore

project = "gan-restore"
version = release = gan_restore.__version__
copyright = "the authors of gan-restore"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
]
templates_path = ["."]
highlight_language = "none"  # code blocks that name no language are commands

# Notebooks are shown as they were executed.
nb_execution_mode = "off"
nb_code_prompt_show = "Show a solution"  # of an exercise: no other cell is folded
nb_code_prompt_hide = "Hide the solution"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # the scripts would come from another host
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3  # links to README.md#architecture

# Formulas without a network: one file draws them as SVG, without fonts.
_mathjax = importlib.util.find_spec("sphinx-mathjax-offline")
assert _mathjax and _mathjax.origin
mathjax_path = "tex-svg.js"

# The API from the docstrings, which write code in single backticks.
default_role = "literal"
autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "show-inheritance": True}
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "gan-restore"
html_static_path = ["site.css", str(Path(_mathjax.origin).parent / "static" / "mathjax" / mathjax_path)]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "tango"
pygments_dark_style = "monokai"


def _signature(app: Sphinx, what: str, name: str, what_is: Any, options: Any, *signature: str | None) -> Any:
    """Leave out the signature of a dataclass: each of its fields, with its value, has an entry of its own."""
    return ("", None) if what == "class" and dataclasses.is_dataclass(what_is) else signature


def _attribute(app: Sphinx, what: str, name: str, what_is: Any, options: Any, lines: list[str]) -> None:
    """Keep Napoleon from reading the first words of an attribute's text, up to a colon, as its type."""
    if what in ("attribute", "property"):
        lines[:0] = ["..", ""]  # an empty comment


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _attribute, priority=400)  # Napoleon's is 500
    app.connect("autodoc-process-signature", _signature)
