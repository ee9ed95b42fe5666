"""Prepare one trial for its view: why, tests, code beside the reference, conversation by steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import Any, Literal

from harness.agents.memory import OUTSIDE
from harness.agents.transcript import Event, Remembered, Said, Spent, Tested, Wrote
from harness.results.conversation import Part, attempt_title, event_parts, folded, tokens
from harness.results.evidence import CaseResult, Grades, TaskTexts
from harness.results.run_folder import Conversation

LONG_LINES, LONG_CHARS = 14, 1_200  # a longer part is folded
CostOf = Callable[[Mapping[str, Any], Spent], float | None]


@dataclass
class Step:
    """One answer of a model with what followed from it, or what the harness said or tested between two.

    Attributes:
        style: Who is at work.
        title: Its name.
        attempt: Number of the attempt.
        heading: What begins with this step: an attempt, or what is before or after all of them; else empty.
        model: Which model answered, if one did.
        used: Its tokens in words.
        count: Its tokens.
        cost: Dollars; None where unknown, or where no model answered.
        share: Tokens, in percent of the largest step of the trial.
        parts: What was said, called, written and returned.
    """

    style: str
    title: str
    attempt: int
    heading: str = ""
    model: str = ""
    used: str = ""
    count: int = 0
    cost: float | None = None
    share: float = 0.0
    parts: list[Part] = field(default_factory=list)


def steps_of(conversation: Conversation, cost_of: CostOf) -> list[Step]:
    """Return the steps of a trial in order; usage comes with an answer, before what it says."""
    steps: list[Step] = []
    before: dict[str, str] = {}
    events = conversation.transcript.events
    for event in map(_without_its_code, events, (*events[1:], None)):
        if isinstance(event, Spent):
            cost = cost_of(conversation.row, event)
            steps.append(
                Step(
                    *(event.role, event.role, event.attempt),
                    model=event.model,
                    used=tokens(event.usage),
                    count=event.usage.total,
                    cost=cost,
                )
            )
            continue
        shown = list(event_parts(event, before))
        if not shown:
            continue
        alone = isinstance(event, Tested) or (isinstance(event, Said) and event.speaker == "user")
        speaker = getattr(event, "role", None) or getattr(event, "speaker", None)
        last = steps[-1] if steps else None
        other = last and (last.style in ("user", "test") or last.attempt != event.attempt)
        if last is None or alone or other or (speaker and last.style != speaker):
            style = "user" if alone and isinstance(event, Said) else "test" if alone else speaker or "harness"
            last = Step(style, _title(style, event, steps), event.attempt)
            steps.append(last)
        last.parts += shown
    most = max((step.count for step in steps), default=0)
    begun: int | None = None
    for step in steps:
        if step.attempt != begun:
            step.heading = attempt_title(step.attempt, is_first=begun is None)
            begun = step.attempt
        step.share = 100 * step.count / most if most else 0.0
        step.parts = list(folded(step.parts))
    return steps


def _title(style: str, event: Event, earlier: Sequence[Step]) -> str:
    """Return what a step of somebody's or of the harness is called."""
    if style == "test":
        return "tests run"
    if style != "user":
        return style
    if event.attempt == OUTSIDE:
        return "review"
    return "repair message" if any(step.style == "user" for step in earlier) else "task"


def _without_its_code(event: Event, following: Event | None) -> Event:
    """Return an answer without the code that became a file: the file is shown below it."""
    if isinstance(event, Said) and isinstance(following, Wrote) and (code := following.text.strip()):
        return replace(event, text=event.text.replace(code, "(the file below)"))
    return event


def is_long(text: str) -> bool:
    """Return True for what is folded."""
    return text.count("\n") >= LONG_LINES or len(text) > LONG_CHARS


@dataclass(frozen=True)
class Line:
    """A line of two texts side by side; None where one of them has none."""

    kind: Literal["same", "changed", "left", "right"]
    left: str | None
    right: str | None


def side_by_side(left: str, right: str) -> list[Line]:
    """Return two texts line by line, what is the same in one row."""
    mine, theirs = left.splitlines(), right.splitlines()
    lines = []
    for kind, a, b, c, d in SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += [Line("same", mine[a + n], theirs[c + n]) for n in range(b - a)]
            continue
        for n in range(max(b - a, d - c)):
            here = mine[a + n] if n < b - a else None
            there = theirs[c + n] if n < d - c else None
            name: Any = "left" if there is None else "right" if here is None else "changed"
            lines.append(Line(name, here, there))
    return lines


def why(row: Mapping[str, Any], acceptance: Sequence[CaseResult] = ()) -> str:
    """Return how the trial ended: first an acceptance test that failed, if the record has the results."""
    tests = Tests.of(acceptance)
    if row["kind"] == "model" and row["outcome"] == "wrong" and tests.failed:
        reason = tests.failed[0]["text"].strip().splitlines()[:1]
        said = f": {reason[0]}" if reason else ""
        if tests.not_collected:
            return f"No acceptance test could be collected{said}."
        name, passed = tests.failed[0]["name"], len(tests.passed)
        return f"Acceptance test {name} fails{said}. {passed} of {tests.count} acceptance tests pass."
    if row["kind"] != "model":
        return row["detail"] or "The trial could not be measured."
    if row["outcome"] != "solved":  # may begin with the name of a file: not a letter of it is changed
        return str(row["detail"]) or row["outcome"].replace("_", " ")
    if row["solved_at"] is None:
        return "All acceptance tests pass."
    after = "at the first attempt" if row["solved_at"] == 1 else f"at attempt {row['solved_at']}"
    return f"All {row['acceptance_tests'] or ''} acceptance tests pass, {after}.".replace("  ", " ")


@dataclass(frozen=True)
class Tests:
    """The results of one test file, those that did not pass apart."""

    failed: Sequence[CaseResult]
    passed: Sequence[CaseResult]

    @classmethod
    def of(cls, results: Sequence[CaseResult]) -> Tests:
        """Return results, sorted so."""
        failed = [each for each in results if each["outcome"] != "passed"]
        return cls(failed, [each for each in results if each["outcome"] == "passed"])

    @property
    def count(self) -> int:
        """Return how many there are."""
        return len(self.failed) + len(self.passed)

    @property
    def not_collected(self) -> bool:
        """True if the file broke off when it was imported: what failed is the file, and no test."""
        names = [each["name"] for each in self.failed if each["outcome"] == "error"]
        return len(names) == self.count == 1 and (names[0] == "acceptance" or names[0].endswith(".py"))

    @property
    def score(self) -> str:
        """How many pass, in words."""
        return "not collected" if self.not_collected else f"{len(self.passed)} of {self.count} pass"


def _tests(found: Grades | None, name: Literal["acceptance", "generated", "on_reference"]) -> Tests | None:
    """Return the results of a test file, or None where it was not run."""
    results = found[name] if found else None
    return None if results is None else Tests.of(results)


def tester_says(conversation: Conversation) -> Iterator[str]:
    """Yield sentences on what the tester's file is worth."""
    row = conversation.row
    if row["tests_valid"] is None:
        return
    yield (
        "It accepts the reference."
        if row["tests_valid"]
        else "It rejects the reference, the right solution: a false alarm."
    )
    if row["bugs_total"] and row["tests_valid"]:
        yield f"It catches {row['bugs_caught']} of {row['bugs_total']} known bugs."
    if row["mutants_total"] and row["tests_valid"]:
        yield f"It catches {row['mutants_caught']} of {row['mutants_total']} mutants of the reference."
    verdict = "pass" if row["generated_passed"] else "do not pass"
    yield f"Its tests {verdict} on the delivered code."


def not_run(row: Mapping[str, Any], delivered: str | None) -> str:
    """Return why no acceptance test was run."""
    if row["outcome"] == "syntax_error":
        return "They were not run: the code is no valid Python."
    if row["kind"] == "model" and delivered is None:
        return "They were not run: there was no code to run them on."
    return "They were not run."


def memory_calls(conversation: Conversation) -> str:
    """Return how often a memory tool was called, and how often that failed; empty where there was none."""
    calls = [each for each in conversation.transcript.events if isinstance(each, Remembered)]
    failed = sum(not each.ok for each in calls)
    if conversation.row.get("memory_calls") is None:
        return ""
    return f"{len(calls)}, {failed} failed" if failed else str(len(calls))


def view_values(conversation: Conversation, texts: TaskTexts | None, cost_of: CostOf) -> dict[str, Any]:
    """Return what the template of a trial needs."""
    files, found = conversation.files, conversation.grades
    code_file = texts["code_file"] if texts else ""
    test_file = texts["test_file"] if texts else ""
    delivered = files.get(code_file)
    written = {event.path: event.text for event in conversation.transcript.events if isinstance(event, Wrote)}
    shown = {code_file} if delivered is not None else set()
    others = [
        (name, text)
        for name, text in sorted(files.items())
        if name not in shown and (name == test_file or written.get(name) != text)
    ]
    return {
        "row": conversation.row,
        "why": why(conversation.row, (found["acceptance"] or ()) if found else ()),
        "texts": texts,
        "delivered": delivered,
        "lines": side_by_side(delivered, texts["reference"]) if texts and delivered is not None else [],
        "is_reference": bool(
            texts and delivered is not None and delivered.strip() == texts["reference"].strip()
        ),
        "acceptance": _tests(found, "acceptance"),
        "not_run": not_run(conversation.row, delivered),
        "generated": _tests(found, "generated"),
        "on_reference": _tests(found, "on_reference"),
        "on_bugs": found["on_bugs"] if found else [],
        "bug_code": {bug["name"]: bug["code"] for bug in texts["bugs"]} if texts else {},
        "tester_says": list(tester_says(conversation)),
        "others": others,
        "steps": steps_of(conversation, cost_of),
        "memory_calls": memory_calls(conversation),
        "stop": conversation.transcript.stop,
    }
