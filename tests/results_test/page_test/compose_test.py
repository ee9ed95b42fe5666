"""harness/results/page: the report page as text."""

import json
import re
from html.parser import HTMLParser

import pytest
from rows import a_row, a_run, a_talk, an_infra_row, many

from harness.results import aggregate
from harness.results.dataframe import read
from harness.results.page import compose
from harness.results.pricing import Prices
from harness.results.report import write_report
from harness.results.tables import tables_of

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m"


def report_of(folder):
    """The page of a run's folder, written anew."""
    trials = aggregate.add_costs(read(folder / "trials.jsonl"), Prices())
    write_report(folder, trials, tables_of(trials))
    return (folder / "report.html").read_text()


class Elements(HTMLParser):
    """All elements of a page: ``(tag, attributes)``; and those that were never closed."""

    VOID = ("meta", "br", "input", "img", "link", "path", "use", "rect", "line", "circle")

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
    elements = Elements(page)
    assert not elements.open
    assert [tag for tag, _ in elements.found].count("script") == 1
    assert not [tag for tag, _ in elements.found if tag in ("img", "iframe", "object", "link")]
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
    assert "\x1b" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_needs_nothing_else(run):
    """No address of another file or host; the policy lets nothing load and only the page's script run."""
    page = report_of(run)
    for _, attributes in Elements(page).found:
        assert attributes.get("href", "#").startswith("#")
        assert "src" not in attributes
    assert "default-src 'none'" in page
    assert re.search(r"script-src 'sha256-[\w+/=]{44}'", page)


def test_each_link_leads_somewhere(run):
    """Names in the list, cells of the heat map and sections of the page."""
    from urllib.parse import unquote

    elements = Elements(report_of(run)).found
    targets = {attributes["id"] for _, attributes in elements if "id" in attributes}
    links = {unquote(attributes["href"][1:]) for _, attributes in elements if "href" in attributes}
    assert links <= targets
    assert {"trial/a/t00/1", "trial/b/t09/1", "pairs", "trials"} <= links


def test_a_cell_leads_to_what_was_not_solved(tmp_path):
    """Of two epochs the one that failed."""
    rows = [a_row(epoch=1), a_row(epoch=2, outcome="wrong")]
    page = " ".join(report_of(a_run(tmp_path / "r", rows)).split())
    assert '<a href="#trial/p/t/2">1 of 2</a>' in page


def test_the_whole_conversation_is_there(run):
    """Who said what, the code once and in colour, files that nobody wrote in the conversation."""
    page = report_of(run)
    section = page[page.index('id="trial/a/t01/1"') : page.index('id="trial/a/t02/1"')]
    assert "Build add." in section
    assert "orchestrator calls run_claude_coder" in section
    assert section.count('<span class="nf">add</span>') == 1
    assert "(the file below)" in section
    assert "given.py, as it was at the end" in section
    assert "add.py, as it was" not in section


def test_a_large_run_is_split(run, monkeypatch):
    """The conversations stand in files of their own; the page leads to them, and they lead back."""
    monkeypatch.setattr(compose, "ONE_FILE_BYTES", 1000)
    page = report_of(run)
    assert 'class="trial"' not in page
    assert 'href="trials/a/t01/1.html"' in page
    alone = (run / "trials" / "a" / "t01" / "1.html").read_text()
    assert 'href="../../../report.html#trials"' in alone
    assert "Build add." in alone
    assert not Elements(alone).open


def test_the_answer_comes_first(run):
    """Which pair is best, how sure that is, what it costs, and what went wrong."""
    page = report_of(run)
    answer = page[page.index('id="answer"') : page.index('id="pairs"')]
    assert "Best: a; not shown to be worse: b" in answer
    assert "a solved 3 of 4 trials of 4 tasks: 75.0 % (95 % interval 30.1 to 95.4)" in answer
    assert "Outcomes: 4 solved, 1 stale cassette, 4 wrong." in answer


def test_a_run_without_measurements_has_a_page(tmp_path):
    """Nothing to compare, nothing to draw, nothing breaks."""
    page = report_of(a_run(tmp_path / "r", [an_infra_row()]))
    assert "<svg" not in page
    assert "No test file was written." in page
    assert "error</a>" in page


def test_the_picture_has_the_colours_of_the_page(run):
    """Text and points follow light and dark; what costs nothing is drawn against tokens."""
    page = report_of(run)
    svg = page[page.index("<svg") : page.index("</svg>")]
    assert "var(--ink)" in svg
    assert "var(--point)" in svg
    assert "#000000" not in svg
    assert "tokens per trial" in svg
    assert report_of(run) == page


def test_a_conversation_that_never_began(run):
    """A trial that ended before its first word has a section without one."""
    (run / "transcripts/b/t09/1.json").write_text('{"stop": "done", "events": [], "files": {}}')
    page = report_of(run)
    assert "Build add." not in page[page.index('id="trial/b/t09/1"') :]
