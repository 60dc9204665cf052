"""Settings of the site: `make docs` builds it into docs/_build/html.

Sphinx, since numpydoc makes the reference from NumPy-style docstrings. MyST, since pages in Markdown can be
read in the repository too.
"""

import io
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import patch

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import xnornet
from xnornet.cli import main

project = "xnornet"
author = "The xnornet authors"
version = release = xnornet.__version__
project_copyright = "The xnornet authors"

extensions = ["sphinx.ext.autodoc", "numpydoc", "myst_parser"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

default_role = "code"
autodoc_default_options = {"members": True, "imported-members": True}
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
# Methods are documented below their class by autodoc; numpydoc's tables would list those of Lasagne too.
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = "xnornet"
html_theme_options = {
    "show_toc_level": 2,
    "show_prev_next": True,
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"index": [], "get_started": [], "limits": []}
html_static_path = ["style.css"]
html_css_files = ["style.css"]
html_show_sourcelink = False
# The exported page of a model goes beside the pages that link to it.
html_extra_path = ["mnist_convnet.html"]


class CommandHelp(SphinxDirective):
    """What a command prints with --help."""

    required_arguments = 1

    def run(self):
        printed = io.StringIO()
        with (
            redirect_stdout(printed),
            patch.object(sys, "argv", ["xnornet"]),
            patch.dict(os.environ, COLUMNS="80"),
        ):
            try:
                main([*self.arguments[0].split("/"), "--help"])
            except SystemExit:
                pass
        text = printed.getvalue()
        block = nodes.literal_block(text, text)
        block["language"] = "none"
        return [block]


def setup(app):
    app.add_directive("command-help", CommandHelp)
