"""Errors that the harness raises on purpose.

    HarnessError                 one line: what went wrong, where, what to do
    ├── UsageError               an option or argument makes no sense (exit code 2)
    ├── SpecError                a task or pair file is wrong; lists every problem in it
    ├── CassetteError            a cassette cannot be read or must not be written
    │   ├── MissingCassette      nothing was recorded for this trial
    │   ├── StaleCassette        the recording no longer fits what the harness asks
    │   ├── EditedCassette       it is not what was recorded: its digest differs
    │   ├── UnsafeCassette       it would hold a secret, so it was not written; or holds one
    │   └── UnplayableRecording  it would not replay, so it was not written
    ├── ApiError                 Letta or Claude refused, failed or could not be reached
    │   ├── UnusableAnswer       what answered is not what the harness can read
    │   └── OverTime             a conversation hung, and was cut off
    ├── BudgetSpent              the run, or this trial of it, may spend no more
    ├── NotRun                   a step of a course whose agent is not where the step begins
    ├── DiskError                a recording cannot be kept
    ├── SandboxError             model-written code could not be run at all
    └── StackError               the embedded live stack could not be started or stopped

A model that fails a task is *not* an error: that is a verdict (``grading/verdict.py``). An error is caught at
one place, the pytest item (``plugin/collect.py``) or the command (``cli/console.py``), which prints one line,
without a traceback.
"""

from __future__ import annotations

from typing import ClassVar


class HarnessError(Exception):
    """An error for people to read: what went wrong, and what to do about it.

    Attributes:
        message: What went wrong and where.
        remedy: What the user can do, as an instruction; empty when nothing sensible can be said.
        outcome: The infra outcome that a trial gets when this error ends it.
    """

    outcome: ClassVar[str] = "harness_error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} -> {self.remedy}" if self.remedy else self.message


class UsageError(HarnessError):
    """An option or argument makes no sense."""

    exit_code = 2


class SpecError(HarnessError):
    """A task or pair file is wrong. ``problems`` holds one line for each thing to mend."""

    outcome = "spec_error"
    exit_code = 2

    def __init__(self, problems: list[str], *, remedy: str = "") -> None:
        # A key of the file may hold line ends: each problem stays one line.
        self.problems = ["\\n".join(problem.splitlines()) for problem in problems]
        super().__init__("\n".join(self.problems), remedy=remedy)


class CassetteError(HarnessError):
    """A cassette cannot be read, or must not be written."""

    outcome = "stale_cassette"


class MissingCassette(CassetteError):
    """Nothing was recorded for this trial."""

    outcome = "missing_cassette"


class StaleCassette(CassetteError):
    """The recording no longer fits what the harness asks."""


class EditedCassette(CassetteError):
    """It was changed after it was recorded: its digest is another."""


class UnsafeCassette(CassetteError):
    """It would hold what looks like a secret, so it was not written; or it does hold that."""

    outcome = "unsafe_cassette"


class UnplayableRecording(CassetteError):
    """It would not replay, or not as the trial went, so it was not written."""

    outcome = "unplayable_recording"


class ApiError(HarnessError):
    """Letta or Claude refused, failed or could not be reached, after all transport retries.

    Attributes:
        service: ``letta`` or ``claude`` (who stands behind the tools), if one of them answered.
    """

    outcome = "api_error"

    def __init__(self, message: str, *, remedy: str = "", service: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.service = service


class UnusableAnswer(ApiError):
    """An answer came, and is not what the harness can read; the message says why."""


class BudgetSpent(HarnessError):
    """The run, or this trial of it, may spend no more: nothing more was asked, and nothing is recorded."""

    outcome = "budget"


class OverTime(ApiError):
    """A conversation, or a turn of it, took longer than it may: it was cut off."""

    outcome = "wall_limit"


class NotRun(HarnessError):
    """A step of a course was not run: its agent is not where the step begins."""

    outcome = "not_run"


class DiskError(HarnessError):
    """The disk does not take what was recorded, or would not."""

    outcome = "disk_error"


class SandboxError(HarnessError):
    """Model-written code could not be run at all: the fault is not the model's."""

    outcome = "sandbox_error"


class StackError(HarnessError):
    """The embedded live stack could not be started or stopped."""
