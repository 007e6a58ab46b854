"""Configures the documentation, which `make docs` builds.

Sphinx, not mkdocs-material with mkdocstrings: it imports what it documents, so names that opcov loads when they are
first used are found; it checks every reference (-n); and pages stay plain CommonMark by myst-parser.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import opcov

project = "opcov"
version = release = opcov.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated", "docstrings"]
exclude_patterns = ["_build"]
root_doc = "index"
nitpicky = True

# Names of other packages, whose inventories would have to be fetched, and types that are spelled in signatures only.
nitpick_ignore_regex = [
    (r"py:.*", r"(pd|pandas|torch|thunder|os|pathlib|collections|datetime|typing|enum|types)\..*"),
    (r"py:.*", r"(optional|Path|Any|Callable|Iterable|Iterator|Mapping|Sequence|Axes|dt\.date)"),
    (
        r"py:.*",
        r"(StrPath|Content|Argument|Metadata|OpRow|Options|Baseline|BaselineUpdate|Health|Judgement|Loaded|Scope|SelfCheck|Session|Tally|Told)",
    ),
    (r"py:.*", r"opcov\.(?!Scan$)[\w.]+"),
]

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
highlight_language = "text"

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # as they stand in the code: no addresses of functions
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["opcov.css"]
html_title = f"opcov {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_last_updated_fmt = None
