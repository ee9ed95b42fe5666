"""What this checkout adds to the plugin: pytest's own fixture for testing plugins.

The plugin itself comes with the installed package (``pip install -e .``).
"""

pytest_plugins = ["pytester"]
