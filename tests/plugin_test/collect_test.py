"""harness/plugin/collect.py: the steps of a course as pytest knows them."""

from __future__ import annotations

from harness.plugin.collect import without_steps

RUN = "benchmarks/courses/c.yaml::p[1]"


def test_steps_are_found_by_their_node_ids() -> None:
    """By itself, pytest takes all after the bracket for a parameter: the run is collected, the step kept."""
    args, steps = without_steps([f"{RUN}::step-2", "benchmarks/add.yaml::p[1]", f"{RUN}::step-1"])
    assert args == [RUN, "benchmarks/add.yaml::p[1]"]
    assert steps == {"c.yaml::p[1]::step-2", "c.yaml::p[1]::step-1"}


def test_a_run_that_is_named_as_a_whole_stays_whole() -> None:
    """A step beside its whole run takes nothing away."""
    assert without_steps([f"{RUN}::step-2", RUN]) == ([RUN], set())
