"""How Sphinx builds the documentation (`make docs`); the reference is made from the code at each build."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from harness import __version__  # noqa: E402 - found by the path above

project = "pair-harness"
release = version = __version__
copyright = "the authors of pair-harness, MIT licence"  # noqa: A001 - Sphinx's name

extensions = ["myst_parser", "reference_pages"]
exclude_patterns = ["_build"]
nitpicky = True  # a reference to what is not there is a warning, and `make docs` makes warnings errors
myst_enable_extensions = ["colon_fence", "attrs_block"]
myst_heading_anchors = 3
suppress_warnings = ["misc.highlighting_failure"]  # a YAML excerpt with `...` in it

html_theme = "furo"  # fonts of the reader's system: the built pages load nothing from elsewhere
html_title = f"pair-harness {release}"
html_static_path: list[str] = []
html_show_sourcelink = False
html_copy_source = False
html_use_index = False
