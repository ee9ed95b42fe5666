"""harness/results/page/trial.py: the view of one trial."""

import json
import re

from pages import report_of, views_of
from rows import a_row, a_run, a_talk, with_two_memories

from harness.results.pricing import Prices
from harness.tasks.loader import Price

TASK = {
    "title": "Add two integers",
    "spec": "Add.",
    "code_file": "add.py",
    "test_file": "test_add.py",
    "reference": "def add(a, b):\n    return b + a\n",
    "acceptance": "def test_add(): assert add(1, 2) == 3\n",
    "bugs": [{"name": "subtracts", "code": "def add(a, b):\n    return a - b\n"}],
}
GRADES = {
    "acceptance": [
        {"name": "test_add", "outcome": "passed", "text": ""},
        {"name": "test_zero", "outcome": "failed", "text": "assert 1 == 0"},
    ],
    "generated": [],
    "on_reference": None,
    "on_bugs": [{"name": "subtracts", "result": "accepted"}],
}


def test_a_trial_says_why_shows_tests_bugs_and_the_reference(run):
    """With the texts of the task and the results that the run kept."""
    path = run / "transcripts/a/t03/1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "grades": GRADES}))
    (run / "tasks").mkdir()
    (run / "tasks/t03.json").write_text(json.dumps(TASK))
    rows = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    for row in rows:
        if row["trial"] == "a/t03/1":
            row["detail"] = "1 of 2 acceptance tests passed; assert 1 == 0"
    (run / "trials.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    view = " ".join(views_of(report_of(run))["a/t03/1"].split())
    assert "Acceptance test test_zero fails: assert 1 == 0. 1 of 2 acceptance tests pass." in view
    assert "Acceptance tests: 1 of 2 pass" in view
    assert "<code>test_zero</code> <small>assert 1 == 0</small>" in view
    assert view.index("test_zero") < view.index("test_add</code>"), "what failed comes first"
    assert "subtracts <small>accepted</small>" in view
    assert '<tr class="same"><td>def add(a, b):</td><td>def add(a, b):</td></tr>' in view
    assert '<tr class="changed"><td> return a + b</td><td> return b + a</td></tr>' in view


def test_a_file_that_breaks_off_is_not_counted_as_a_test(run):
    """Nobody knows how many tests it has."""
    broken = {"outcome": "error", "text": "ImportError: no add"}
    grades = GRADES | {"acceptance": [{"name": "acceptance", **broken}]}
    grades |= {"generated": [{"name": "test_add.py", **broken}]}
    path = run / "transcripts/a/t03/1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "grades": grades}))
    view = " ".join(views_of(report_of(run))["a/t03/1"].split())
    assert "No acceptance test could be collected: ImportError: no add." in view
    assert "Acceptance tests: not collected" in view
    assert "On the delivered code, its tests: not collected" in view
    assert "0 of 1" not in view


def test_bugs_that_were_not_tried_are_not_missed(run):
    """A file that rejects the reference is not asked about bugs: it does not catch none of four."""
    rows = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    rows[1] |= {"tests_valid": False, "bugs_total": 4, "bugs_caught": 0, "bugs_accepted": 0}
    (run / "trials.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    view = views_of(report_of(run))[rows[1]["trial"]]
    assert "4 known bugs not tried: its tests reject the right solution." in view
    assert "of 4 known bugs" not in view


def test_memory_is_told_as_in_the_terminal(tmp_path):
    """What it held, what a specification quotes of it, its change as a diff, the review, failed calls."""
    note = "- Amounts are text such as 12 ct."
    call = {"call_id": "m", "tool": "memory_insert", "arguments": "{}", "text": "no such label"}
    events = [
        {"kind": "block", "attempt": 0, "moment": "before", "label": "notes", "text": note},
        {"kind": "block", "attempt": 0, "moment": "before", "label": "role", "text": "You orchestrate."},
        *a_talk()["events"],
        {"kind": "remembered", "attempt": 1, "ok": False, **call},
        {"kind": "said", "attempt": 0, "speaker": "user", "text": "Review: well done.", "thinking": False},
        {"kind": "remembered", "attempt": 0, "ok": True, **call},
        {"kind": "block", "attempt": 0, "moment": "after", "label": "notes", "text": f"{note}\n- More."},
        {"kind": "block", "attempt": 0, "moment": "after", "label": "role", "text": "You orchestrate."},
    ]
    events[3]["arguments"] = json.dumps({"spec": "Amounts are text such as 12 ct."})
    rows = with_two_memories(1, memory_calls=2)
    folder = a_run(tmp_path / "r", rows)
    (folder / "transcripts/carried/shop.2.t/1.json").write_text(json.dumps({**a_talk(), "events": events}))
    views = views_of(report_of(folder))
    view = views["carried/shop.2.t/1"]
    assert re.findall(r'<li class="attempt">([^<]+)<', view) == [
        *("before the attempts", "attempt 1", "after the attempts"),
    ]
    assert re.findall(r'r-user"><div class="head"><b>([^<]+)<', view) == ["task", "review"]
    assert "memory before</h3><pre>- Amounts" in re.sub(r"\s*\n", "", view)
    assert re.search(r"of this specification, from memory</h3>\s*<pre>Amounts are text such as 12 ct.<", view)
    assert re.search(r"memory after: notes, changed</h3>\s*<pre>  - Amounts are .*\n\+ - More.<", view)
    assert "You orchestrate." not in view
    assert "<dt>memory calls</dt><dd>2, 1 failed</dd>" in view


def test_why_no_test_was_run_is_true(tmp_path):
    """Code that is no Python was there; a reason may begin with the name of a file, and is left as it is."""
    unread = {"acceptance_passed": None, "acceptance_tests": None}
    rows = [
        a_row(task="add", outcome="syntax_error", detail="add.py:6: invalid syntax", **unread),
        a_row(task="sub", outcome="no_code", detail="sub.py was not written", **unread),
    ]
    folder = a_run(tmp_path / "r", rows)
    (folder / "transcripts/p/sub/1.json").write_text(json.dumps({**a_talk(), "files": {}}))
    (folder / "tasks").mkdir()
    (folder / "tasks/add.json").write_text(json.dumps(TASK))
    views = views_of(report_of(folder))
    assert '<p class="why">add.py:6: invalid syntax</p>' in views["p/add/1"]
    assert "They were not run: the code is no valid Python." in views["p/add/1"]
    assert "there was no code to run them on" in views["p/sub/1"]


def test_a_trial_of_an_earlier_version_has_a_view(run):
    """Without the results of single tests or the reference: what there is, and a word on what is not."""
    view = views_of(report_of(run))["a/t01/1"]
    assert "Acceptance tests: 2 of 4 pass" in view
    assert "kept no result of each test" in view
    assert "beside the reference" not in view


def test_the_whole_conversation_is_there(run):
    """Who said what, the code once, files that nobody wrote in the conversation."""
    view = views_of(report_of(run))["a/t01/1"]
    assert "Build add." in view
    assert "orchestrator calls run_claude_coder" in view
    assert view.count("return a + b") == 1
    assert "(the file below)" in view
    assert "given.py, as it was at the end" in view
    assert "add.py, as it was" not in view


def test_each_step_has_its_tokens_and_its_price(run):
    """From the answer's own usage, at the price of the day of recording."""
    path = run / "transcripts/a/t01/1.json"
    talk = json.loads(path.read_text())
    usage = {"input": 1000, "cache_write": 0, "cache_read": 0, "output": 100}
    spent = {"kind": "spent", "attempt": 1, "role": "coder", "model": "code", "usage": usage, "steps": 1}
    talk["events"].insert(2, spent)
    path.write_text(json.dumps(talk))
    prices = Prices({"code": Price(input=1, output=10), "orch": Price(input=0, output=0)})
    view = views_of(report_of(run, prices))["a/t01/1"]
    assert "1,000 tokens in, 100 out · $0.002" in view


def test_a_conversation_that_never_began(run):
    """A trial that ended before its first word has a view without one."""
    (run / "transcripts/b/t09/1.json").write_text('{"stop": "done", "events": [], "files": {}}')
    assert "Nothing was said." in views_of(report_of(run))["b/t09/1"]
