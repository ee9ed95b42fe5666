"""harness/cassette/audit/check.py: what each cassette of a suite is, what is wrong, and what can go."""

import json
import os
from dataclasses import replace

import pytest
from shelves import PAIRS, TALK, add_course, asked, shelf_at, tape

from harness.agents import prompts
from harness.cassette import file
from harness.cassette.audit.cassette_files import list_files
from harness.cassette.audit.check import check, find_one, inspect, prunable, select
from harness.cassette.audit.expected import catalogue
from harness.errors import SpecError, UsageError
from harness.tasks.pair import Pair
from harness.tasks.trial import Trial

SECRET = "sk-ant-" + "k7qp2mzx9lw4rt8v"


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A repository with nothing wrong; the current folder."""
    monkeypatch.chdir(tmp_path)
    return shelf_at(tmp_path)


def problems(shelf, *names):
    """What a check says, line by line."""
    return [str(problem) for problem in check(shelf.cassettes, shelf.suite(), names).problems]


def states(shelf):
    return {
        each.slug: inspect(each, shelf.suite()).state for each in list_files(shelf.cassettes) if each.slug
    }


def only(shelf):
    """The one problem that there is."""
    (problem,) = check(shelf.cassettes, shelf.suite()).problems
    return problem


AGAIN = "record it again: pytest 'benchmarks/add.yaml::gpt+haiku[1]' --record=all"


# --- check ------------------------------------------------------------------------------------------


def test_nothing_wrong(shelf):
    """Cassettes that fit their trials are no problem, and none is missing."""
    report = check(shelf.cassettes, shelf.suite())
    assert (report.checked, report.problems) == (2, ())


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not a whole cassette"),
        (b"{", "not a whole cassette"),
        (b"\x00\xff\x1b[2J", "not a whole cassette (no UTF-8 text)"),
        (b"[]", "$: Input should be a valid dictionary"),
        (b'{"format": 1, "format": 1}', "the key 'format' stands twice"),
        (b'{"format": NaN}', "NaN is no JSON number"),
        (b"[" * 100_000, "nested beyond what can be read"),
        (b" " * 16_000_001, "larger than 16000000 bytes"),
    ],
    ids=lambda value: ascii(value[:20]),
)
def test_a_damaged_file(shelf, raw, said):
    """One line with the file, what is wrong, and the exact command that records it."""
    shelf.path().write_bytes(raw)
    problem = only(shelf)
    assert problem.state == "damaged"
    assert problem.text.startswith("cassettes/gpt+haiku/add/1.json: ")
    assert said in problem.text
    assert problem.remedy == f"restore it, or {AGAIN}"


def test_a_file_cut_off(shelf):
    """What a full disk leaves is damaged, wherever it was cut."""
    whole = shelf.path().read_bytes()
    for at in (1, len(whole) // 3, len(whole) // 2, len(whole) - 3):
        shelf.path().write_bytes(whole[:at])
        assert only(shelf).state == "damaged"


def test_an_edited_answer(shelf):
    """A recorded answer that somebody improved is found."""
    shelf.path().write_text(shelf.path().read_text().replace("a + b", "b + a"))
    assert only(shelf).state == "edited"
    assert "edited after it was recorded" in only(shelf).text
    assert AGAIN in only(shelf).remedy


@pytest.mark.parametrize(("version", "word"), [(0, "record it again"), (2, "update the harness")])
def test_another_format(shelf, version, word):
    """A file of another format is told from a damaged one, and one of a newer harness from an older."""
    shelf.edit(lambda data: data.update(format=version))
    assert only(shelf).state == "stale: format"
    assert only(shelf).remedy.startswith(word)


def test_a_cassette_of_another_trial(shelf):
    """A file that was copied to another trial's place names both."""
    shelf.path().write_bytes(shelf.path("gpt+haiku/add/2").read_bytes())
    problem = only(shelf)
    assert problem.state == "misnamed"
    assert "it was recorded for another trial, 'gpt+haiku/add/2'" in problem.text
    assert problem.remedy == f"move it back, or {AGAIN}"


CHANGED = {
    "task": ({"task": "another"}, "the task changed since", "restore benchmarks/add.yaml, or " + AGAIN),
    "prompts": (
        {"prompts": "another"},
        "the harness's prompts changed since",
        AGAIN + " (every cassette of that time is concerned: pytest benchmarks --record=all)",
    ),
    "pair": (
        {"recorded": {"at": "2026-11-22", "coder": "opus"}},
        "coder was 'opus'",
        "restore the pair gpt+haiku, or " + AGAIN,
    ),
    "pair settings": (
        {"recorded": {"at": "2026-11-22"}},
        "changed since: its settings",
        "restore the pair gpt+haiku, or " + AGAIN,
    ),
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_stale_cassette(shelf, what):
    """Task, prompts and pair are told apart without a replay, each with its own remedy."""
    changes, said, remedy = CHANGED[what]
    shelf.put(replace(tape(shelf.trial()), **changes))
    problem = only(shelf)
    assert problem.state == f"stale: {what.split()[0]} changed"
    assert said in problem.text
    assert problem.remedy == remedy


def test_all_that_changed_is_told(shelf, monkeypatch):
    """Two changes are two problems."""
    monkeypatch.setattr(prompts, "CODER", "other words")
    shelf.put(replace(tape(shelf.trial()), task="another", prompts="older"))
    assert [each.split(" -> ")[0][-30:] for each in problems(shelf, "add/1")] == [
        "what models see of it, or its limits"[-30:],
        "the harness's prompts changed since"[-30:],
    ]


def smuggled(shelf, change):
    """A cassette with a secret in it, as an older harness or an editor may have left it."""
    kept = tape(shelf.trial(), asked("Write.", "a text"))
    text = file.dumps(change(kept))
    shelf.path().write_text(text)


def test_a_secret_in_a_cassette(shelf):
    """A key's shape is found where it is: JSON path and kind, never the value."""
    smuggled(shelf, lambda kept: replace(kept, exchanges=(*TALK, asked("Key?", f"Here: {SECRET}"))))
    problem = only(shelf)
    assert problem.state == "secret"
    assert "$.exchanges[2].response.content[0].text: what looks like an API key" in problem.text
    assert SECRET not in str(problem)
    assert AGAIN in problem.remedy


def test_a_secret_of_the_environment_in_a_cassette(shelf, monkeypatch):
    """So is the value of a variable, by the variable's name."""
    smuggled(shelf, lambda kept: replace(kept, exchanges=(asked("hunter2-hunter2", "x"),)))
    monkeypatch.setenv("MY_TOKEN", "hunter2-hunter2")
    assert "messages[0].content: the value of MY_TOKEN" in only(shelf).text
    assert "hunter2" not in str(only(shelf))


def test_a_secret_in_a_damaged_file(shelf):
    """A file that cannot be read as a cassette is searched as text."""
    shelf.path().write_text(f'{{"comment": "{SECRET}"}}')
    damaged, secret = problems(shelf)
    assert "not a whole cassette ($.format: Field required)" in damaged
    assert "it holds $: what looks like an API key" in secret
    assert SECRET not in damaged + secret


def test_many_secrets_are_told_briefly(shelf):
    """A few places are named, the others counted."""
    smuggled(
        shelf, lambda kept: replace(kept, exchanges=tuple(asked("x", f"{SECRET} {n}") for n in range(20)))
    )
    assert "and 17 more" in only(shelf).text
    assert len(only(shelf).text) < 800


@pytest.mark.parametrize(
    ("slug", "why"),
    [
        ("gpt+haiku/gone/1", "the suite has no task 'gone'"),
        ("gone/add/1", "the suite has no pair 'gone'"),
        ("gpt+haiku/add/3", "the pair gpt+haiku has 2 epochs only"),
    ],
)
def test_an_orphan(shelf, slug, why):
    """A cassette without a trial says why it has none, and how it is removed."""
    shelf.put(replace(tape(shelf.trial()), trial=slug))
    assert only(shelf).state == "orphan"
    assert only(shelf).text == f"cassettes/{slug}.json: an orphan: {why}"
    assert "harness cassettes prune" in only(shelf).remedy


def test_without_a_pairs_file_nothing_is_an_orphan(shelf):
    """Recordings may have cost money: a file that is missing is no reason to remove them."""
    shelf.put(tape(shelf.trial()))
    (shelf.root / "benchmarks/pairs.yaml").unlink()
    assert problems(shelf) == []


def test_a_pair_made_by_options_is_no_orphan(shelf):
    """A recording of --orchestrator and --coder needs no entry in the pairs file, whatever its epoch."""
    pair = Pair.of_models("openai/gpt-5", "claude-opus-5-5")
    trial = Trial(task=shelf.trial().task, pair=pair, epoch=7)
    shelf.put(tape(trial))
    assert problems(shelf) == []
    shelf.put(replace(tape(trial), task="another"))
    assert "--orchestrator openai/gpt-5 --coder claude-opus-5-5 --epochs 7" in only(shelf).remedy


@pytest.mark.parametrize(
    "name", [".1.json.abcd", "1.json.tmp", "notes.txt", "0.json", "1.json/1.json", "a/b/c/1.json"]
)
def test_a_stray_file(shelf, name):
    """What is not named as a cassette is told, and the file is not opened."""
    path = shelf.cassettes / "gpt+haiku" / "other" / name
    path.parent.mkdir(parents=True)
    os.mkfifo(path) if name == "notes.txt" else path.write_text("x")
    assert only(shelf).state == "stray"
    assert only(shelf).text.startswith(f"cassettes/gpt+haiku/other/{name}: ")


def test_files_of_git_are_no_strays(shelf):
    """A repository may say how its cassettes are shown in a diff."""
    (shelf.cassettes / ".gitattributes").write_text("*.json -diff\n")
    assert problems(shelf) == []


def test_a_trial_without_a_cassette(shelf):
    """It is named with the command that records just it."""
    shelf.path("gpt+haiku/add/2").unlink()
    command = "pytest 'benchmarks/add.yaml::gpt+haiku[2]' --record=once --epochs 2"
    said = f"cassettes/gpt+haiku/add/2.json: nothing recorded -> record it: {command}"
    assert problems(shelf) == [said]


def test_a_folder_in_the_place_of_a_cassette(shelf):
    """It is in the way of a recording: no command would record there."""
    shelf.path().unlink()
    shelf.path().mkdir()
    assert problems(shelf)[0] == (
        "cassettes/gpt+haiku/add/1.json: a folder is in the place of the recording "
        "-> remove it, or move it elsewhere"
    )


def test_a_link_in_the_place_of_a_cassette(shelf, tmp_path):
    """A link is not followed, so what it points at is not read and its content not shown."""
    (tmp_path / "outside").write_text("private")
    shelf.path().unlink()
    shelf.path().symlink_to(tmp_path / "outside")
    said = problems(shelf)
    assert any("1.json: a link" in line for line in said)
    assert any("1.json: nothing recorded" in line for line in said)
    assert "private" not in "".join(said)


def test_a_linked_folder_is_not_entered(shelf, tmp_path):
    """Not even by way of a folder: a loop would never end."""
    (shelf.cassettes / "loop").symlink_to(shelf.cassettes)
    assert [line.split(" -> ")[0] for line in problems(shelf)] == [
        "cassettes/loop: a link; cassettes are files of their own"
    ]


def test_names_with_control_characters(shelf):
    """A name that would clear the screen or forge a line is made visible."""
    (shelf.cassettes / "a\x1b[2J\nb").write_text("x")
    assert only(shelf).text.startswith("cassettes/a\\x1b[2J\\nb: ")


def test_a_broken_task_file_makes_no_orphans(shelf):
    """While a task cannot be read, its cassettes are not taken for orphans; the file is named."""
    shelf.put(replace(tape(shelf.trial()), trial="gpt+haiku/other/1"))
    (shelf.root / "benchmarks" / "other.yaml").write_text("titel: x\n")
    said = problems(shelf)
    assert said
    assert all(line.startswith("benchmarks/other.yaml:") for line in said)
    with pytest.raises(SpecError, match="mend it first"):
        prunable(shelf.cassettes, shelf.suite())


def test_only_what_is_named(shelf):
    """A part of a trial's name, or a file, limits the check, also for what is missing."""
    shelf.path().write_bytes(b"{")
    shelf.path("gpt+haiku/add/2").unlink()
    assert len(problems(shelf)) == 2
    assert len(problems(shelf, "add/1")) == 1
    assert "nothing recorded" in problems(shelf, "cassettes/gpt+haiku/add/2.json")[0]
    with pytest.raises(UsageError, match="no cassette 'nope' in cassettes -> use a part of: gpt"):
        problems(shelf, "add", "nope")


# --- list, names ------------------------------------------------------------------------------------


def test_rows(shelf):
    """A row has the facts of a recording, and the same keys for one that is damaged."""
    shelf.path("gpt+haiku/add/2").write_bytes(b"{")
    good, bad = (inspect(each, shelf.suite()).row() for each in list_files(shelf.cassettes))
    assert good | {"bytes": 0} == {
        "trial": "gpt+haiku/add/1",
        "file": "cassettes/gpt+haiku/add/1.json",
        "state": "ok",
        "problems": [],
        "outcome": "solved",
        "recorded_at": "2026-11-22",
        "bytes": 0,
        "exchanges": 2,
        "versions": {"letta": "0.16.8"},
        "format": 1,
    }
    assert bad.keys() == good.keys()
    assert (bad["state"], bad["exchanges"], bad["outcome"], bad["bytes"]) == ("damaged", None, None, 1)
    json.dumps(bad)


def test_without_a_suite_the_file_alone_is_judged(shelf):
    """No task or pair is needed to see what is damaged or misnamed."""
    shelf.path("gpt+haiku/add/2").write_bytes(shelf.path().read_bytes())
    assert [inspect(each, None).state for each in list_files(shelf.cassettes)] == ["ok", "misnamed"]


def test_epochs_are_in_order(shelf):
    """Epoch 10 comes after 9."""
    for epoch in (10, 9):
        shelf.put(replace(tape(shelf.trial()), trial=f"gpt+haiku/add/{epoch}"))
    assert [each.slug.rpartition("/")[2] for each in list_files(shelf.cassettes)] == ["1", "2", "9", "10"]


def test_one_cassette_by_its_name(shelf, tmp_path):
    """A trial, a part of it that fits one only, a path, or a file elsewhere."""
    first = shelf.path()
    elsewhere = tmp_path / "copy.json"
    elsewhere.write_bytes(first.read_bytes())
    for name in ("gpt+haiku/add/1", "add/1", "cassettes/gpt+haiku/add/1.json", str(first)):
        assert find_one(name, shelf.cassettes).resolve() == first
    assert find_one("copy.json", shelf.cassettes).resolve() == elsewhere
    with pytest.raises(UsageError, match=r"several -> use one of: gpt\+haiku/add/1, gpt\+haiku/add/2"):
        find_one("add", shelf.cassettes)
    with pytest.raises(UsageError, match="no cassette"):
        find_one("nope.json", shelf.cassettes)


def test_all_files_without_names(shelf):
    """No name means every one."""
    files = list_files(shelf.cassettes)
    assert select(files, [], shelf.cassettes) == files


# --- prune ------------------------------------------------------------------------------------------


def test_what_can_go(shelf):
    """Orphans and strays, also damaged ones; a damaged cassette of a trial stays."""
    shelf.path().write_bytes(b"{")
    shelf.put(replace(tape(shelf.trial()), trial="gone/add/1"))
    damaged = shelf.path("gpt+haiku/gone/1")
    damaged.parent.mkdir()
    damaged.write_bytes(b"{")
    unknown = shelf.path("perhaps+crossed/add/1")
    unknown.parent.mkdir(parents=True)
    unknown.write_bytes(b"{")
    (shelf.cassettes / "x.tmp").write_text("x")
    assert [
        (each.path.relative_to(shelf.cassettes).as_posix())
        for each, _ in prunable(shelf.cassettes, shelf.suite())
    ] == [
        "gone/add/1.json",
        "gpt+haiku/gone/1.json",
        "x.tmp",
    ]
    assert states(shelf)["perhaps+crossed/add/1"] == "damaged"


@pytest.mark.parametrize("on_request", [False, True])
def test_steps_of_courses_are_checked(shelf, on_request):
    """A whole one is sound, also of a pair on request; a stale one is told, and one that is missing."""
    first, second = add_course(shelf, on_request=on_request)
    shelf.put(tape(first))
    assert states(shelf)[first.slug] == "ok"
    missing = [] if on_request else [f"cassettes/{second.slug}.json: nothing recorded"]
    assert [each.split(" -> ")[0] for each in problems(shelf)] == missing
    shelf.put(replace(tape(first), task="another"))
    assert states(shelf)[first.slug] == "stale: task changed"
    assert prunable(shelf.cassettes, shelf.suite()) == []


def test_what_can_go_of_courses(shelf):
    """Nothing of a step that there is, damaged or not; what no pair runs goes, and says why."""
    first, _ = add_course(shelf)
    for slug in (first.slug, "carried/shop.1.add/3", "carried/shop.9.add/1", "gpt+haiku/shop.1.add/1"):
        shelf.path(slug).parent.mkdir(parents=True, exist_ok=True)
        shelf.put(replace(tape(first), trial=slug))
    assert [why for _, why in prunable(shelf.cassettes, shelf.suite())] == [
        "the pair carried has 2 epochs only",
        "the suite has no task 'shop.9.add'",
        "the pair gpt+haiku is not run for the task shop.1.add",
    ]
    shelf.path(first.slug).write_bytes(b"{")
    assert states(shelf)[first.slug] == "damaged"
    assert shelf.path(first.slug) not in [file.path for file, _ in prunable(shelf.cassettes, shelf.suite())]


def test_without_a_pair_no_step_is_an_orphan(shelf, monkeypatch):
    """Neither without a pairs file, nor with models of the environment; of a pair that is gone it is one."""
    first, _ = add_course(shelf)
    shelf.put(tape(first))
    path = shelf.root / "benchmarks" / "pairs.yaml"
    path.write_text(PAIRS)
    assert [why for _, why in prunable(shelf.cassettes, shelf.suite())] == ["the suite has no pair 'carried'"]
    path.unlink()
    assert prunable(shelf.cassettes, shelf.suite()) == []
    named = catalogue(shelf.root / "benchmarks", shelf.root, {"ORCH_MODEL": "o", "CLAUDE_MODEL": "c"})
    assert prunable(shelf.cassettes, named) == []


def test_a_broken_course_makes_no_orphans(shelf):
    """Its recordings may be whole: they stay, and the file is named."""
    first, _ = add_course(shelf)
    shelf.put(tape(first))
    (shelf.root / "benchmarks/shop.yaml").write_text("steps: 5\n")
    assert any("benchmarks/shop.yaml" in each for each in problems(shelf))
    assert "orphan" not in states(shelf).values()
    with pytest.raises(SpecError):
        prunable(shelf.cassettes, shelf.suite())


def test_models_of_the_environment_make_no_orphans(shelf):
    """ORCH_MODEL and CLAUDE_MODEL choose what pytest runs, not which recordings are worth keeping."""
    from harness.cassette.audit.expected import catalogue

    suite = catalogue(shelf.root / "benchmarks", shelf.root, {"ORCH_MODEL": "a", "CLAUDE_MODEL": "b"})
    assert prunable(shelf.cassettes, suite) == []
    assert PAIRS
