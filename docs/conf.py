"""How the site is built: ``sphinx-build -W -n docs docs/_build``."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from tamannot import __version__

project, author, release = "tamannot", "The tamannot developers", __version__
copyright = "2026, the tamannot developers"  # noqa: A001

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "catalogue",
    "repository",
]
templates_path = ["_templates"]
html_theme = "sphinx_book_theme"
html_title = "tamannot"
# Pages of the catalogue and of functions are reached from their tables: three hundred in every sidebar help nobody.
html_theme_options = {"show_toc_level": 2, "max_navbar_depth": 1}
# Where the site is built from a public repository, each notebook has a button that opens it in Colab.
if _REPOSITORY := os.environ.get("READTHEDOCS_GIT_CLONE_URL", "").removesuffix(".git"):
    html_theme_options |= {
        "repository_url": _REPOSITORY,
        "path_to_docs": "docs",
        "launch_buttons": {"colab_url": "https://colab.research.google.com", "notebook_interface": "classic"},
    }
exclude_patterns = ["_build", "_templates", "**.ipynb_checkpoints"]
nitpicky = True
# Every reference to a public name of ours must lead somewhere; types of other packages lead to their docs where these
# can be reached, and names that begin with an underscore have no page.
nitpick_ignore_regex = [
    ("py:.*", r"(anndata|matplotlib|numpy|pandas|pydantic|pydantic_core|scipy)(\..*)?"),
    ("py:.*", r"(collections|os|pathlib|typing|Field|StrictBool)(\..*)?"),
    ("py:.*", r"tamannot\.(.*\.)?_\w+(\..*)?"),
    # The overloads of a decorated function are evaluated with the names of the decorator's module.
    ("py:class", r"AnnData|ScanpyWords|Signatures|pd\.Series"),
]

# Blocks are run by the tests; notebooks here, so that what they show is what this version gives.
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_in_temp = True  # they write files
html_static_path, html_css_files = ["_static"], ["cells.css"]
myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_inline"]
myst_heading_anchors = 4

autosummary_generate = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = True

# Reached where there is a network; without one the names of other packages stay plain text, and no warning is missed.
_OTHERS = {
    "python": "https://docs.python.org/3",
    "numpy": "https://numpy.org/doc/stable",
    "anndata": "https://anndata.readthedocs.io/en/stable",
    "matplotlib": "https://matplotlib.org/stable",
    "pandas": "https://pandas.pydata.org/docs",
}


def _is_online() -> bool:
    try:
        socket.create_connection(("docs.python.org", 443), timeout=5).close()
    except OSError:
        return False
    return True


intersphinx_mapping = {name: (url, None) for name, url in _OTHERS.items()} if _is_online() else {}
