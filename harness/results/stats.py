"""Estimate rates and test differences, from plain numbers; nothing here knows of trials or tables.

The unit that is drawn at random is the *task*: epochs of one task are alike, so they are not counted as if
they were independent. ``bench/stats.py`` simulates how often the intervals cover the truth and how often
the tests cry wolf. scipy is imported here only, and only by what needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, comb, log2, sqrt
from statistics import NormalDist
from typing import Any

CONFIDENCE = 0.95
ALPHA = 0.05
POWER = 0.8
FEWEST = int(1 - log2(ALPHA)) + 1  # tasks that can show something, if all of them agree
RESAMPLES = 9_999
FEWEST_DRAWN = 5  # tasks from which the bootstrap draws: from four, no width makes it right
FINEST = 2_520  # of what fractions of tasks the exact test counts: those of up to ten epochs, in any mixture
SEED = 20_260_101


@dataclass(frozen=True)
class Interval:
    """A confidence interval, in the unit of what it is of."""

    low: float
    high: float


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return the unbiased probability that one of k epochs at least is solved, from n of which c were.

    Source: Chen et al., Evaluating Large Language Models Trained on Code (2021), arXiv:2107.03374, eq. 1.

    Raises:
        ValueError: More epochs are asked about than were measured.
    """
    _check(n, c, k)
    return 1 - comb(n - c, k) / comb(n, k)


def pass_hat_k(n: int, c: int, k: int) -> float:
    """Return the unbiased probability that all of k epochs are solved (pass^k), from n of which c were.

    Source: Yao et al., tau-bench (2024), arXiv:2406.12045, section 3.

    Errors are those of ``pass_at_k``.
    """
    _check(n, c, k)
    return comb(c, k) / comb(n, k)


def _check(n: int, c: int, k: int) -> None:
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"expected 0 <= c <= n and 1 <= k <= n, got n={n}, c={c}, k={k}")


def rate_interval(counts: Iterable[tuple[int, int]]) -> Interval | None:
    """Return the 95 % interval of a pass rate.

    Wilson's score interval (Wilson 1927, J. Am. Stat. Assoc. 22, 209), with the trials replaced by the
    effective number of them: trials divided by the design effect of the clusters (Kish 1965, Survey
    Sampling; the combination is examined by Dean and Pagano 2015, J. Surv. Stat. Methodol. 3,
    484). With one trial in each cluster, or one cluster, it is Wilson's interval itself. Where all trials
    ended alike, the clusters count, not the trials.

    Args:
        counts: ``(trials, solved)`` of each cluster: of each task, where tasks were drawn.

    Returns:
        Bounds from 0 to 1, or None where there are no trials.
    """
    clusters = [(n, c) for n, c in counts if n]
    trials = sum(n for n, _ in clusters)
    if not trials:
        return None
    rate = sum(c for _, c in clusters) / trials
    size = _effective(clusters, trials, rate)
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    center = rate + z * z / (2 * size)
    half = z * sqrt(rate * (1 - rate) / size + z * z / (4 * size * size))
    whole = 1 + z * z / size
    return Interval(max(0.0, (center - half) / whole), min(1.0, (center + half) / whole))


def _effective(clusters: list[tuple[int, int]], trials: int, rate: float) -> float:
    """Return how many independent trials would tell as much as these."""
    count = len(clusters)
    if count in (1, trials):
        return trials
    if rate in (0, 1):
        return count
    within = rate * (1 - rate) / trials
    between = count / (count - 1) * sum((c - rate * n) ** 2 for n, c in clusters) / trials**2
    return trials / max(1.0, between / within)


def difference_interval(differences: Sequence[float]) -> Interval | None:
    """Return the 95 % interval of the mean paired difference of two pass rates.

    Student's interval over the tasks, after two pseudo-tasks were added on which the two disagree half the
    time, once in each direction: with one epoch this is the adjusted interval of Agresti and Min (2005,
    Stat. Med. 24, 729). Without them, few disagreements would give an interval far too short, and none an
    interval without width.

    Args:
        differences: Of each task, the difference of the two rates, -1 to 1.

    Returns:
        Bounds from -1 to 1, or None where there are no tasks.
    """
    if not differences:
        return None
    from scipy.special import stdtrit

    mean, error = _mean_and_error(differences)
    half = float(stdtrit(len(differences) + 1, (1 + CONFIDENCE) / 2)) * error
    return Interval(max(-1.0, mean - half), min(1.0, mean + half))


def _mean_and_error(differences: Sequence[float]) -> tuple[float, float]:
    """Return mean and standard error with the two pseudo-tasks."""
    count = len(differences) + 2
    mean = sum(differences) / count
    variance = (sum(d * d for d in differences) + 1) / count - mean * mean
    return mean, sqrt(variance / count)


def smallest_shown(differences: Sequence[float]) -> float | None:
    """Return the smallest true difference that this many tasks would have shown four times in five.

    Source: Miller, Adding Error Bars to Evals (2024), arXiv:2411.00640, section 5 (power analysis). But no
    paired test shows anything unless ``FEWEST`` tasks at the least differ. So the difference is never less
    than what makes so many differ four times in five, each by as much as those that differ here: of few
    tasks, or of two sides that hardly differ, the standard error alone promises several times too much.

    Returns:
        A difference of rates from 0 to 1, or None where there are no tasks.
    """
    if not differences:
        return None
    each, error = _mean_of_differing(differences), _mean_and_error(differences)[1]
    return min(1.0, max(_factor() * error, each * _share_that_differs(len(differences))))


def tasks_to_show(differences: Sequence[float], wanted: float) -> int:
    """Return how many tasks like these show a true difference four times in five; see ``smallest_shown``.

    Args:
        differences: Of each task, at the least one.
        wanted: A difference of rates, more than 0, at most 1.
    """
    count, error = len(differences), _mean_and_error(differences)[1]
    needed = max(FEWEST, ceil(count * (_factor() * error / wanted) ** 2))
    each = _mean_of_differing(differences)
    while each * _share_that_differs(needed) > wanted:
        needed += 1
    return needed


def _factor() -> float:
    """Return how many standard errors a true difference has to be."""
    normal = NormalDist()
    return normal.inv_cdf(1 - ALPHA / 2) + normal.inv_cdf(POWER)


def _mean_of_differing(differences: Sequence[float]) -> float:
    """Return by how much tasks differ that differ at all; 1 where none does."""
    differing = [abs(d) for d in differences if d]
    return sum(differing) / len(differing) if differing else 1.0


def _share_that_differs(count: int) -> float:
    """Return the share of tasks that must differ for ``FEWEST`` of so many to do so four times in five."""
    if count < FEWEST:
        return 1.0
    from scipy.special import betaincinv

    return float(betaincinv(FEWEST, count - FEWEST + 1, POWER))


def paired_p(differences: Sequence[float]) -> float:
    """Return the two-sided p value of "no difference", paired by task.

    With one epoch: McNemar's test (1947, Psychometrika 12, 153) in its exact form, the binomial test of
    the tasks on which the two disagree. With several, differences may be fractions: then the sign-flip
    permutation test of their sum (Fisher 1935, The Design of Experiments, section 21), of which McNemar's
    is the special case; exact, too.
    """
    differing = [d for d in differences if d]
    if not differing:
        return 1.0
    count = len(differing)
    if all(abs(d) == abs(differing[0]) for d in differing):
        fewer = min(ahead := sum(d > 0 for d in differing), count - ahead)
        return min(1.0, sum(comb(count, k) for k in range(fewer + 1)) / 2.0 ** (count - 1))
    return _exact_p(differing)


def _exact_p(differing: Sequence[float]) -> float:
    """Return the p value of the sign-flip test over all combinations of signs.

    Their sums are counted on the grid whose multiples all differences are: with five epochs, fifths. Where
    there is none down to ``FINEST`` they are rounded to that, and p is the largest that it may then be.
    """
    import numpy as np

    values = np.asarray(differing, dtype=float)
    grid = next((n for n in range(1, FINEST) if _rounding(values * n).max() < 1e-6), FINEST)
    steps = np.rint(values * grid).astype(int)
    chance = np.ones(1)  # at n: that the steps of those with the one sign sum to n
    for size in np.abs(steps):
        chance, fewer = np.zeros(len(chance) + size), chance / 2
        chance[: len(fewer)] += fewer
        chance[size:] += fewer
    seen, doubt = int(steps[steps > 0].sum()), int(_rounding(values * grid).sum())
    tails = chance[: seen + doubt + 1].sum(), chance[max(0, seen - doubt) :].sum()
    return float(min(1.0, 2 * min(tails)))


def _rounding(values: Any) -> Any:
    """Return how far each value is from a whole number."""
    return abs(values - values.round())


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for their number, in the order given (Holm 1979, Scand. J. Stat. 6, 65)."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


@lru_cache(maxsize=1)  # figures of the same tasks follow each other
def _resamples(count: int) -> Any:
    """Return which of so many values each sample of the bootstrap has."""
    import numpy as np

    return np.random.default_rng(SEED).integers(0, count, (RESAMPLES, count))


def mean_interval(values: Sequence[float]) -> Interval | None:
    """Return the 95 % interval of a mean of skewed figures, such as differences of cost, one for each task.

    The BCa bootstrap over tasks (Efron 1987, J. Am. Stat. Assoc. 82, 171) with a fixed seed; as wide at few
    tasks as Student's interval (Hesterberg 2015, Am. Stat. 69, 371: a bootstrap's is too short).

    Returns:
        Bounds in the unit of the values, or None of fewer than ``FEWEST_DRAWN`` tasks.
    """
    if len(values) < FEWEST_DRAWN:
        return None
    if len(set(values)) == 1:
        return Interval(values[0], values[0])
    import numpy as np
    from scipy.special import ndtr, ndtri, stdtrit  # scipy.stats takes a second to import

    data = np.asarray(values, dtype=float)
    count, mean = len(data), data.mean()
    means = data[_resamples(count)].mean(axis=1)
    bias = ndtri(((means < mean).sum() + (means <= mean).sum()) / (2 * RESAMPLES))
    spread = (data - mean) / count  # what leaving a value out changes, times a constant
    acceleration = (spread**3).sum() / (6 * (spread**2).sum() ** 1.5)
    half = stdtrit(count - 1, (1 + CONFIDENCE) / 2) * sqrt(count / (count - 1))
    ends = bias + half * np.array([-1, 1])
    low, high = np.quantile(means, ndtr(bias + ends / (1 - acceleration * ends)))
    return Interval(float(low), float(high))
