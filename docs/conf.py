"""How the site is built: Markdown pages, no network, every warning an error (``make docs``)."""

from __future__ import annotations

from importlib.metadata import version as installed_version

project = "grinder"
copyright = "the grinder authors"  # noqa: A001 - the name is Sphinx's
release = version = installed_version("grinder-core")

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

html_theme = "furo"
html_title = "grinder"
html_show_sphinx = False
html_show_copyright = False
