"""What a run that records may ask and spend: one limiter and one budget for all its workers.

They live in the process that controls the run; its workers call them there (``backends/sharing.py``). Before
the first live trial the run's price is estimated, printed, and in a terminal asked for.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from typing import Any, cast

import pytest

from harness.backends.budget import Amount, Budget, Caps, Meter
from harness.backends.limiter import Limiter
from harness.backends.retries import Transport
from harness.backends.sharing import Address, Remote, Served
from harness.files import write_whole
from harness.plugin.reporting import say
from harness.plugin.session import BenchmarkSession
from harness.results.columns import counted
from harness.results.estimate import Estimate, cost_of, of_trial, read_history, total, unpriced
from harness.results.pricing import Prices, dollars
from harness.tasks.loader import PRICES_FILE, doubt_handle
from harness.tasks.pair import Pair
from harness.tasks.trial import Trial
from harness.terminal import printable_line

KEY = "harness-spending"
SPENT = "spent.json"  # in the run's folder
CUT = "budget"  # the outcome of a trial that the budget ended, or did not let begin


class Spending:
    """A pytest plugin, in each process of a run that may record.

    Attributes:
        budget: What the run has spent.
        limiter: Which services are waited for.
    """

    def __init__(self, benchmarks: BenchmarkSession) -> None:
        config = benchmarks.config
        self._benchmarks = benchmarks
        self._config = config
        self._today: date = datetime.now(UTC).date()
        self._served: Served | None = None
        self._is_estimated = False
        self._cut = 0
        self._before = Amount()
        option = config.getoption
        names = ("harness_max_cost", "harness_max_tokens", "harness_max_trial_cost")
        self.caps = Caps(*map(option, names))
        benchmarks.live = {"transport": self.transport, "meter": self.meter}
        given = vars(config).get("workerinput", {}).get(KEY)
        self._worker = str(vars(config).get("workerinput", {}).get("workerid", "main"))
        if given:
            address = Address(*given)
            self.limiter = cast("Limiter", Remote(address, "limiter"))
            self.budget = cast("Budget", Remote(address, "budget"))
        else:
            self.limiter = Limiter(gives_up=not option("harness_keep_going"))
            self.budget = Budget(self.caps)

    # --- what a trial needs ---------------------------------------------------------------------

    def transport(self) -> Transport:
        """Make what sends the requests of a trial."""
        return Transport(self.limiter, patient=True)

    def meter(self, pair: Pair, transport: Transport) -> Meter:
        """Make what counts the calls of a trial."""
        price = cost_of(pair, self._prices, self._today)
        return Meter(transport, self.budget, self.caps, self._worker, price)

    @property
    def _prices(self) -> Prices:
        return self._benchmarks.prices

    # --- workers --------------------------------------------------------------------------------

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where limiter and budget are."""
        self._served = self._served or Served(limiter=self.limiter, budget=self.budget)
        node.workerinput[KEY] = tuple(self._served.address)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Count what a worker had under way when it died."""
        self.budget.release(str(node.gateway.id))

    def pytest_unconfigure(self) -> None:
        """Take no more calls."""
        if self._served is not None:
            self._served.close()

    # --- before the first trial -----------------------------------------------------------------

    def estimate(self, missing: Sequence[Trial]) -> None:
        """Print what the trials to record will cost, and in a terminal ask whether to go on.

        Raises:
            UsageError: A model has no price, and dollars are counted.
        """
        self._is_estimated = True
        pairs = list({trial.pair.name: trial.pair for trial in missing}.values())
        models = unpriced(pairs, self._prices, self._today)
        if models and not self._config.getoption("harness_allow_unknown_price"):
            raise pytest.UsageError(self._no_price(models, pairs))
        history = read_history(self._benchmarks.root / "reports")
        each = {trial.slug: of_trial(trial, history, self._prices, self._today) for trial in missing}
        # A guess is no reason to leave a trial out.
        known = {name: Amount(one.usd or 0.0, one.tokens, 1) for name, one in each.items() if not one.guessed}
        self.budget.expect(known)
        expected = total(each.values())
        lines = [f"estimate: {counted(len(missing), 'trial')} to record, {expected}"]
        lines += [f"not counted in dollars: {', '.join(models)} (no price is known)"] if models else []
        lines += self._budget_line(expected)
        self._before = self._read()
        if self._before.calls:
            lines.insert(0, f"spent before, in this run: {_in_words(self._before)}")
        say(self._config, *lines)
        if self.caps.usd is None and (models or expected.usd is None or expected.usd > 0):
            self._ask()

    def _no_price(self, models: Sequence[str], pairs: Sequence[Pair]) -> str:
        handles = dict.fromkeys(
            each.orchestrator.model for each in pairs if each.orchestrator.label in models
        )
        doubts = [f"  {doubt}" for doubt in map(doubt_handle, handles) if doubt]
        place = self._benchmarks.suite.display(self._benchmarks.suite.folder / PRICES_FILE)
        lines = (
            f"no price is known of {', '.join(models)}: nothing was begun",
            *doubts,
            f"  put it into {place}, in US dollars per million tokens (0 for a server of your own):",
            f"    prices: {{{json.dumps(models[0])}: {{input: 1.0, output: 5.0}}}}",
            "  or let it count as nothing: --allow-unknown-price",
        )
        return "\n".join(printable_line(line) for line in lines)

    def _budget_line(self, expected: Estimate) -> list[str]:
        parts, share = [], 1.0
        if self.caps.usd is not None:
            parts.append(f"{dollars(self.caps.usd)} (--max-cost)")
            share = min(share, self.caps.usd / expected.usd if expected.usd else 1.0)
        if self.caps.tokens is not None:
            parts.append(f"{self.caps.tokens:,} tokens (--max-tokens)")
            share = min(share, self.caps.tokens / expected.tokens if expected.tokens else 1.0)
        if self.caps.trial_usd is not None:
            parts.append(f"{dollars(self.caps.trial_usd)} a trial (--max-trial-cost)")
        if not parts:
            return []
        reach = f": enough for about {int(share * expected.trials)} of them" if share < 1 else ""
        return [f"budget: {', '.join(parts)}{reach}"]

    def _ask(self) -> None:
        """Ask whether to go on, if somebody is there to answer; --max-cost is an answer."""
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        if capture is not None:
            capture.suspend_global_capture(in_=True)
        try:
            if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("CI"):
                return
            try:
                answer = input("go on? [y/N] (--max-cost USD sets a limit and does not ask) ")
            except EOFError:
                answer = ""
        finally:
            if capture is not None:
                capture.resume_global_capture()
        if answer.strip().lower() not in ("y", "yes"):
            pytest.exit(
                "nothing was asked of a model: not without a yes", returncode=pytest.ExitCode.INTERRUPTED
            )

    # --- while it runs, and at its end ----------------------------------------------------------

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the trials that the budget cut."""
        payload = getattr(report, "harness", None)
        self._cut += payload is not None and payload["record"]["outcome"] == CUT
        if payload is not None and self._is_estimated:
            self._write()

    def _read(self) -> Amount:
        """Return what this run spent before it went on (--resume)."""
        with suppress(OSError, ValueError, TypeError):
            return Amount(**json.loads((self._benchmarks.run_folder.path / SPENT).read_text("utf-8")))
        return Amount()

    def _write(self) -> None:
        """Keep what the run has spent; records tell only of trials that came to an end."""
        spent = replace(self._before)
        spent.add(self.budget.spent)
        with suppress(OSError):  # the disk is full: the records tell so
            write_whole(self._benchmarks.run_folder.path / SPENT, json.dumps(asdict(spent)) + "\n")

    def in_words(self) -> str:
        """Return what was spent so far, of what."""
        spent, caps = self.budget.spent, self.caps
        of_usd = f" of {dollars(caps.usd)}" if caps.usd is not None else ""
        of_tokens = f" of {caps.tokens:,}" if caps.tokens is not None else ""
        return _in_words(spent, of_usd, of_tokens)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what was spent, and what the budget did not reach."""
        if not self._is_estimated:
            return
        models = sorted(self.budget.unpriced)
        unknown = f"; in dollars without {', '.join(models)}" if models else ""
        say(self._config, f"spent: {self.in_words()}{unknown}")
        if self._cut:
            trials = f"{self._cut} trial{'s were' if self._cut != 1 else ' was'}"
            line = f"budget: {trials} cut or not begun; with a new budget the same command goes on with them"
            terminalreporter.write_line(line, red=True)


def _in_words(spent: Amount, of_usd: str = "", of_tokens: str = "") -> str:
    return f"{dollars(spent.usd)}{of_usd}, {spent.tokens:,}{of_tokens} tokens, {counted(spent.calls, 'call')}"
