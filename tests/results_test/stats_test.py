"""harness/results/stats.py: against enumeration, values by hand, published examples and statsmodels."""

import subprocess
import sys
import time
from itertools import combinations, product
from math import comb, sqrt
from statistics import mean

import pytest

from harness.results import stats
from harness.results.stats import (
    difference_interval,
    holm,
    mean_interval,
    paired_p,
    pass_at_k,
    pass_hat_k,
    rate_interval,
    smallest_shown,
    tasks_to_show,
)


def test_both_are_the_mean_over_all_choices_of_epochs():
    """What every choice of k of up to six epochs shows, on average: that is what makes them unbiased."""
    cases = [(n, c, k) for n in range(1, 7) for c in range(n + 1) for k in range(1, n + 1)]
    for n, c, k in cases:
        choices = list(combinations([i < c for i in range(n)], k))
        assert pass_at_k(n, c, k) == pytest.approx(mean(any(choice) for choice in choices))
        assert pass_hat_k(n, c, k) == pytest.approx(mean(all(choice) for choice in choices))


def test_values_worked_by_hand():
    """Two of five solved: one of two epochs solves with 7/10, both with 1/10; k = 1 is the rate itself."""
    assert pass_at_k(5, 2, 2) == pytest.approx(0.7)
    assert pass_hat_k(5, 2, 2) == pytest.approx(0.1)
    assert pass_at_k(5, 2, 1) == pass_hat_k(5, 2, 1) == pytest.approx(0.4)


@pytest.mark.parametrize(("n", "c", "k"), [(2, 1, 3), (2, 3, 1), (2, -1, 1), (2, 1, 0), (0, 0, 1)])
def test_nothing_is_told_about_epochs_that_were_not_measured(n, c, k):
    """More epochs than there are is a mistake of the caller's."""
    with pytest.raises(ValueError, match="expected 0 <= c <= n"):
        pass_at_k(n, c, k)
    with pytest.raises(ValueError, match="expected 0 <= c <= n"):
        pass_hat_k(n, c, k)


@pytest.mark.parametrize(
    ("solved", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_as_published(solved, trials, low, high):
    """Newcombe (1998), Stat. Med. 17, 857, table I, method 3: one trial in each cluster."""
    found = rate_interval([(1, 1)] * solved + [(1, 0)] * (trials - solved))
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(("solved", "trials"), [(0, 1), (1, 1), (3, 7), (29, 30), (500, 1000)])
def test_wilsons_interval_is_that_of_statsmodels(solved, trials):
    """The same formula in another library."""
    from statsmodels.stats.proportion import proportion_confint

    found = rate_interval([(1, int(n < solved)) for n in range(trials)])
    assert (found.low, found.high) == pytest.approx(proportion_confint(solved, trials, method="wilson"))


def test_epochs_that_agree_tell_nothing_new():
    """Twice the trials with the same result for each task: the interval of as many tasks, a little wider."""
    once = rate_interval([(1, 1)] * 12 + [(1, 0)] * 18)
    twice = rate_interval([(2, 2)] * 12 + [(2, 0)] * 18)
    assert once.low - 0.01 < twice.low <= once.low
    assert once.high <= twice.high < once.high + 0.01


def test_epochs_that_differ_tell_more():
    """Where epochs are as good as independent they count, but never for more than they are."""
    tasks = [(4, 2)] * 30
    wilson = rate_interval([(120, 60)])
    assert rate_interval(tasks) == wilson
    mixed = rate_interval([(4, 4), (4, 0), *[(4, 2)] * 28])
    few = rate_interval([(1, 1)] * 15 + [(1, 0)] * 15)
    assert few.low < mixed.low <= wilson.low + 1e-12


@pytest.mark.parametrize(("c", "bound"), [(0, "high"), (3, "low")])
def test_where_all_ended_alike_tasks_count_and_not_trials(c, bound):
    """Ten tasks, solved or failed three times each, are as certain as ten trials."""
    found, ten = rate_interval([(3, c)] * 10), rate_interval([(1, c // 3)] * 10)
    assert getattr(found, bound) == getattr(ten, bound)
    assert found.low < found.high


def test_nothing_has_no_interval():
    """No trials, no tasks, no figures."""
    assert rate_interval([]) is rate_interval([(0, 0)]) is None
    assert difference_interval([]) is smallest_shown([]) is None
    assert mean_interval([]) is mean_interval([1.0, 2.0, 3.0, 4.0]) is None


@pytest.mark.parametrize(("gained", "lost", "tasks"), [(8, 1, 30), (0, 0, 30), (30, 0, 30), (5, 5, 12)])
def test_the_interval_of_a_difference_is_that_of_agresti_and_min(gained, lost, tasks):
    """With one epoch: half a task added to each of the four cells, then the normal formula, with t for z."""
    from scipy.stats import t

    found = difference_interval([1.0] * gained + [-1.0] * lost + [0.0] * (tasks - gained - lost))
    n, b, c = tasks + 2, gained + 0.5, lost + 0.5
    error = sqrt((b + c) - (b - c) ** 2 / n) / n
    half = t.ppf(0.975, tasks + 1) * error
    assert found.low == pytest.approx(max(-1, (b - c) / n - half))
    assert found.high == pytest.approx(min(1, (b - c) / n + half))


@pytest.mark.parametrize(("gained", "lost"), [(8, 1), (1, 8), (0, 0), (6, 0), (5, 0), (40, 21), (3, 3)])
def test_with_one_epoch_the_test_is_mcnemars(gained, lost):
    """Exact and two-sided, as statsmodels has it."""
    from statsmodels.stats.contingency_tables import mcnemar

    expected = mcnemar([[10, gained], [lost, 10]], exact=True).pvalue if gained + lost else 1.0
    found = paired_p([1.0] * gained + [-1.0] * lost + [0.0] * 20)
    assert found == pytest.approx(expected)


def test_one_and_eight_worked_by_hand():
    """Two tails of 1 + 9 of 512 outcomes."""
    assert paired_p([1.0] * 8 + [-1.0]) == pytest.approx(2 * 10 / 512)


@pytest.mark.parametrize(
    "differences", [[0.5, 1, -0.5], [1, 0.5, 0.5, 0.25, 0], [0.2, -0.4, 0.6, 0.8, -1, 1]]
)
def test_with_several_epochs_all_signs_are_tried(differences):
    """The share of all ways to swap the two sides whose sum is as far from nothing as the one seen."""
    seen = abs(sum(differences))
    sums = [sum(s * d for s, d in zip(signs, differences, strict=True)) for signs in _signs(len(differences))]
    assert paired_p(differences) == pytest.approx(mean(abs(each) >= seen - 1e-9 for each in sums))


def _signs(count):
    return product((1, -1), repeat=count)


def test_many_differing_tasks_are_counted_all_the_same():
    """Twenty halves against five whole ones: all 2 ** 25 signs, by binomial coefficients."""
    ways = sum(comb(20, i) * comb(5, j) for i in range(21) for j in range(6) if i / 2 + j >= 10)
    assert paired_p([0.5] * 20 + [-1.0] * 5) == pytest.approx(2 * ways / 2**25)


def test_sums_that_are_equal_but_for_rounding_are_equal():
    """Thirds that cancel out are no difference at all; in floating point they do not quite."""
    thirds = [1 - 2 / 3, 2 / 3 - 1 / 3, 2 / 3 - 1, -1 / 3] * 6
    assert sum(thirds) != 0
    assert paired_p(thirds) == 1


def test_a_thousand_differing_tasks_take_no_time():
    """Every pair of a large run is compared with every other."""
    begun = time.process_time()
    assert 0 < paired_p([(n % 9 - 3) / 5 for n in range(1000)]) < 0.001
    assert time.process_time() - begun < 1


def test_fractions_without_a_common_grid_are_no_surer_than_they_are():
    """They are rounded, and p is hardly more than that of all signs, never less."""
    values = [1 / 13, 5 / 11, -2 / 7, 16 / 17, 18 / 19, 1 / 23, 0.5, -1 / 29]
    seen = abs(sum(values))
    sums = [sum(s * d for s, d in zip(signs, values, strict=True)) for signs in _signs(len(values))]
    exact = mean(abs(each) >= seen - 1e-9 for each in sums)
    assert exact <= paired_p(values) < exact + 0.05


def test_holm_as_worked_by_hand():
    """The smallest times their number, the next times one fewer, and never less than one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_is_that_of_statsmodels():
    """The same adjustment in another library."""
    from statsmodels.stats.multitest import multipletests

    values = [0.2, 0.001, 0.04, 0.04, 0.011, 0.5, 0.9]
    assert holm(values) == pytest.approx(list(multipletests(values, method="holm")[1]))


def test_more_tasks_could_show_less():
    """2.8 standard errors: four times as many tasks show about half the difference."""
    few = [1.0] * 6 + [-1.0] * 6 + [0.0] * 18
    assert smallest_shown(few) == pytest.approx(2.8016 * sqrt(13 / 32 / 32), rel=1e-4)
    assert smallest_shown(few * 4) == pytest.approx(smallest_shown(few) / 2, rel=0.05)
    assert 0 < smallest_shown([0.0] * 30) < smallest_shown([0.0] * 10) <= 1


@pytest.mark.parametrize("tasks", [8, 30, 100])
@pytest.mark.parametrize("differing", [0, 2, 5])
def test_what_is_said_to_show_four_times_in_five_does(tasks, differing):
    """By the exact test, summed over all outcomes: also where few tasks differ, or there are few."""
    differences = [1.0] * (differing // 2) + [-1.0] * (differing - differing // 2)
    smallest = smallest_shown(differences + [0.0] * (tasks - differing))
    differ = max(differing / tasks, smallest)
    gain, loss = (differ + smallest) / 2, (differ - smallest) / 2
    power = sum(
        comb(tasks, g) * comb(tasks - g, b) * gain**g * loss**b * (1 - gain - loss) ** (tasks - g - b)
        for g in range(tasks + 1)
        for b in range(min(tasks - g, 30) + 1)
        if paired_p([1.0] * g + [-1.0] * b) < 0.05
    )
    assert power == pytest.approx(0.8, abs=0.03)


def test_so_many_tasks_like_these_show_it():
    """As many times these tasks as that take, and not fewer; six at the least."""
    seen = [1.0, -1.0] + [0.0] * 18
    assert smallest_shown(seen * 4) < 0.15 <= smallest_shown(seen * 2)
    assert 40 < tasks_to_show(seen, 0.15) < 80
    assert 70 < tasks_to_show([0.0] * 20, 0.1) < 90
    assert tasks_to_show([1.0] * 4, 1.0) == 6


def test_the_interval_of_a_mean_is_the_same_each_time():
    """Skewed figures: longer on the side of the tail; figures that are all alike leave no doubt."""
    values = [1.0] * 10 + [2.0] * 5 + [20.0] * 2
    found = mean_interval(values)
    assert found == mean_interval(values)
    middle = mean(values)
    assert found.low < middle < found.high
    assert found.high - middle > middle - found.low
    assert mean_interval([0.25] * 9) == mean_interval([0.25] * 9).__class__(0.25, 0.25)


@pytest.mark.parametrize("count", [5, 12, 60])
def test_the_interval_of_a_mean_is_scipys(count):
    """The same draws and the same formula, at the level that makes up for few tasks."""
    import numpy as np
    from scipy.stats import bootstrap, norm, t

    values = np.random.default_rng(count).lognormal(0, 1.5, count) - 0.5
    level = 2 * norm.cdf(t.ppf(0.975, count - 1) * sqrt(count / (count - 1))) - 1
    expected = bootstrap(
        (values,), np.mean, n_resamples=stats.RESAMPLES, confidence_level=level, rng=stats.SEED
    ).confidence_interval
    found = mean_interval(list(values))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("tasks", "least"), [(5, 0.89), (10, 0.91), (30, 0.91)])
def test_the_interval_of_a_mean_holds_it(tasks, least, monkeypatch):
    """In nine cases of ten at five tasks, where a plain bootstrap's does in seventeen of twenty."""
    import numpy as np

    monkeypatch.setattr(stats, "RESAMPLES", 499)
    stats._resamples.cache_clear()
    draws = np.random.default_rng(1).normal(1, 1, (400, tasks))
    found = [mean_interval(list(each)) for each in draws]
    stats._resamples.cache_clear()
    assert mean(each.low <= 1 <= each.high for each in found) > least


@pytest.mark.parametrize("count", [2, 5, 16])
def test_the_exact_test_of_fractions_is_scipys(count):
    """All combinations of signs, counted as scipy's permutation test counts them."""
    import numpy as np
    from scipy.stats import permutation_test

    values = list(np.random.default_rng(count).choice([-1, -0.5, 0.5, 1], count))
    values[:2] = [1.0, 0.5]
    expected = permutation_test(
        (values,), lambda x, axis: x.sum(axis=axis), permutation_type="samples", n_resamples=99_999
    )
    assert paired_p(values) == pytest.approx(expected.pvalue)


def test_what_a_report_needs_does_not_import_all_of_scipy():
    """It would be half of the time of `harness report`."""
    code = (
        "import sys; from harness.results.stats import *; mean_interval([1, 2, 4., 5, 6]);"
        "paired_p([1, .5, -.5]); smallest_shown([0] * 9); difference_interval([1, 0]);"
        "print('scipy.stats' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
