"""Names of columns that records, tables, the page and the command line share."""

from __future__ import annotations

from dataclasses import fields

from harness.agents.transcript import ROLES, Usage

SETTINGS = ("orchestrator", "coder", "tester", "flow", "tools", "backend")
BY = ("pair", "orchestrator", "coder", "tester", "task", "tag", "difficulty")
KINDS = tuple(kind.name for kind in fields(Usage))
TOKENS = tuple(f"{role}_{kind}" for role in ROLES for kind in KINDS)
GRADES = ("bugs_caught", "bugs_accepted", "bugs_total", "mutants_caught", "mutants_total")
COSTS = tuple(f"{role}_cost" for role in ROLES)
