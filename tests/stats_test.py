"""harness/stats.py: against enumeration and values worked by hand."""

from itertools import combinations
from statistics import mean

import pytest

from harness.stats import pass_at_k, pass_hat_k

CASES = [(n, c, k) for n in range(1, 7) for c in range(n + 1) for k in range(1, n + 1)]


@pytest.mark.parametrize(("n", "c", "k"), CASES)
def test_both_are_the_mean_over_all_choices_of_epochs(n, c, k):
    """What every choice of k of the n epochs shows, on average: that is what makes them unbiased."""
    epochs = [i < c for i in range(n)]
    choices = list(combinations(epochs, k))
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
