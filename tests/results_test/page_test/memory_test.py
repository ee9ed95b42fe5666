"""harness/results/page/memory.py: what a run says of memory on courses."""

import re

from pages import report_of
from rows import a_run, many, with_two_memories


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
