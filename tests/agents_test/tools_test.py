"""The two tools that the orchestrator calls, executed in this process."""

import json
import warnings

import pytest

from harness.agents import prompts
from harness.agents.code_blocks import extract_code
from harness.agents.messages import Answer, Refused, ToolCall
from harness.agents.python_text import fenced, module_of
from harness.agents.tool_call import MAX_SPEC_CHARS
from harness.agents.tools import Tools
from harness.agents.transcript import Called, Fault, Returned, Said, Spent, Usage, Wrote
from harness.agents.workspace import MAX_FILE_CHARS, Workspace
from harness.errors import ApiError
from harness.tasks.pair import Orchestrator, Pair
from harness.tasks.task import Limits, Task

CODER, TESTER = prompts.CODER_TOOL, prompts.TESTER_TOOL
ADD = "def add(a, b):\n    return a + b\n"
TEST_ADD = "from add import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"


class ScriptedClaude:
    """A backend that gives its answers in order and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def ask(self, role, model, system, prompt, options):
        self.asked.append((role, model, system, prompt, options["max_tokens"]))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def an_answer(text, *, cut_off=False):
    return Answer(text, "claude-as-served", Usage(input=10, output=5), cut_off)


def a_task(**changes):
    fields = {
        "id": "add",
        "title": "Add",
        "spec": "Add.",
        "code_file": "add.py",
        "test_file": "test_add.py",
        "reference": "HIDDEN-REFERENCE",
        "acceptance": "HIDDEN-ACCEPTANCE",
        "limits": Limits(max_tokens=77),
    }
    return Task(**{**fields, **changes})


class Desk:
    """Tools with a scripted Claude, and the events that they noted."""

    def __init__(self, *answers, task=None, files=None, max_tokens=None):
        self.claude = ScriptedClaude(*answers)
        self.task = task or a_task()
        self.workspace = Workspace({**self.task.files, **(files or {})})
        self.events = []
        pair = Pair(name="p", orchestrator=Orchestrator(model="o/x"), coder="claude-c", tester="claude-t")
        pair = pair.model_copy(update={"max_tokens": max_tokens})
        self.tools = Tools(self.task, pair, self.claude, self.workspace, self.events.append)

    def call(self, tool, arguments):
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        return self.tools.call(ToolCall("c1", tool, text), 1)

    @property
    def prompt(self):
        return self.claude.asked[-1][3]


# --- a call that works ------------------------------------------------------------------------------


def test_the_coder_writes_the_file_and_says_so():
    """A good call asks the coder's model once, writes its code, and returns one line."""
    desk = Desk(an_answer(f"Sure.\n\n{fenced(ADD)}\n"))
    back = desk.call(CODER, {"spec": "Add.", "file_name": "add.py", "language": "Python"})
    assert (back.call_id, back.ok, back.text) == ("c1", True, "Wrote add.py (2 lines).")
    assert desk.workspace.snapshot() == {"add.py": ADD}
    assert [asked[:3] + asked[4:] for asked in desk.claude.asked] == [
        ("coder", "claude-c", prompts.CODER, 77)
    ]
    assert desk.prompt == "Add.\n\nWrite the file add.py."


@pytest.mark.parametrize(("pairs", "asked"), [(None, 77), (76, 76), (78, 77)])
def test_the_lower_limit_of_an_answer_holds(pairs, asked):
    """A pair may allow less than a task, never more; what was cut off names the limit that cut it."""
    desk = Desk(an_answer("```python\nx =", cut_off=True), max_tokens=pairs)
    back = desk.call(CODER, {"spec": "Add.", "file_name": "add.py"})
    assert desk.claude.asked[0][4] == asked
    assert f"cut off at {asked} tokens" in back.text


def test_the_tester_is_shown_the_code_under_test():
    """The tester's model gets the code, its module's name and the file to write."""
    desk = Desk(an_answer(fenced(TEST_ADD)), files={"src/add.py": ADD})
    back = desk.call(TESTER, {"spec": "Test.", "code_file": "src/add.py", "file_name": "test_add.py"})
    assert back.ok
    assert desk.claude.asked[0][:3] == ("tester", "claude-t", prompts.TESTER)
    assert fenced(ADD) in desk.prompt
    assert "Write the test file test_add.py. Import from the module src.add." in desk.prompt
    assert desk.workspace["test_add.py"] == TEST_ADD


def test_names_default_to_the_tasks():
    """A call without file names means the task's files."""
    desk = Desk(an_answer(fenced(ADD)), an_answer(fenced(TEST_ADD)))
    assert desk.call(CODER, {"spec": "x"}).text == "Wrote add.py (2 lines)."
    assert (
        desk.call(TESTER, {"spec": "x", "file_name": "", "code_file": None}).text
        == "Wrote test_add.py (5 lines)."
    )


@pytest.mark.parametrize(("tool", "path"), [(CODER, "add.py"), (TESTER, "test_add.py")])
def test_a_file_that_exists_is_shown_as_it_is_now(tool, path):
    """A repair starts from what was written, not from nothing."""
    desk = Desk(an_answer(fenced("x = 2")), files={"add.py": "OLD-CODE\n", "test_add.py": "OLD-TESTS\n"})
    assert desk.call(tool, {"spec": "Mend it."}).ok
    old = {"add.py": "OLD-CODE", "test_add.py": "OLD-TESTS"}[path]
    assert f"The file as it is now:\n```python\n{old}\n```" in desk.prompt


def test_the_first_coder_sees_no_current_file():
    """Nothing is claimed of a file that does not exist."""
    desk = Desk(an_answer(fenced(ADD)))
    desk.call(CODER, {"spec": "x"})
    assert "as it is now" not in desk.prompt


def test_given_files_are_shown_and_other_written_files_are_not():
    """Both roles see the task's own files, in the order of their names, each once."""
    task = a_task(files={"z.txt": "ZED", "a.csv": "1,2", "add.py": "STUB"})
    desk = Desk(an_answer(fenced(ADD)), an_answer(fenced(TEST_ADD)), task=task, files={"notes.py": "NOTES"})
    desk.call(CODER, {"spec": "x"})
    first = desk.prompt
    desk.call(TESTER, {"spec": "x"})
    for prompt in (first, desk.prompt):
        assert prompt.index("The file a.csv, which is given") < prompt.index("The file z.txt, which is given")
        assert prompt.count("ZED") == 1
        assert "NOTES" not in prompt
    assert first.count("STUB") == 1
    assert "STUB" not in desk.prompt


def test_nothing_hidden_reaches_a_model():
    """Neither the reference nor the acceptance tests stand in what Claude is sent."""
    desk = Desk(an_answer(fenced(ADD)), an_answer(fenced(TEST_ADD)))
    desk.call(CODER, {"spec": "x"})
    desk.call(TESTER, {"spec": "x"})
    assert "HIDDEN" not in repr(desk.claude.asked)


def test_braces_in_a_spec_are_only_text():
    """A spec that looks like a template is passed on as it stands."""
    desk = Desk(an_answer(fenced(ADD)))
    assert desk.call(CODER, {"spec": "{path} {0} {spec!r} %s {"}).ok
    assert desk.prompt.startswith("{path} {0} {spec!r} %s {\n")


def test_events_come_in_the_order_in_which_things_happened():
    """Call, tokens, words, file, return: a reader can follow a call step by step."""
    answer = f"Here.\n{fenced(ADD)}"
    desk = Desk(an_answer(answer))
    desk.call(CODER, '{"spec": "x"}')
    assert desk.events == [
        Called(1, "c1", CODER, '{"spec": "x"}'),
        Spent(1, "coder", "claude-as-served", Usage(input=10, output=5)),
        Said(1, "coder", answer),
        Wrote(1, "coder", "add.py", ADD),
        Returned(1, "c1", True, "Wrote add.py (2 lines)."),
    ]


def test_both_tools_are_offered_by_name():
    """The definitions are those that Letta needs: a name, a description, an object of parameters."""
    definitions = Desk().tools.definitions
    assert list(definitions) == [CODER, TESTER]
    for name, each in definitions.items():
        assert each["name"] == name
        assert set(each["parameters"]["required"]) <= set(each["parameters"]["properties"])


# --- a call that cannot be carried out --------------------------------------------------------------


@pytest.mark.parametrize("tool", [CODER, TESTER])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "spec must say"),
        ("{", "not valid JSON"),
        ("add two numbers", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "must be a JSON object"),
        ('"spec"', "must be a JSON object"),
        ("null", "must be a JSON object"),
        ("1" * 5000, "not valid JSON"),
        ("{}", "spec must say"),
        ({"spec": None}, "spec must say"),
        ({"spec": ["a"]}, "spec must say"),
        ({"spec": "  \n"}, "spec must say"),
        ({"Spec": "x"}, "spec must say"),
        ({"spec": "x" * (MAX_SPEC_CHARS + 1)}, "at most 50000"),
        ({"spec": "x", "language": "rust"}, "language 'rust' is not supported"),
        ({"spec": "x", "language": ["python"]}, "is not supported"),
        ({"spec": "x", "language": 3}, "is not supported"),
        ({"spec": "x", "language": "java" * 1000}, "is not supported"),
        ({"spec": "x", "file_name": "../../x.py"}, "not allowed"),
        ({"spec": "x", "file_name": "/etc/x"}, "not allowed"),
        ({"spec": "x", "file_name": "~/.ssh/x"}, "not allowed"),
        ({"spec": "x", "file_name": "a\u0000.py"}, "not allowed"),
        ({"spec": "x", "file_name": "\ud800.py"}, "not allowed"),
        ({"spec": "x", "file_name": 5}, "must be the name of a file"),
        ({"spec": "x", "file_name": ["add.py"]}, "must be the name of a file"),
        ({"spec": "x", "file_name": {"a": 1}}, "must be the name of a file"),
        ({"spec": "x", "workspace_dir": "/tmp"}, "not allowed"),
        ({"spec": "x", "workspace_dir": "../.."}, "not allowed"),
        ({"spec": "x", "workspace_dir": 7}, "must be the name of a file"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_wrong_arguments_come_back_as_an_error_and_nothing_is_written(tool, arguments, said):
    """Whatever a model puts into a call, it gets a short error, Claude is not asked, no file changes."""
    desk = Desk(files={"add.py": ADD})
    back = desk.call(tool, arguments)
    assert not back.ok
    assert back.text.startswith("Error: ")
    assert said in back.text
    assert len(back.text) < 400
    back.text.encode()
    assert desk.claude.asked == []
    assert desk.workspace.snapshot() == {"add.py": ADD}
    assert [type(event) for event in desk.events] == [Called, Returned]


@pytest.mark.parametrize("name", ["write_file", "", "run_claude_coder ", "RUN_CLAUDE_CODER", "x" * 5000])
def test_an_unknown_tool_is_answered_with_the_tools_that_exist(name):
    """A model that makes up a tool learns which there are."""
    desk = Desk()
    back = desk.call(name, {"spec": "x"})
    assert not back.ok
    assert CODER in back.text
    assert TESTER in back.text
    assert len(back.text) < 300


def test_the_tester_needs_code_to_test():
    """Without the code file the tester is not asked."""
    desk = Desk()
    back = desk.call(TESTER, {"spec": "x"})
    assert back.text == f"Error: there is no add.py to test yet; call {CODER} first"
    assert desk.claude.asked == []


@pytest.mark.parametrize("code_file", ["../secret.py", "/etc/passwd", 5])
def test_the_tester_reads_nothing_outside_the_workspace(code_file):
    """The code file is a name from a model, too."""
    desk = Desk(files={"add.py": ADD})
    assert not desk.call(TESTER, {"spec": "x", "code_file": code_file}).ok
    assert desk.claude.asked == []


def test_tests_do_not_overwrite_the_code():
    """A tester that is told to write the code file is refused, and the code stays."""
    desk = Desk(files={"add.py": ADD})
    back = desk.call(TESTER, {"spec": "x", "file_name": "./add.py"})
    assert "would overwrite add.py" in back.text
    assert desk.workspace["add.py"] == ADD


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (an_answer("I cannot do that."), "held no code; add.py was not written"),
        (an_answer(""), "held no code"),
        (an_answer("```python\n```"), "held no code"),
        (an_answer("```python\ndef add(a, b):\n    return", cut_off=True), "was cut off at 77 tokens"),
        (an_answer(f"```python\n{'x' * (MAX_FILE_CHARS + 1)}\n```"), "at most 500000 are kept"),
    ],
    ids=["refusal", "nothing", "empty-fence", "cut-off", "too-long"],
)
def test_an_answer_without_usable_code_is_an_error_that_still_counts_its_tokens(answer, said):
    """The orchestrator learns why; the tokens were spent all the same; the old file stays."""
    desk = Desk(answer, files={"add.py": "OLD\n"})
    back = desk.call(CODER, {"spec": "x"})
    assert not back.ok
    assert said in back.text
    assert desk.workspace["add.py"] == "OLD\n"
    assert [type(event) for event in desk.events] == [Called, Spent, Said, Returned]


def test_a_refused_request_is_the_models_doing():
    """A prompt that Claude refuses comes back as an error, and the trial still measures the models."""
    desk = Desk(Refused("400 prompt is too long"))
    back = desk.call(CODER, {"spec": "x"})
    assert (back.ok, back.text) == (False, "Error: 400 prompt is too long")
    assert not any(isinstance(event, Fault) for event in desk.events)


def test_an_unreachable_claude_is_a_fault_and_tells_the_model_no_secrets():
    """The orchestrator may go on, but the trial can no longer tell anything about the models."""
    desk = Desk(ApiError("Claude (m at https://internal.example): 401", remedy="set ANTHROPIC_API_KEY"))
    back = desk.call(CODER, {"spec": "x"})
    assert (back.ok, back.text) == (False, "Error: Claude could not be reached.")
    assert [type(event) for event in desk.events] == [Called, Fault, Returned]
    assert "401" in desk.events[1].text


@pytest.mark.parametrize("where", ["spec", "code"])
def test_what_claude_is_asked_can_be_sent(where):
    """A broken character from a model, which JSON can carry, does not end the trial in the HTTP client."""
    desk = Desk(an_answer(fenced(ADD)), files={"add.py": "x = '\ud83d'\n"} if where == "code" else {})
    back = desk.call(CODER, '{"spec": "smile \\ud83d"}' if where == "spec" else {"spec": "x"})
    for asked in desk.claude.asked:
        asked[3].encode("utf-8")
    assert back.call_id == "c1"


def test_a_file_below_a_file_is_refused_before_the_sandbox_meets_it():
    """A name such as add.py/x.py beside add.py is the model's mistake, not a broken sandbox."""
    desk = Desk(an_answer(fenced(ADD)), files={"add.py": ADD})
    assert not desk.call(CODER, {"spec": "x", "file_name": "add.py/x.py"}).ok


# --- the code in an answer --------------------------------------------------------------------------

TESTS_OF_ADD = (
    "import add\n\n\ndef test_add():\n    assert add.add(1, 2) == 3\n    assert add.add(0, 0) == 0\n"
)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("```python\nx = 1\n```", "x = 1\n"),
        ("```py\nx = 1\n```", "x = 1\n"),
        ("```Python3\nx = 1\n```", "x = 1\n"),
        ("```\nx = 1\n```", "x = 1\n"),
        ("``` python\nx = 1\n```", "x = 1\n"),
        ('```python title="add.py"\nx = 1\n```', "x = 1\n"),
        ("```python:add.py\nx = 1\n```", "x = 1\n"),
        ("~~~python\nx = 1\n~~~", "x = 1\n"),
        ("````python\nx = '''\n```\n'''\n````", "x = '''\n```\n'''\n"),
        ("~~~~\nx = '''\n~~~\n'''\n~~~~", "x = '''\n~~~\n'''\n"),
        ("```python\nx = 1\n`````", "x = 1\n"),
        ("Sure, here it is:\n\n```python\nx = 1\n```\n\nHope that helps!", "x = 1\n"),
        ("```python\r\nx = 1\r\ny = 2\r\n```\r\n", "x = 1\ny = 2\n"),
        ("```python   \nx = 1\n```   \n", "x = 1\n"),
        ("```python\n\n\nx = 1\n\n\n```", "x = 1\n"),
        ("```python\nx = 1  \n\n  \n```", "x = 1\n"),
        ("```python\nx = 1", "x = 1\n"),
        ("```python\nif True:\n    x = 1\n```", "if True:\n    x = 1\n"),
        ("```bash\npip install x\n```\n\n```python\nx = 1\n```", "x = 1\n"),
        ("```bash\npip install a-very-long-name-indeed\n```\n```\nx = 1\n```", "x = 1\n"),
        ('```json\n{"a": [1, 2, 3, 4, 5, 6]}\n```\n```python\nx = 1\n```', "x = 1\n"),
        ("```python\nx = (\n```\n```python\nx = 1\n```", "x = 1\n"),
        ("```python\nx = 1\n```\n```python\nx = 1\ny = 2\n```", "x = 1\ny = 2\n"),
        ("```python\n```\n```python\nx = 1\n```", "x = 1\n"),
        (
            "**add.py**\n```python\nx = 1\n```\nUsage:\n```python\nfrom add import x\nprint(x, x)\n```",
            "x = 1\n",
        ),
        (
            "```python\n# add.py\nx = 1\n```\n```python\nfrom add import x\nprint(x, x, x)\n```",
            "# add.py\nx = 1\n",
        ),
        ("x = 1", "x = 1\n"),
        ("\n\ndef f():\n    return 1\n\n", "def f():\n    return 1\n"),
        ("import os", "import os\n"),
        ("class A: pass", "class A: pass\n"),
        ("```python\nx = (\n```", "x = (\n"),
        ("```python\nx = '\ud800'\n```", "x = '\ud800'\n"),
        ("", None),
        (" \n\n", None),
        ("I am sorry, I cannot.", None),
        ("OK", None),
        ("1", None),
        ("...", None),
        ('{"code": "x = 1"}', None),
        ('["x = 1"]', None),
        ("```python\n```", None),
        ("```python\n \n\n```", None),
        ("```", None),
        ("`x = 1`", None),
        ("\x00", None),
        ("x = " + "(" * 100_000, None),
        ("x = " + "-" * 100_000 + "1", None),
        ("x = " + "1+" * 100_000 + "1", None),
    ],
    ids=lambda value: ascii(value)[:50],
)
def test_the_code_of_an_answer(answer, code):
    """Of all that a model may wrap around its code, only the file's text is kept."""
    assert extract_code(answer, "add.py") == code


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("```python\nx = 1\n", None),
        ("```python\nx = 1\n```\nand", "x = 1\n"),
        ("```python\nx = 1\n```\n```python\ny = 2\nz =", "x = 1\n"),
        ("x = 1\ny = ", None),
        ("x = 1", None),
    ],
)
def test_an_answer_that_was_cut_off_counts_only_if_its_code_is_whole(answer, code):
    """Half a file is never taken for a file."""
    assert extract_code(answer, "add.py", cut_off=True) == code


@pytest.mark.parametrize("indent", ["", " ", "  ", "   "])
def test_an_indented_fence_gives_code_at_the_margin(indent):
    """Code in a list item is moved left by as much as its fence (CommonMark 0.31, section 4.5)."""
    lines = ["```python", "def f():", "    return 1", "```"]
    answer = "1. Like this:\n" + "\n".join(indent + line for line in lines)
    assert extract_code(answer, "add.py") == "def f():\n    return 1\n"


@pytest.mark.parametrize(
    "answer",
    [
        f"Here is add.py:\n{fenced(ADD)}\nAnd here is test_add.py:\n{fenced(TESTS_OF_ADD)}",
        f"And here is test_add.py:\n{fenced(TESTS_OF_ADD)}\nHere is add.py:\n{fenced(ADD)}",
        f"{fenced('# add.py' + chr(10) + ADD)}\n{fenced('# test_add.py' + chr(10) + TESTS_OF_ADD)}",
        f"### `add.py`\n{fenced(ADD)}\n### `tests/test_add.py`\n{fenced(TESTS_OF_ADD)}",
    ],
    ids=["prose", "tests-first", "comment", "heading"],
)
def test_a_block_that_names_another_file_is_not_this_file(answer):
    """test_add.py is not add.py, although its name ends alike; nor does the longer block win."""
    assert "def test_add" not in extract_code(answer, "add.py")
    assert "def test_add" in extract_code(answer, "test_add.py")


def test_code_with_an_invalid_escape_is_code_under_any_warning_filter():
    r"""A pattern such as "\d" without r is a warning in Python, not a fault, also under -W error."""
    code = 'import re\n\nFOUND = re.match("\\d", "1")\n'
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert extract_code(code, "add.py") == code


@pytest.mark.parametrize("code", ["x = 1", "x = '''\n```\n'''", "x = '''\n`````\n'''", "", "# ``` and ````"])
def test_fenced_code_can_be_taken_out_again(code):
    """A fence is longer than any in the code, so nothing in it can end it."""
    answer = f"Before\n{fenced(code)}\nafter"
    assert extract_code(answer, "add.py") == (f"{code}\n" if code else None)


def test_many_fences_take_little_time():
    """An answer of nothing but fences is read in one pass."""
    assert extract_code("```\n```\n" * 5000 + "```python\nx = 1\n```", "add.py") == "x = 1\n"


@pytest.mark.parametrize(
    ("path", "module"), [("add.py", "add"), ("pkg/core.py", "pkg.core"), ("a/b/c.py", "a.b.c")]
)
def test_the_module_of_a_path(path, module):
    """A file in a folder is imported by its dotted name."""
    assert module_of(path) == module
