"""The site's settings for Sphinx; docs/building.md says how it is built and why so."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE / "_ext"), str(ROOT)]

import made_pages  # noqa: E402

import causalbias  # noqa: E402

project = "causalbias"
author = "the causalbias authors"
project_copyright = "the causalbias authors, MIT licence"
version = release = causalbias.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_design",
    # Our own, in _ext/:
    "alternatives",
    "api_links",
    "docstrings",
    "made_pages",
    "mathml",
    "own_section",
]
exclude_patterns = ["*.py", "_*"]
templates_path = ["_templates"]
nitpicky = True
# `name` in a docstring is code, and a link where the reference has such a name.
default_role = "py:obj"
nitpick_ignore_regex = [("py:obj", ".*")]

# Reference
autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say types in words, with shapes and units
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
add_module_names = False
toc_object_entries = False

# Pages with code, and the notebooks
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "cache"
nb_execution_cache_path = str(made_pages.cache(ROOT))
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# Look: nothing is fetched from elsewhere, and the fonts are the reader's own.
html_theme = "furo"
html_title = f"causalbias {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
