"""Estimators over the epochs of a task. Plain numbers in, plain numbers out."""

from __future__ import annotations

from math import comb


def pass_at_k(n: int, c: int, k: int) -> float:
    """Probability that one of k epochs at least is solved: unbiased, from n epochs of which c were.

    Source: Chen et al., Evaluating Large Language Models Trained on Code (2021), arXiv:2107.03374, eq. 1.

    Args:
        n: Epochs measured.
        c: Epochs solved, 0 to n.
        k: Epochs asked about, 1 to n.

    Raises:
        ValueError: More epochs are asked about than were measured.
    """
    _check(n, c, k)
    return 1 - comb(n - c, k) / comb(n, k)


def pass_hat_k(n: int, c: int, k: int) -> float:
    """Probability that all of k epochs are solved (pass^k): unbiased, from n epochs of which c were.

    Source: Yao et al., tau-bench (2024), arXiv:2406.12045, section 3.

    Args:
        n: Epochs measured.
        c: Epochs solved, 0 to n.
        k: Epochs asked about, 1 to n.

    Raises:
        ValueError: More epochs are asked about than were measured.
    """
    _check(n, c, k)
    return comb(c, k) / comb(n, k)


def _check(n: int, c: int, k: int) -> None:
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"expected 0 <= c <= n and 1 <= k <= n, got n={n}, c={c}, k={k}")
