"""A small part of the campaign of ``bench/faults.py``."""

import importlib.util
import sys
from pathlib import Path

import pytest
from fakes import FakeSandbox

BENCH = Path(__file__).parents[1] / "bench" / "faults.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("faults_bench", BENCH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look for themselves there
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_faults_are_told_from_models_and_leave_nothing(bench, tmp_path, monkeypatch):
    """Every outcome is the one that the fault demands; no record, key or agent is where it should not be."""
    for name, key in bench.KEYS.items():
        monkeypatch.setenv(name, key)
    campaign = bench.Campaign(tmp_path, FakeSandbox())
    campaign.go(bench.faults(16, seed=2))
    assert [line for lines in vars(campaign.tally).values() for line in lines] == []
    assert campaign.tally.is_clean


def test_a_campaign_has_each_fault_at_each_place(bench):
    """What the seed chooses is the order: 15 kinds at 8 places, passing and lasting."""
    drawn = bench.faults(2 * 240, seed=1)
    assert len(bench.KINDS) == 15
    assert len(set(drawn[:240])) == 240
    assert drawn != bench.faults(2 * 240, seed=2)
