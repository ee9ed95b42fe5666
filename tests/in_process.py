"""Run pytest inside this process: a run costs a tenth of one that has to import everything again.

pytester forgets every module that a run has imported. Those of the harness, and compiled ones, which cannot
be loaded twice, are therefore loaded before.
"""

from __future__ import annotations

import importlib
import pkgutil
import time

import anthropic  # noqa: F401
import httpcore  # noqa: F401  (httpx loads these when the first client is made)
import httpcore2  # noqa: F401
import letta_client  # noqa: F401
import pandas as pd  # noqa: F401
import pytest
import scipy.special
import scipy.stats  # noqa: F401
import vcr  # noqa: F401
import warm

import harness
from harness.backends.claude import messages_api
from harness.backends.letta import client

for module in pkgutil.walk_packages(harness.__path__, "harness."):
    if not module.name.startswith(("harness.local", "harness.sandbox.inner")):
        importlib.import_module(module.name)


def run_here(repo: pytest.Pytester, *args: str) -> pytest.RunResult:
    """Run pytest with these arguments in that repository; apart if it has workers of its own."""
    if "-n" in args:
        return run_apart(repo, *args)
    try:
        return repo.runpytest_inprocess("-p", "no:cacheprovider", *args)
    finally:
        # A process keeps its clients until it ends; here that is the end of a run.
        messages_api._client.cache_clear()
        client._client.cache_clear()


def run_apart(repo: pytest.Pytester, *args: str) -> pytest.RunResult:
    """Run pytest with these arguments in that repository, in a process of its own."""
    began = time.monotonic()
    done = warm.run(["-p", "no:cacheprovider", *args], repo.path)
    took = time.monotonic() - began
    return pytest.RunResult(done.returncode, done.stdout.splitlines(), done.stderr.splitlines(), took)
