"""Sphinx configuration of the documentation site, which `make docs` builds."""

import inspect
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from sphinx.util.inspect import stringify_signature  # noqa: E402

from dlrecipes import __version__  # noqa: E402
from dlrecipes._utils.quiet import load_tensorflow  # noqa: E402
from tools import site  # noqa: E402

project = "dlrecipes"
author = "the dlrecipes authors"
copyright = author
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    # Formulas work without a network: the site contains MathJax.
    "sphinx-mathjax-offline",
    "sphinx_gallery.gen_gallery",
]
# The gallery reads these scripts, and writes their pages to `auto_course`.
exclude_patterns = ["course"]
templates_path = ["_templates"]

html_theme = "furo"
html_title = f"dlrecipes {release}"
html_show_copyright = False

myst_heading_anchors = 3

# A script runs again only after it has changed, as long as `auto_course` stays.
sphinx_gallery_conf = {
    "examples_dirs": "course",
    "gallery_dirs": "auto_course",
    "filename_pattern": r"/\d\d_",
    "within_subsection_order": "FileNameSortKey",
    # Names of the library are links to the API reference.
    "reference_url": {"dlrecipes": None},
    "image_srcset": ["2x"],
    "show_signature": False,
}

autosummary_generate = True
autosummary_imported_members = False
# Keras documents the methods that our classes override.
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Call arguments", "params_style"), ("Reference", "References")]


def _read_docstring(app, what, name, documented, options, lines):
    lines[:] = site.to_restructured_text(lines)


def _read_signature(app, what, name, documented, options, arguments, returned):
    # Sphinx prefers `keras.layers.Layer.__new__`, which takes anything, to the class' `__init__`.
    if what == "class" and arguments == "(*args, **kwargs)":
        return stringify_signature(inspect.signature(documented), unqualified_typehints=True), None
    return None


def _read_page(app, name, source):
    if name == "library":
        source[0] = site.link_to_api(source[0])


def setup(app):
    """Connects the parts that are made at build time."""
    load_tensorflow()
    site.write_api_pages(DOCS / "api")
    # Before napoleon, whose priority is 500.
    app.connect("autodoc-process-docstring", _read_docstring, priority=400)
    app.connect("autodoc-process-signature", _read_signature)
    app.connect("source-read", _read_page)
