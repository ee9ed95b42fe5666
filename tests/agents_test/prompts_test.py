"""Every text that the harness sends to a model."""

import re
import string

import pytest

from harness.agents import prompts

WORDS = sorted(name for name in vars(prompts) if name.isupper())
NAMES = {"code_file": "add.py", "test_file": "test_add.py", "spec": "Add {x}.\nSpecification:\n{y}"}


@pytest.mark.parametrize("name", WORDS)
def test_every_word_is_part_of_the_digest(monkeypatch, name):
    """A changed prompt or tool definition is told from the digest that a cassette keeps."""
    before = prompts.prompts_digest()
    monkeypatch.setattr(prompts, name, [getattr(prompts, name), "changed"])
    assert prompts.prompts_digest() != before


def test_the_digest_is_a_short_stable_word():
    """The same prompts have the same digest."""
    assert prompts.prompts_digest() == prompts.prompts_digest()
    assert re.fullmatch("[0-9a-f]{16}", prompts.prompts_digest())


@pytest.mark.parametrize(
    ("template", "fields"),
    [
        (prompts.TASK, {"code_file", "test_file", "spec"}),
        (prompts.REPAIR, {"code_file", "test_file", "spec", "summary", "output"}),
        (prompts.CODER_TASK, {"spec", "path"}),
        (prompts.TESTER_TASK, {"spec", "code", "path", "module"}),
        (prompts.CURRENT_FILE, {"code"}),
        (prompts.OTHER_FILE, {"path", "code"}),
    ],
)
def test_a_template_uses_what_it_is_given(template, fields):
    """Nothing that is handed to a template is left out, nothing that it asks for is missing."""
    assert {name for _, name, _, _ in string.Formatter().parse(template) if name} == fields


def test_a_task_is_told_in_labelled_lines_that_end_with_the_specification():
    """The specification comes last and whole, so no text of it can pass for a label before it."""
    text = prompts.TASK.format(**NAMES)
    assert text.splitlines()[:3] == [
        "Implementation file: add.py",
        "Test file: test_add.py",
        "Specification:",
    ]
    assert text.endswith(NAMES["spec"])
    again = prompts.REPAIR.format(summary="the tests fail.", output="AssertionError: {z}", **NAMES)
    assert again.startswith("The work is not done yet: the tests fail.\nImplementation file: add.py\n")
    assert again.index("AssertionError: {z}") < again.index("Add {x}.")
    assert again.endswith(NAMES["spec"])


@pytest.mark.parametrize(
    ("definition", "name"),
    [(prompts.CODER_DEFINITION, "run_claude_coder"), (prompts.TESTER_DEFINITION, "run_claude_tester")],
)
def test_a_tool_is_defined_as_a_json_schema(definition, name):
    """Each parameter is text with a description, and what is required exists."""
    assert definition["name"] == name
    assert definition["description"]
    parameters = definition["parameters"]
    assert parameters["type"] == "object"
    assert {"spec", "file_name", "language"} <= set(parameters["properties"])
    assert set(parameters["required"]) <= set(parameters["properties"])
    for each in parameters["properties"].values():
        assert each["type"] == "string"
        assert each["description"]


def test_the_orchestrator_is_told_of_the_tools_that_exist():
    """Its prompt names both tools by the names under which they are offered, and no other."""
    assert set(re.findall(r"run_\w+", prompts.ORCHESTRATOR)) == {prompts.CODER_TOOL, prompts.TESTER_TOOL}


@pytest.mark.parametrize("name", [name for name in WORDS if isinstance(getattr(prompts, name), str)])
def test_prompts_are_plain_text(name):
    """No tab, no trailing blank, no unusual character that an editor could change unseen."""
    text = getattr(prompts, name)
    assert text.isascii()
    assert "\t" not in text
    assert not re.search(r" +$", text, re.MULTILINE)


def test_the_system_prompts_name_what_may_be_imported():
    """A task with packages says so to coder and tester; without any the prompts are those of before."""
    plain = prompts.systems("anthropic", ())
    assert plain == {"coder": prompts.CODER, "tester": prompts.TESTER}
    for backend in ("anthropic", "claude-code"):
        for text in prompts.systems(backend, ("numpy", "src")).values():
            assert "numpy, src" in text
            assert "only the standard" not in text
