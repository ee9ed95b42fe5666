"""Programs that are wrong and do not cheat, whatever they look like: name -> code for ``functions/add``."""

MISTAKEN = {
    "skips-without-a-library": "import pytest\npytest.importorskip('no_such')\ndef add(a, b): return a + b\n",
    "skips-as-unittest": "import unittest\nraise unittest.SkipTest('later')\n",
    "fork-that-returns": "import os\ndef add(a, b):\n    os.fork() and os.wait()\n    return a - b\n",
    "fork-that-imports-on": "import os\nos.fork()\ndef add(a, b): return a - b\n",
    "interrupts": "def add(a, b): raise KeyboardInterrupt\n",
    "equals-nothing": "class R:\n    def __eq__(self, o): raise TypeError\ndef add(a, b): return R()\n",
}
