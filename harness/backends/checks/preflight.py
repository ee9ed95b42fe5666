"""The checks that run by themselves, once, before pytest records: nobody waits to learn of an empty account.

Under xdist the controller makes them, when the first worker has said what it collected. Trials that are
replayed need nothing, and nothing is checked for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harness.backends.checks.finding import Finding
from harness.errors import UsageError
from harness.tasks.trial import Pair


def check(pairs: Sequence[Pair], environment: Mapping[str, str], *, ask: bool = True) -> list[Finding]:
    """What a live run of these pairs needs.

    Args:
        pairs: The pairs.
        environment: The variables that name endpoints and keys.
        ask: Also ask each model that costs money for a word.

    Returns:
        The warnings.

    Raises:
        UsageError: Something is missing; one line for each.
    """
    from harness.backends.checks import services
    from harness.backends.checks.environment import anthropic_key

    billed = any(pair.backend == "anthropic" for pair in pairs)
    found = [anthropic_key(environment, needed=True)] if billed else []
    if not _errors(found):
        found += services.of_pairs(pairs, environment, ask=ask)
    if errors := _errors(found):
        raise UsageError("\n".join(map(str, errors)))
    return [each for each in found if each.level == "warning"]


def _errors(findings: Iterable[Finding]) -> list[Finding]:
    return [each for each in findings if each.level == "error"]
