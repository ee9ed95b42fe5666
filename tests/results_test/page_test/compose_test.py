"""harness/results/page: the report page as text."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote

from pages import report_of, unpacked, views_of
from rows import a_row, a_run, an_infra_row, many

from harness.results.page import compose
from harness.results.pricing import Prices
from harness.results.run_state import State, write
from harness.tasks.loader import Price


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
