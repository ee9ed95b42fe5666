"""harness/results/page: the report page as text."""

import json
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from rows import a_row, a_run, a_talk, an_infra_row, many, with_two_memories

from harness.results import aggregate
from harness.results.dataframe import read
from harness.results.page import compose
from harness.results.page.blobs import unpacked
from harness.results.pricing import Prices
from harness.results.report import write_report
from harness.results.run_state import State, write
from harness.results.tables import tables_of
from harness.tasks.loader import Price

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m"
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


def report_of(folder, prices=None):
    """The page of a run's folder, written anew."""
    prices = prices or Prices()
    trials = aggregate.add_costs(read(folder / "trials.jsonl"), prices)
    write_report(folder, trials, tables_of(trials), prices)
    return (folder / "report.html").read_text()


def views_of(page):
    """Name -> the view of each trial, unpacked."""
    views = {}
    for blob in re.findall(r'<data class="blob" value="([^"]+)"', page):
        views |= unpacked(blob)
    return views


def differences_of(page):
    """The panels behind the cells of the matrix, unpacked."""
    return unpacked(re.search(r'id="differences-data" value="([^"]+)"', page)[1])


class Elements(HTMLParser):
    """All elements of a page: ``(tag, attributes)``; and those that were never closed."""

    VOID = ("meta", "br", "input", "img", "link")

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture
def run(tmp_path):
    """A run of two pairs, with an infra error, and a hostile model."""
    rows = [*many("a", 3, 4), *many("b", 1, 4), an_infra_row("b", task="t09", detail="x")]
    rows[0]["detail"] = HOSTILE
    folder = a_run(tmp_path / "r1", rows)
    talk = a_talk(HOSTILE, f"def add(a, b):\n    return {HOSTILE!r}\n")
    talk["files"][HOSTILE] = HOSTILE
    (folder / "transcripts" / "a" / "t00" / "1.json").write_text(json.dumps(talk))
    return folder


def test_nothing_of_a_model_becomes_markup(run):
    """Words, code, file names and reasons are text; the page has one script, and it is its own."""
    page = report_of(run)
    view = views_of(page)["a/t00/1"]
    for text in (page, view):
        elements = Elements(text)
        assert not elements.open
        assert not [tag for tag, _ in elements.found if tag in ("img", "iframe", "object", "link")]
        assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
        assert "\x1b" not in text
    assert [tag for tag, _ in Elements(page).found].count("script") == 1
    assert "script" not in [tag for tag, _ in Elements(view).found]
    assert "&lt;script&gt;alert(1)" in view


def test_the_page_needs_nothing_else(run):
    """No address of another file or host; the policy lets nothing load and only the page's script run."""
    page = report_of(run)
    for text in (page, *views_of(page).values()):
        for _, attributes in Elements(text).found:
            assert attributes.get("href", "#").startswith("#")
            assert "src" not in attributes
    (policy,) = [
        attributes["content"] for _, attributes in Elements(page).found if "http-equiv" in attributes
    ]
    assert policy.startswith("default-src 'none';")
    assert re.search(r"script-src 'sha256-[\w+/=]{44}'", policy)


def test_each_link_leads_somewhere(run):
    """To a section, a trial that is there, or a filter by names that are there."""
    page = report_of(run)
    elements = Elements(page).found
    targets = {attributes["id"] for _, attributes in elements if "id" in attributes}
    views = views_of(page)
    links = {unquote(attributes["href"][1:]) for _, attributes in elements if "href" in attributes}
    for text in differences_of(page).values():
        links |= {
            unquote(attributes["href"][1:]) for _, attributes in Elements(text).found if "href" in attributes
        }
    assert {link for link in links if "=" not in link} <= targets
    trials = {link.removeprefix("trial=") for link in links if link.startswith("trial=")}
    assert trials == set(views)
    assert {link for link in links if link.startswith("pair=")} == {
        *(
            "pair=a",
            "pair=b",
            "pair=a&mark=S",
            "pair=a&mark=W",
            "pair=b&mark=S",
            "pair=b&mark=W",
            "pair=b&mark=!",
        ),
    }


def test_a_cell_leads_to_what_was_not_solved(tmp_path):
    """Of two epochs the one that failed; a letter for each."""
    rows = [a_row(epoch=1), a_row(epoch=2, outcome="wrong")]
    page = " ".join(report_of(a_run(tmp_path / "r", rows)).split())
    cell = re.search(r'<td tabindex="-1" data-t="p/t/2">(.*?)</td>', page)[1]
    assert re.findall(r">(\w)<", cell) == ["S", "W"]


def test_the_smallest_part_of_a_bar_has_its_letter_and_its_number(tmp_path):
    """One trial of fifty, too: the numbers of a bar add up."""
    page = report_of(a_run(tmp_path / "r", [*many("a", 49, 50), *many("m", 50, 50, backend="mock")]))
    bar = page[page.index('<span class="stack">') :]
    assert re.findall(r'aria-label="[^"]+">([^<]+)<', bar)[:3] == ["S 49", "W 1", "S 50"]


def test_figures_have_a_minus_and_no_hyphen(run):
    """In the table of comparisons and behind a cell as in the matrix."""
    page = report_of(run)
    table = page[page.index('id="difference-table"') : page.index("p: exact McNemar")]
    assert "−50.0" in table
    for text in (re.sub("<[^>]*>", " ", table), re.sub("<[^>]*>", " ", differences_of(page)["0"])):
        assert not re.search(r"(?<!\w)-\d", text)


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


def test_a_very_large_run_ends_somewhere_and_says_so(run, monkeypatch):
    """What was not solved is listed first; conversations that found no room are named by their number."""
    monkeypatch.setattr(compose, "MOST_ROWS", 6)
    monkeypatch.setattr(compose, "MOST_BYTES", 1)
    page = report_of(run)
    listed = re.findall(r'<tr data-t="([^"]+)"', page)
    assert len(listed) == 6
    assert {"a/t03/1", "b/t01/1", "b/t02/1", "b/t03/1", "b/t09/1"} <= set(listed)
    assert "3 more trials are in <code>trials.jsonl</code>" in page
    assert len(views_of(page)) < 6
    assert f"The conversations of {6 - len(views_of(page))} of these trials" in page


def test_a_run_without_measurements_has_a_page(tmp_path):
    """Nothing to compare, nothing to draw, nothing breaks."""
    page = report_of(a_run(tmp_path / "r", [an_infra_row()]))
    assert "Nothing was measured." in page
    assert "<svg" not in page
    assert "No test file was written." in page
    assert "<p>No trial was measured.</p>" in page[page.index('id="cost"') :]
    assert "not measured: 1 infra errors" in page


def test_the_picture_shows_what_priced_pairs_cost(tmp_path):
    """A stand-in with a price: dollars on the axis, the front joined, the unpriced named."""
    rows = [
        *many("cheap", 5, coder="small", coder_output=1000),
        *many("dear", 15, coder="large", coder_output=1000),
        *many("poor", 3, coder="large", coder_output=2000),
        *many("free", 20, coder="oracle", backend="mock"),
        *many("odd", 1, coder="nobody-knows", coder_output=5),
    ]
    known = {"small": Price(input=1, output=5), "large": Price(input=1, output=50)}
    free = dict.fromkeys(("orch", "code", "oracle"), Price(input=0, output=0))
    page = report_of(a_run(tmp_path / "r", rows), Prices({**known, **free}))
    svg = page[page.index("<svg") : page.index("</svg>")]
    names = re.findall(r'<g class="([\w-]+)">.*?class="name"[^>]*>([^<]+)<', svg)
    assert sorted(names) == [("off-front", "poor"), ("on-front", "cheap"), ("on-front", "dear")]
    assert "US dollars a trial" in svg
    assert "No price is known for nobody-knows" in page
    assert report_of(tmp_path / "r", Prices({**known, **free})) == page


def test_a_run_that_is_not_complete_says_so_first(run):
    """Right below the verdict, which can still change; what to run next is no question yet."""
    state = State(began="2026-01-01T00:00:00+00:00", arguments=[], options={}, pairs=["a"], planned=9)
    write(run, state)
    assert "Not complete" not in report_of(run)
    assert 'id="surer"' in report_of(run)
    write(run, state.model_copy(update={"planned": 616}))
    page = report_of(run)
    assert (
        '</h1><p class="caveat">Not complete: 9 of 616 trials. All of this page is of these alone.</p>'
        in page
    )
    assert 'id="surer"' not in page


def test_what_so_few_tasks_can_show_is_nothing_in_all_places(run):
    """Four tasks: no difference that they would establish stands behind a cell, nor in the table."""
    page = report_of(run)
    assert "So few can establish nothing" in differences_of(page)["0"]
    assert "four times in five" not in differences_of(page)["0"]
    assert "detectable points" not in page


def test_a_conversation_that_never_began(run):
    """A trial that ended before its first word has a view without one."""
    (run / "transcripts/b/t09/1.json").write_text('{"stop": "done", "events": [], "files": {}}')
    assert "Nothing was said." in views_of(report_of(run))["b/t09/1"]


def test_courses_have_a_section_of_their_own(tmp_path):
    """Curves, what memory changes, and each step by pair; no step is among tasks, outcomes or the answer."""
    courses = [*with_two_memories(7), *with_two_memories(1, fresh="sss", course="shop-control", control=True)]
    page = report_of(a_run(tmp_path / "r", [*many("p", 3, 4), *courses]))
    memory = page[page.index('<section id="memory"') : page.index('<section id="groups"')]
    assert "carried is better than fresh: +67 points, 95 % interval" in memory
    assert "(p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}0.016 after Holm, 7 paired course runs)" in memory
    assert "no difference shown between carried (control) and fresh (control): +0 points" in memory
    assert re.findall(r'style="--h:([\d.]+)%', memory)[:6] == [
        "100.0",
        "0.0",
        "0.0",
        "100.0",
        "100.0",
        "100.0",
    ]
    assert memory.index("Controls: ") > memory.index("carried</th>")
    assert re.findall(r'data-t="([^"]+)"', memory)[:2] == ["fresh/shop.1.t/1", "carried/shop.1.t/1"]
    assert 'class="n">solved<br>by models</th>' in memory, "whose they are, where mocks stand beside"
    rest = page[: page.index('<section id="memory"')]
    assert "shop.1.t" not in rest
    assert "4 trials: 4 tasks" in rest
    assert "No model wrote the code" not in memory


def test_many_comparisons_of_memory_that_show_nothing_are_one_line(tmp_path):
    """What is established stands alone, also that of mocks; the others behind a line that counts them."""
    small = [row for n in range(5) for row in with_two_memories(1, coder=f"c{n}", course=f"c{n}")]
    page = report_of(a_run(tmp_path / "r", [*small, *with_two_memories(7, coder="m", backend="mock")]))
    memory = page[page.index('<section id="memory"') :]
    (first,) = re.findall(r"<li>(.*?)</li>", memory[: memory.index("<details>")])
    assert re.sub("<[^>]*>", "", first).startswith("carried orch+m (mock) is better than fresh orch+m (mock)")
    assert "<summary>No difference shown in 5 other comparisons</summary>" in memory
    assert memory.count("so few can show none") == 5


def test_a_run_of_nothing_but_courses(tmp_path):
    """The answer is what memory changes; there is no ranking, and nothing that would be empty."""
    page = report_of(a_run(tmp_path / "r", with_two_memories(7, backend="mock")))
    assert '<h1 id="answer-h">Memory on courses: carried (mock) is better than fresh (mock): +67' in page
    assert re.findall(r'<section id="(\w+)"', page) == ["answer", "memory", "trials"]
    assert "42 steps of 14 course runs, all kinds of memory together." in page
    assert "No model wrote the code" in page


def test_what_rests_on_one_course_alone_is_said(tmp_path):
    """Where courses differ in length, their last steps are those of the longest."""
    courses = [*with_two_memories(2), *with_two_memories(2, carried="s", fresh="w", course="night")]
    assert "(steps 2 to 3 are of shop alone)" in report_of(a_run(tmp_path / "r", courses))


def test_one_kind_of_memory_is_compared_with_nothing(tmp_path):
    """A curve, and a word on what is missing."""
    rows = [row for row in with_two_memories(2) if row["memory"] == "carried"]
    page = report_of(a_run(tmp_path / "r", rows))
    assert "One kind of memory ran" in page
    assert 'style="--h:100.0%' in page
