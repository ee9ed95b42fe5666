"""The checks before a live run: an empty account is reported before its first trial.

Trials that are replayed need nothing, and nothing is checked for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.backends.checks.finding import Finding
from harness.errors import UsageError
from harness.tasks.loader import doubt_handle
from harness.tasks.pair import Pair


def check(pairs: Sequence[Pair], environment: Mapping[str, str], *, ask: bool = True) -> list[Finding]:
    """Check what a live run of these pairs needs; return the warnings. ``ask``: see ``services.of_pairs``.

    Raises:
        UsageError: Something is missing; one line for each.
    """
    from harness.backends.checks import services
    from harness.backends.checks.environment import anthropic_key, billed

    found = [anthropic_key(environment, needed=True)] if billed(pairs) else []
    if not any(each.level == "error" for each in found):
        found += services.of_pairs(pairs, environment, ask=ask)
    if errors := [str(each) for each in found if each.level == "error"]:
        errors += filter(None, dict.fromkeys(doubt_handle(pair.orchestrator.model) for pair in pairs))
        raise UsageError("\n".join(errors))
    return [each for each in found if each.level == "warning"]
