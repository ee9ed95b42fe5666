"""The pages of runs, and what lies packed in them."""

from __future__ import annotations

import base64
import gzip
import json
import re

from harness.results import aggregate
from harness.results.dataframe import read
from harness.results.pricing import Prices
from harness.results.report import write_report
from harness.results.tables import tables_of


def report_of(folder, prices=None):
    """The page of a run's folder, written anew."""
    prices = prices or Prices()
    trials = aggregate.add_costs(read(folder / "trials.jsonl"), prices)
    write_report(folder, trials, tables_of(trials), prices)
    return (folder / "report.html").read_text()


def unpacked(blob):
    """The texts of a part of a page that a browser unpacks."""
    return json.loads(gzip.decompress(base64.b64decode(blob)))


def views_of(page):
    """Name -> the view of each trial, unpacked."""
    views = {}
    for blob in re.findall(r'<data class="blob" value="([^"]+)"', page):
        views |= unpacked(blob)
    return views
