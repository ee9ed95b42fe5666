"""How often 95 % intervals hold the truth, and how often the paired test sees what is not there.

Tasks are drawn at random, each with a pass rate of its own; epochs are coin tosses with that rate. Prints,
in one run, the coverage of ``harness.results.stats`` beside that of the plain percentile bootstrap over
tasks, the size and power of the paired test, and of the test with Holm's adjustment over six pairs of models.

    python bench/stats.py            # about five minutes
    python bench/stats.py --quick    # a tenth of the draws
"""

from __future__ import annotations

import sys
from itertools import combinations

import numpy as np

from harness.results.stats import difference_interval, holm, paired_p, rate_interval

RNG = np.random.default_rng(20260101)
DRAWS = 400 if "--quick" in sys.argv else 4000
TASKS = (30, 100)
EPOCHS = (1, 2, 5)
RATES = (0.1, 0.3, 0.5, 0.9)
ALIKE = (0.2, 0.8)  # how much of the variance lies between tasks (intra-class correlation)


def task_rates(mean, alike, tasks):
    """Pass rates of tasks, Beta-distributed."""
    weight = 1 / alike - 1
    return RNG.beta(mean * weight, (1 - mean) * weight, tasks)


def bootstrap(values):
    """Return the percentile bootstrap of a mean over tasks, as most tools compute it."""
    means = values[RNG.integers(0, len(values), (500, len(values)))].mean(1)
    return np.quantile(means, [0.025, 0.975])


def rates():
    """Coverage of intervals of a pass rate."""
    print(f"95 % intervals of a pass rate: how often they hold the truth, of {DRAWS} draws")
    print("tasks epochs  harness.stats: mean (least..most) over rates   bootstrap over tasks")
    everything = []
    for tasks in TASKS:
        for epochs in EPOCHS:
            ours, theirs = [], []
            for mean in RATES:
                for alike in ALIKE:
                    hit = other = 0
                    for _ in range(DRAWS):
                        solved = RNG.binomial(epochs, task_rates(mean, alike, tasks))
                        found = rate_interval([(epochs, int(c)) for c in solved])
                        hit += found.low <= mean <= found.high
                    for _ in range(DRAWS // 10):
                        solved = RNG.binomial(epochs, task_rates(mean, alike, tasks))
                        low, high = bootstrap(solved / epochs)
                        other += low <= mean <= high
                    ours.append(hit / DRAWS)
                    theirs.append(other / (DRAWS // 10))
            everything += ours
            print(f"{tasks:5} {epochs:6}  {spread(ours):>45}   {spread(theirs)}", flush=True)
    print(f"overall: {spread(everything)}\n")


def spread(shares):
    """Return a mean with its extremes, in percent."""
    return f"{100 * np.mean(shares):.1f} ({100 * min(shares):.1f}..{100 * max(shares):.1f})"


def two_models(mean, gain, tasks, epochs):
    """Differences of two models' rates on the same tasks; the second is better by ``gain`` on average."""
    first = task_rates(mean, 0.5, tasks)
    second = task_rates(mean + gain, 0.5, tasks)
    mixed = np.where(RNG.random(tasks) < 0.5, np.minimum(1, first + gain), second)  # partly alike
    return (RNG.binomial(epochs, mixed) - RNG.binomial(epochs, first)) / epochs, mixed


def differences():
    """Coverage of intervals of a paired difference, and the power of the paired test."""
    print(f"95 % intervals of a paired difference of rates, and the paired test, of {DRAWS} draws")
    print("tasks epochs  difference  harness.stats   bootstrap over tasks   p < 0.05")
    everything = []
    for tasks in TASKS:
        for epochs in EPOCHS:
            for mean, gain in ((0.1, 0.0), (0.3, 0.0), (0.3, 0.2), (0.6, 0.3)):
                draws = DRAWS // 4
                sample = [two_models(mean, gain, 20_000, 1)[1].mean() for _ in range(5)]
                truth = float(np.mean(sample)) - mean
                hit = other = found = 0
                for _ in range(draws):
                    seen, _ = two_models(mean, gain, tasks, epochs)
                    interval = difference_interval(seen.tolist())
                    hit += interval.low <= truth <= interval.high
                    low, high = bootstrap(seen)
                    other += low <= truth <= high
                for _ in range(draws // 10):
                    seen, _ = two_models(mean, gain, tasks, epochs)
                    found += paired_p(seen.tolist()) < 0.05
                everything.append(hit / draws)
                print(
                    f"{tasks:5} {epochs:6}  {100 * truth:+9.1f}   {100 * hit / draws:12.1f} "
                    f"{100 * other / draws:22.1f} {100 * found / (draws // 10):10.1f}",
                    flush=True,
                )
    print(f"overall: {spread(everything)}\n")


def false_alarms():
    """How often at least one of six comparisons of four equal models is called a difference."""
    for tasks in TASKS:
        rounds, alarms, single, comparisons = DRAWS // 2, 0, 0, 0
        for _ in range(rounds):
            rate = task_rates(0.4, 0.5, tasks)
            models = [RNG.binomial(1, rate) for _ in range(4)]
            p_values = [paired_p((a - b).tolist()) for a, b in combinations(models, 2)]
            single += sum(p < 0.05 for p in p_values)
            comparisons += len(p_values)
            alarms += min(holm(p_values)) < 0.05
        print(
            f"{tasks} tasks, four equal models, {rounds} draws: exact McNemar below 0.05 in "
            f"{100 * single / comparisons:.1f} % of comparisons; with Holm, any of six in "
            f"{100 * alarms / rounds:.1f} % of draws"
        )


if __name__ == "__main__":
    rates()
    differences()
    false_alarms()
