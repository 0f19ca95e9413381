"""Sphinx's settings of the site. `tools/site.py` lays out the sources and calls Sphinx."""

from tools.site import setup  # noqa: F401  (Sphinx calls it)

project = "Latent factor models"
html_title = "Latent factor models"
author = ""
project_copyright = ""
language = "en"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax"]

# The notebooks are shown as they were executed.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
suppress_warnings = ["myst.header"]  # a solution's heading may be two levels below its title

mathjax_path = "mathjax/startup.js"
mathjax3_config = {
    "loader": {"load": ["input/tex", "output/svg", "a11y/assistive-mml"]},
    "output": {"fontPath": "[mathjax]/font", "displayOverflow": "linebreak"},
    "options": {"enableAssistiveMml": True},
}

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"
add_module_names = False
python_use_unqualified_type_names = True

# A DOI leads to a publisher, and publishers refuse programs. (Their form is tested.)
linkcheck_ignore = [r"https://doi\.org/"]
linkcheck_anchors = False

html_theme = "sphinx_book_theme"
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "show_navbar_depth": 1,
    "navigation_with_keys": False,
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
}
html_context = {"default_mode": "light"}
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_js_files = [
    ("explorable.js", {"defer": "defer"}),
    ("formulas.js", {"defer": "defer", "priority": 100}),  # before MathJax
]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
# A summary would be fetched, which a browser refuses for pages opened from a folder.
html_show_search_summary = False
