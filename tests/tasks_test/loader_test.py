"""harness/tasks/loader.py: task, pair and price files into typed values, with every problem named."""

import json
from pathlib import Path

import pytest

import harness
from harness.cassette import staleness
from harness.cli.task_files import schemas
from harness.errors import SpecError
from harness.tasks import loader
from harness.tasks.yaml_lines import YamlFile

TASK = {
    "title": "Add",
    "spec": "Add two numbers.",
    "code_file": "add.py",
    "test_file": "test_add.py",
    "reference": "x = 1",
    "acceptance": "y = 1",
}
DIRECT = {"orchestrator": {"model": "direct"}}
PAIR = {"orchestrator": {"model": "openai/x"}, "coder": "claude-x"}


def text_of(mapping):
    """YAML in which each top-level key has a line of its own."""
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in mapping.items())


@pytest.fixture
def load(tmp_path):
    """Read a file of a kind from text or a mapping."""
    kinds = {"add": loader.load_task, "pairs": loader.load_pairs, "prices": loader.load_prices}

    def load_it(given, stem="add"):
        path = tmp_path / f"{stem}.yaml"
        path.write_text(given if isinstance(given, str) else text_of(given), encoding="utf-8")
        return kinds.get(stem, loader.load_task)(path, f"b/{stem}.yaml")

    return load_it


def problems(load, given, stem="add"):
    """The problems of a file, as they are shown."""
    with pytest.raises(SpecError) as caught:
        load(given, stem)
    return caught.value.problems


# --- tasks ------------------------------------------------------------------------------------------


def test_a_task_gets_its_files_stem_as_id(load):
    """The id may be left out."""
    assert load(TASK, "bubble_sort").id == "bubble_sort"
    assert load({**TASK, "id": "other"}, "bubble_sort").id == "other"


def test_a_task_has_the_documented_defaults(load):
    """What a file leaves out is what the design says."""
    task = load(TASK)
    assert (task.difficulty, task.tags, task.files, task.bugs) == ("easy", (), {}, ())
    assert task.limits.model_dump() == {
        "timeout_s": 10,
        "memory_mb": 512,
        "max_tool_calls": 8,
        "max_repairs": 1,
        "max_tokens": 4096,
    }


def test_every_problem_of_a_file_is_reported_in_one_go(load):
    """Six faults give six lines, each with file, line and field, in the order of the file."""
    text = (
        "title: Add\n"
        "dificulty: easy\n"
        "spec: [not, text]\n"
        "code_file: /etc/passwd.py\n"
        "test_file: test_add.py\n"
        "reference: r\n"
        "acceptance: a\n"
        "limits:\n"
        "  timeout_s: ten\n"
        "  memory: 3\n"
        "tags: arithmetic\n"
    )
    found = problems(load, text)
    assert [line.split(": ")[:2] for line in found] == [
        ["b/add.yaml:2", "dificulty"],
        ["b/add.yaml:3", "spec"],
        ["b/add.yaml:4", "code_file"],
        ["b/add.yaml:9", "limits.timeout_s"],
        ["b/add.yaml:10", "limits.memory"],
        ["b/add.yaml:11", "tags"],
    ]


def test_a_file_with_faults_of_different_kinds_names_them_all(load):
    """A repeated key does not hide an unknown one, nor a wrong type a pair of equal file names."""
    text = text_of({**TASK, "test_file": "add.py", "dificulty": 1, "difficulty": "nope"}) + "title: again\n"
    found = "\n".join(problems(load, text))
    for part in ("already given on line 1", "dificulty", "'hard'", "to differ"):
        assert part in found


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"title": 5}, "b/add.yaml:1: title: expected text, got number 5"),
        ({"title": None}, "b/add.yaml:1: title: expected text, got nothing"),
        ({"title": True}, "b/add.yaml:1: title: expected text, got true/false True"),
        ({"title": ["a"]}, "b/add.yaml:1: title: expected text, got a list"),
        ({"title": {"a": 1}}, "b/add.yaml:1: title: expected text, got a mapping"),
        ({"title": ""}, "b/add.yaml:1: title: expected some text, got text ''"),
        ({"tags": "one"}, "b/add.yaml:7: tags: expected a list, got text 'one'"),
        ({"tags": ["a", 5]}, "b/add.yaml:7: tags.1: expected text, got number 5"),
        ({"tags": ["a b"]}, "expected letters, digits and ._+~%- (a letter or digit first), got text 'a b'"),
        ({"files": ["a"]}, "b/add.yaml:7: files: expected a mapping, got a list"),
        ({"files": {"a.txt": 5}}, "b/add.yaml:7: files.a.txt: expected text, got number 5"),
        ({"limits": 5}, "b/add.yaml:7: limits: expected a mapping, got number 5"),
        ({"limits": {"timeout_s": "10"}}, "b/add.yaml:7: limits.timeout_s: expected a number, got text '10'"),
        ({"limits": {"timeout_s": True}}, "b/add.yaml:7: limits.timeout_s: expected a number"),
        ({"limits": {"memory_mb": 5.5}}, "limits.memory_mb: expected a whole number, got number 5.5"),
        (
            {"limits": {"max_repairs": -1}},
            "limits.max_repairs: it should be greater than or equal to 0, got number -1",
        ),
        ({"limits": {"timeout_s": 0}}, "limits.timeout_s: it should be greater than 0, got number 0"),
        ({"difficulty": "nasty"}, "expected 'trivial', 'easy', 'medium' or 'hard', got text 'nasty'"),
        ({"difficulty": 3}, "expected 'trivial', 'easy', 'medium' or 'hard', got number 3"),
        ({"id": "a/b"}, "b/add.yaml:7: id: expected letters, digits"),
        ({"id": "add\n"}, "b/add.yaml:7: id: expected letters, digits"),
        ({"id": "../up"}, "b/add.yaml:7: id: expected letters, digits"),
        ({"id": "x" * 121}, "b/add.yaml:7: id: string should have at most 120 characters"),
        ({"bugs": [{"name": "b"}]}, "b/add.yaml:7: bugs.0.code: missing; expected the whole code file"),
        (
            {"bugs": [{"name": "b", "code": "c", "x": 1}]},
            "b/add.yaml:7: bugs.0.x: unknown key; known: name, code",
        ),
        ({"timeout": 5}, "b/add.yaml:7: timeout: unknown key"),
        ({"acceptence": "x"}, "b/add.yaml:7: acceptence: unknown key; did you mean 'acceptance'?"),
        (
            {"limits": {"max_toolcalls": 5}},
            "limits.max_toolcalls: unknown key; did you mean 'max_tool_calls'?",
        ),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected_and_what_was_found(load, change, shown):
    """The line reads: file, line, field, what was expected, what was given."""
    (problem,) = problems(load, {**TASK, **change})
    assert shown in problem
    assert "\n" not in problem


@pytest.mark.parametrize("field", sorted(TASK))
def test_a_missing_field_says_what_it_is_for(load, field):
    """Each required field is missed by name, with its description."""
    (problem,) = problems(load, {key: value for key, value in TASK.items() if key != field})
    assert problem.startswith(f"b/add.yaml:1: {field}: missing; expected ")
    assert "a value" not in problem


@pytest.mark.parametrize("value", ["2026-01-01", "2026-01-01 10:00:00"])
def test_a_date_is_no_text(load, value):
    """What YAML takes for a date is refused by its type, not turned into some text."""
    for field in ("title", "id"):
        fields = {key: val for key, val in TASK.items() if key != field}
        (problem,) = problems(load, text_of(fields) + f"{field}: {value}\n")
        assert f"{field}: expected text, got date" in problem


def test_an_id_from_a_strange_file_name_is_refused_in_words(load):
    """A file name that makes no id is a problem of that file."""
    (problem,) = problems(load, TASK, "my task")
    assert problem.startswith("b/my task.yaml:1: id: expected letters")


@pytest.mark.parametrize(
    "name",
    ["../add.py", "/add.py", "a/../add.py", "add.txt", "add", ".add.py", "~/add.py", "a\\b.py", "C:add.py"],
)
def test_a_file_name_that_leads_out_of_the_workspace_is_refused(load, name):
    """Code and tests are Python files inside the workspace."""
    for field in ("code_file", "test_file"):
        (problem,) = problems(load, {**TASK, field: name})
        assert f"{field}: expected the name of a .py file inside the workspace" in problem


@pytest.mark.parametrize("name", ["../data.txt", "/data.txt", "", "a//b"])
def test_a_given_file_cannot_leave_the_workspace(load, name):
    """Further files stay inside, too."""
    (problem,) = problems(load, {**TASK, "files": {name: "x"}})
    assert f"expected file names inside the workspace, got {name!r}" in problem


def test_code_and_tests_cannot_share_a_file(load):
    """The tester would overwrite the coder."""
    (problem,) = problems(load, {**TASK, "test_file": TASK["code_file"]})
    assert problem == "b/add.yaml:4: test_file: expected code_file and test_file to differ"


def test_two_bugs_of_one_name_are_refused(load):
    """A bug is reported by its name, so names differ."""
    (problem,) = problems(load, {**TASK, "bugs": [{"name": "b", "code": "1"}, {"name": "b", "code": "2"}]})
    assert problem == "b/add.yaml:7: bugs: expected a different name for each bug"


@pytest.mark.parametrize("number", ["0x" + "f" * 5000, "-0x" + "f" * 5000, "1e999", "-.inf", ".nan"])
def test_a_number_beyond_reason_is_a_problem(load, number):
    """A figure that no machine holds is reported like any other."""
    for field in ("timeout_s", "max_tokens"):
        (problem,) = problems(load, text_of(TASK) + f"limits: {{{field}: {number}}}\n")
        assert problem.startswith(f"b/add.yaml:7: limits.{field}: ")
        assert len(problem) < 300


def test_a_long_value_is_shown_by_its_beginning(load):
    """A page of text in the wrong place does not fill the screen."""
    (problem,) = problems(load, {**TASK, "difficulty": "x" * 10_000})
    assert len(problem) < 200


def test_a_source_file_has_the_documented_defaults(tmp_path):
    """Without more, all tasks are taken as they are, when the file is named."""
    path = tmp_path / "many.yaml"
    path.write_text("source: humaneval\n")
    source = loader.parse(YamlFile(path, "b/many.yaml"), loader.SourceFile)
    assert (source.collect, source.only, source.tags) == ("named", (), ())
    assert source.limits.model_fields_set == set()


@pytest.mark.parametrize(
    ("name", "is_task"),
    [
        ("add.yaml", True),
        ("add.yml", True),
        ("pairs.yaml", False),
        ("prices.yaml", False),
        ("add.json", False),
    ],
)
def test_pairs_and_prices_are_no_tasks(name, is_task):
    """The two special files of the folder are not collected."""
    assert loader.is_task_file(Path("benchmarks") / name) is is_task


# --- pairs ------------------------------------------------------------------------------------------


def test_pairs_keep_their_order_and_get_their_keys_as_names(load):
    """The file's order is the table's order."""
    pairs = load({"pairs": {"z": PAIR, "a": {**PAIR, "epochs": 3}}}, "pairs")
    assert [(name, pair.name, pair.epochs) for name, pair in pairs.items()] == [("z", "z", 1), ("a", "a", 3)]


def test_the_tester_is_the_coders_model_by_default(load):
    """One Claude model does both, unless a second is named."""
    pairs = load(
        {"pairs": {"a": PAIR, "b": {**PAIR, "tester": "claude-y"}, "c": {**PAIR, "tester": ""}}}, "pairs"
    )
    assert [pair.tester for pair in pairs.values()] == ["claude-x", "claude-y", "claude-x"]


def test_the_tester_is_asked_as_the_coder_unless_it_is_named(load):
    """Settings of the coder are the tester's where its model is; one empty mapping is no setting at all."""
    high, low = {"effort": "high"}, {"effort": "low"}
    pairs = load(
        {
            "pairs": {
                "same": {**PAIR, "coder_settings": high},
                "own": {**PAIR, "coder_settings": high, "tester_settings": low},
                "named": {**PAIR, "coder_settings": high, "tester": "claude-y"},
                "alone": {**PAIR, "coder_settings": high, "tester": "none"},
                "empty": {**PAIR, "coder_settings": {}},
                "plain": PAIR,
            }
        },
        "pairs",
    )
    found = {name: (str(pair.coder_settings), str(pair.tester_settings)) for name, pair in pairs.items()}
    assert found.pop("own") == ("effort=high", "effort=low")
    assert found.pop("same") == ("effort=high", "effort=high")
    assert (found.pop("named"), found.pop("alone")) == (("effort=high", ""), ("effort=high", ""))
    assert set(found.values()) == {("", "")}
    empty, plain = (pair.model_copy(update={"name": "p"}) for name, pair in pairs.items() if name in found)
    assert staleness.pair_digest(empty) == staleness.pair_digest(plain)


def test_a_pair_may_do_without_a_tester_and_without_an_orchestrator_model(load):
    """tester: none and orchestrator direct, with models and with mocks."""
    mock = {**DIRECT, "coder": "oracle", "backend": "mock", "tester": "none"}
    pairs = load({"pairs": {"a": {**PAIR, **DIRECT, "tester": "none"}, "b": mock, "c": PAIR}}, "pairs")
    found = [(pair.is_direct, pair.has_tester, pair.writers) for pair in pairs.values()]
    assert found == [(True, False, ("claude-x",)), (True, False, ("oracle",)), (False, True, ("claude-x",))]


@pytest.mark.parametrize(
    ("pairs", "shown"),
    [
        ({"a/b": PAIR}, "a/b: expected letters, digits and ._+~%- (a letter or digit first), got text 'a/b'"),
        ({"..": PAIR}, "expected letters, digits"),
        ({"": PAIR}, "expected letters, digits"),
        ({"a": {**PAIR, "name": "b"}}, "pairs.a.name: "),
        ({"a": {**PAIR, "codr": "x"}}, "pairs.a.codr: unknown key; did you mean 'coder'?"),
        ({"a": {**PAIR, "orchestrator": "openai/x"}}, "pairs.a.orchestrator: expected a mapping, got text"),
        ({"a": {**PAIR, "orchestrator": {"modle": "x", "model": "y"}}}, "did you mean 'model'?"),
        ({"a": {"orchestrator": {"model": "x"}}}, "pairs.a.coder: missing"),
        ({"a": {**PAIR, "flow": "wild"}}, "pairs.a.flow: expected 'free' or 'guided', got text 'wild'"),
        ({"a": {**PAIR, "tester": 5}}, "pairs.a.tester: expected text, got number 5"),
        ({"a": {**PAIR, "epochs": 0}}, "pairs.a.epochs: it should be greater than or equal to 1"),
        ({"a": {**PAIR, "epochs": "2"}}, "pairs.a.epochs: expected a whole number, got text '2'"),
        (
            {"a": {**PAIR, **DIRECT, "tools": "server"}},
            "pairs.a: expected tools: client and flow: free with orchestrator direct",
        ),
        (
            {"a": {**PAIR, **DIRECT, "flow": "guided"}},
            "pairs.a: expected tools: client and flow: free with orchestrator direct",
        ),
        (
            {"a": {**PAIR, "tools": "server", "tester": "none"}},
            "pairs.a: expected tools: client with tester: none",
        ),
        (
            {"a": {**PAIR, "orchestrator": {"model": "direct", "temperature": 1}}},
            "pairs.a.orchestrator: expected the model alone: direct is no model",
        ),
        (
            {"a": {**PAIR, "coder_settings": {"top_p": 0}}},
            "pairs.a.coder_settings.top_p: unknown key; known: effort, thinking, max_tokens, temperature",
        ),
        (
            {"a": {**PAIR, "coder_settings": {"effort": "huge"}}},
            "coder_settings.effort: expected 'low', 'medium'",
        ),
        ({"a": {**PAIR, "coder_settings": "high"}}, "coder_settings: expected a mapping, got text 'high'"),
        (
            {"a": {**PAIR, "coder_settings": {"thinking": "adaptive"}}},
            "coder_settings.thinking: expected a mapping",
        ),
        (
            {"a": {**PAIR, "coder_settings": {"thinking": {"type": "enabled"}}}},
            "coder_settings.thinking: expected budget_tokens with type: enabled",
        ),
        (
            {"a": {**PAIR, "tester_settings": {"thinking": {"type": "enabled", "budget_tokens": 2048}}}},
            "tester_settings: expected max_tokens above thinking.budget_tokens, which is 2048",
        ),
        (
            {"a": {**PAIR, "max_tokens": 99, "coder_settings": {"max_tokens": 99}}},
            "pairs.a: expected max_tokens of the pair or in coder_settings, not both",
        ),
        (
            {"a": {**PAIR, "coder": "oracle", "backend": "mock", "coder_settings": {"effort": "low"}}},
            "pairs.a: expected no coder_settings with backend mock",
        ),
        (
            {"a": {**PAIR, "backend": "claude-code", "coder_settings": {"effort": "low"}}},
            "pairs.a: expected coder_settings of max_tokens alone with backend claude-code",
        ),
        (
            {"a": {**PAIR, "tester": "none", "tester_settings": {"effort": "low"}}},
            "pairs.a: expected no tester_settings with tester: none",
        ),
        ({"a": None}, "pairs.a: expected a mapping, got nothing"),
        ({}, "pairs: "),
        ([], "pairs: expected a mapping, got a list"),
    ],
)
def test_a_wrong_pair_is_named(load, pairs, shown):
    """A pair's problem names the pair and the field."""
    found = problems(load, {"pairs": pairs}, "pairs")
    assert any(shown in line for line in found), found


def test_wrong_settings_of_the_coder_are_told_once(load):
    """The tester has them too where it is the same model, but nobody wrote them there."""
    pairs = {"a": {**PAIR, "coder_settings": {"efort": "high"}}}
    (line,) = problems(load, {"pairs": pairs}, "pairs")
    assert "pairs.a.coder_settings.efort: unknown key; did you mean 'effort'?" in line


# --- prices -----------------------------------------------------------------------------------------


def test_prices_are_read_and_may_be_absent(load, tmp_path):
    """Without a file there are no own prices; cached tokens cost what input costs unless it is said."""
    assert loader.load_prices(tmp_path / "none.yaml", "p") == {}
    price = load({"prices": {"m/x": {"input": 1.5, "output": 2}}}, "prices")["m/x"]
    assert (price.input, price.output, price.cache_write, price.cache_write_1h, price.cache_read) == (
        *(1.5, 2.0),
        *(1.5, 1.5, 1.5),
    )
    assert (price.request, price.tiers) == (0, ())


def test_no_price_makes_a_cost_infinite(load):
    """A million dollars for a million tokens is a slip."""
    found = problems(load, {"prices": {"m": {"input": 1, "output": 1.5e300}}}, "prices")
    assert found == [
        "b/prices.yaml:1: prices.m.output: it should be less than or equal to 1000000, got number 1.5e+300"
    ]


def test_prices_of_long_prompts_are_read_in_any_order(load):
    """A tier begins above a number of tokens; the list may be written from either end."""
    tiers = [{"input": 3, "output": 4, "above": 2000}, {"input": 2, "output": 3, "above": 1000}]
    price = load({"prices": {"m": {"input": 1, "output": 2, "request": 0.5, "tiers": tiers}}}, "prices")["m"]
    assert [(tier.above, tier.input, tier.cache_read) for tier in price.tiers] == [(1000, 2, 2), (2000, 3, 3)]
    assert price.request == 0.5


def test_two_prices_for_one_length_of_a_prompt_are_refused(load):
    """Which of them is paid would hang on their order."""
    tier = {"input": 3, "output": 4, "above": 100}
    (line,) = problems(load, {"prices": {"m": {"input": 1, "output": 2, "tiers": [tier, tier]}}}, "prices")
    assert "prices.m.tiers" in line
    assert "not two above 100" in line


@pytest.mark.parametrize(
    ("price", "shown"),
    [
        ("{input: 1}", "prices.m.output: missing"),
        ("{input: -1, output: 1}", "prices.m.input: it should be greater than or equal to 0"),
        ("{input: free, output: 1}", "prices.m.input: expected a number, got text 'free'"),
        ("{input: 1, output: 1, ouput: 1}", "prices.m.ouput: unknown key; did you mean 'output'?"),
        ("{input: .nan, output: 1}", "prices.m.input: "),
        ("{input: .inf, output: 1}", "prices.m.input: "),
        ("5", "prices.m: expected a mapping, got number 5"),
    ],
)
def test_a_wrong_price_is_named(load, price, shown):
    """A price is a finite number of dollars, never less than nothing."""
    found = problems(load, f"prices:\n  m: {price}\n", "prices")
    assert any(shown in line for line in found), found


# --- schemas ----------------------------------------------------------------------------------------


def fields_of(schema):
    """Every property in a schema, with the object that holds it."""
    objects = [schema, *schema.get("$defs", {}).values()]
    return [(name, each) for kind in objects for name, each in kind.get("properties", {}).items()]


def test_each_kind_of_file_has_a_json_schema():
    """The schemas are plain JSON of one named dialect, and refuse unknown keys."""
    written = json.loads(json.dumps(schemas()))
    kinds = ("task", "source", "course", "pairs", "prices", "record")
    assert set(written) == {f"{kind}.schema.json" for kind in kinds}
    for schema in written.values():
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        for kind in (schema, *schema.get("$defs", {}).values()):
            assert kind["type"] == "object"
            assert kind["additionalProperties"] is False


def test_an_editor_can_explain_every_field_of_a_task():
    """Each field of a task file has a description, and only what the loader misses is required."""
    schema = schemas()["task.schema.json"]
    assert all(each.get("description") or "$ref" in each for _, each in fields_of(schema))
    assert set(schema["required"]) == set(TASK)
    assert "id" not in schema["required"]
    assert schema["title"] == "Task"


def test_the_shipped_schemas_are_those_of_the_models():
    """What editors check is what the loader checks."""
    folder = Path(harness.__file__).parent / "schemas"
    shipped = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    assert shipped == json.loads(json.dumps(schemas()))


# --- surprises ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind"), [("no", "true/false False"), ("2026-01-01", "date"), ("1.10", "number 1.1")]
)
def test_text_that_yaml_takes_for_something_else(load, value, kind):
    """The line says what YAML made of it, and what to write."""
    (problem,) = problems(load, text_of(TASK).replace('title: "Add"', f"title: {value}"))
    assert problem.startswith(f"b/add.yaml:1: title: expected text, got {kind}")
    assert problem.endswith(f"; write it in quotes: {value!r}")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"add.py/x.py": "", "y.py": ""}, "expected 'add.py' to be a file: 'add.py/x.py' lies in it"),
        ({"a/b": "", "a": ""}, "expected 'a' to be a file: 'a/b' lies in it"),
        ({"A.txt": "", "a.txt": ""}, "expected names that differ in more than case, got 'A.txt' and 'a.txt'"),
        (
            {"Test_add.py": ""},
            "expected names that differ in more than case, got 'test_add.py' and 'Test_add.py'",
        ),
        ({"data/con.txt": ""}, "expected file names inside the workspace, got 'data/con.txt'"),
        ({"a.": ""}, "expected file names inside the workspace, got 'a.'"),
    ],
)
def test_files_that_cannot_lie_side_by_side(load, files, said):
    """A file below a file, two that differ in case, and names that Windows keeps for itself are refused."""
    assert problems(load, {**TASK, "files": files}) == [f"b/add.yaml:7: files: {said}"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"test_file": "ADD.py"}, "expected names that differ in more than case, got 'add.py' and 'ADD.py'"),
        ({"test_file": "add.py/test_x.py"}, "expected 'add.py' to be a file: 'add.py/test_x.py' lies in it"),
        ({"code_files": {"Add.py": "x"}}, "names that differ in more than case, got 'add.py' and 'Add.py'"),
    ],
)
def test_code_and_test_files_lie_side_by_side(load, names, said):
    """The same where a task has no further files."""
    (problem,) = problems(load, {**TASK, **names})
    assert said in problem


@pytest.mark.parametrize("name", ["con", "NUL", "aux.old", "lpt1", "a."])
def test_ids_that_windows_cannot_hold(load, name):
    """An id names the cassette's folder."""
    (problem,) = problems(load, {**TASK, "id": name})
    assert (
        problem == f"b/add.yaml:7: id: expected a name that a file can have on every platform, got {name!r}"
    )
    assert load({**TASK, "id": "console"}).id == "console"


def test_an_id_that_looks_like_a_key_is_refused_and_not_repeated(load):
    """It would name files, and stand in every report."""
    key = "sk-ant-api03-" + "Ab3dE5gH" * 4
    (problem,) = problems(load, {**TASK, "id": key})
    assert "id: expected a name that does not look like a key" in problem
    assert key not in problem


# --- what used to end in a traceback, or in nothing ----------------------------------------------------


def test_a_field_that_lacks_in_what_may_be_left_out(load):
    """The thinking of a model's settings: the field is named, and what is expected."""
    pair = {**PAIR, "coder_settings": {"thinking": {"budget_tokens": 2000}}}
    (line,) = problems(load, {"pairs": {"p": pair}}, "pairs")
    assert "pairs.p.coder_settings.thinking.type: missing; expected enabled: up to budget_tokens" in line


@pytest.mark.parametrize("tester", [False, 0, [], {}])
def test_no_tester_is_said_by_name(load, tester):
    """``tester: false`` is not "the coder": that would be paid for."""
    (line,) = problems(load, {"pairs": {"p": {**PAIR, "tester": tester}}}, "pairs")
    assert "pairs.p.tester: expected " in line


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"test_file": "a.b.py"}, "expected no dot in 'a.b.py' but that of .py"),
        ({"code_file": "x.y.py"}, "expected no dot in 'x.y.py' but that of .py"),
        ({"test_file": "tests/add.py"}, "expected another file name than code_file's, got 'tests/add.py'"),
    ],
)
def test_files_that_tests_could_not_import(load, change, said):
    """Every tester would fail for it, and be blamed."""
    (line,) = problems(load, {**TASK, **change})
    assert said in line


def test_a_wrong_price_is_one_line(load):
    """The prices that would follow from it are not told, too."""
    (line,) = problems(load, {"prices": {"m": {"input": "x", "output": 1}}}, "prices")
    assert "prices.m.input: expected a number, got text 'x'" in line
    (line,) = problems(load, {"prices": {"m": {"output": 1}}}, "prices")
    assert "prices.m.input: missing" in line
