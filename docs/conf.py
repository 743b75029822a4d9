"""Sphinx configuration: the pages are Markdown, the API comes from the docstrings."""

from importlib import metadata

project = "unseen"
author = "The unseen developers"
release = metadata.version("unseen")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx.ext.mathjax"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"unseen {release}"
