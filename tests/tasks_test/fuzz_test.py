"""The loaders of task, pair, suite, price and source files, on structured garbage: one line, no traceback."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from harness.errors import HarnessError, SpecError
from harness.tasks import loader
from harness.tasks.loader import PairsFile, PricesFile, SourceFile, TaskFile
from harness.tasks.suite import Selection, Suite

BOUNDED = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,  # the same in each run of CI; a longer search: HYPOTHESIS_PROFILE of one's own
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TASK = {
    "id": "add",
    "title": "Add",
    "tags": ["a"],
    "spec": "Add.",
    "code_file": "add.py",
    "test_file": "test_add.py",
    "files": {"data/x.txt": "x"},
    "reference": "x = 1",
    "acceptance": "y = 1",
    "bugs": [{"name": "b", "code": "x = 2"}],
    "scripts": {"s": {"coder": [{"bug": "b"}], "tester": [{"fault": "slow"}]}},
    "limits": {"timeout_s": 3, "memory_mb": 128},
}
PAIRS = {
    "pairs": {
        "one": {
            "orchestrator": {"model": "openai/o", "temperature": 0.5},
            "coder": "c",
            "tester": "t",
            "flow": "guided",
            "backend": "local",
            "epochs": 2,
            "tasks": ["add"],
        },
        "two": {"orchestrator": {"model": "openai/o"}, "coder": "script:s", "backend": "mock"},
    }
}
PRICES = {"prices": {"m": {"input": 1.0, "output": 2, "cache_read": 0.1}}}
SOURCE = {"source": "ours.jsonl", "collect": "always", "only": ["add"], "limits": {"max_repairs": 2}}
FILES = {"add": TASK, "pairs": PAIRS, "prices": PRICES, "many": SOURCE}
MODELS = {"add": TaskFile, "pairs": PairsFile, "prices": PricesFile, "many": SourceFile}
ODD = some.sampled_from(
    [
        *(
            "",
            " ",
            "\0",
            "\ud800",
            "no",
            "010",
            "1:30",
            "~",
            "con",
            "a.",
            "../x",
            "/x",
            "x" * 5000,
            "é",
            "\u202e",
        ),
        *(
            0,
            -1,
            10**400,
            2**63,
            1e308,
            -0.0,
            True,
            None,
            [],
            {},
            [[]],
            {"": {}},
            {"a": None},
            {"a/b": {"c": 1}},
        ),
        *(math.inf, math.nan, "oracle", "fault:error@0", "ours.py:", ":", "humanevel", "x.jsonl", "a:b:c"),
    ]
)
JSON_LIKE = some.recursive(
    ODD | some.integers() | some.floats() | some.text(max_size=20),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = some.text(max_size=8) | some.sampled_from(
    ["source", "acceptance", "pairs", "id", "files", "bugs", "con"]
)


@some.composite
def damaged(draw: some.DrawFn, whole: object) -> object:
    """A right value with one or a few of its parts replaced, removed or added to."""
    value = json.loads(json.dumps(whole))
    for _ in range(draw(some.integers(1, 3))):
        place: object = value
        while isinstance(place, dict | list) and place:
            key = draw(some.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if not isinstance(place[key], dict | list) or not place[key] or draw(some.booleans()):
                change = draw(some.sampled_from(["replace", "remove", "add"]))
                if change == "remove":
                    del place[key]
                elif change == "add" and isinstance(place, dict):
                    place[draw(KEYS)] = draw(JSON_LIKE)
                else:
                    place[key] = draw(JSON_LIKE)
                break
            place = place[key]
    return value


def text_of(value: object, style: str) -> str:
    """The value as YAML in one of its styles, or as the JSON that YAML takes, too."""
    if style == "json":
        return json.dumps(value)
    return str(yaml.safe_dump(value, default_flow_style=style == "flow", allow_unicode=style == "block"))


def check_lines(error: HarnessError, display: str) -> None:
    """Each problem is one line that begins with the file, and goes on with something to read."""
    lines = error.problems if isinstance(error, SpecError) else [str(error)]
    for line in lines:
        assert line.startswith(f"{display}:")
        assert "\n" not in line
        assert 10 < len(line) < 3000


@pytest.mark.parametrize("stem", FILES)
def test_a_damaged_file_is_read_or_refused_in_lines(stem, tmp_path):
    """Whatever stands in a file, its loader gives a value, or names file, line and field."""
    path = tmp_path / f"{stem}.yaml"

    @BOUNDED
    @given(damaged(FILES[stem]), some.sampled_from(["block", "flow", "json"]))
    def try_one(value: object, style: str) -> None:
        path.write_text(text_of(value, style), encoding="utf-8", errors="surrogatepass")
        try:
            loader.parse(loader.YamlFile(path, "b/x.yaml"), MODELS[stem])
        except SpecError as error:
            check_lines(error, "b/x.yaml")

    try_one()


@pytest.mark.parametrize("stem", FILES)
def test_cut_and_mixed_bytes_are_refused_in_lines(stem, tmp_path):
    """A file cut off, with bytes put in or taken out, is refused as any other."""
    path = tmp_path / f"{stem}.yaml"
    right = text_of(FILES[stem], "block").encode()
    places = some.integers(0, len(right))

    @BOUNDED
    @given(
        places,
        places,
        some.binary(max_size=4) | some.sampled_from([b"\t", b"*a", b"&a", b"!!", b"? ", b": -"]),
    )
    def try_one(begin: int, end: int, put_in: bytes) -> None:
        path.write_bytes(right[:begin] + put_in + right[min(max(begin, end), begin + 40) :])
        try:
            loader.parse(loader.YamlFile(path, "b/x.yaml"), MODELS[stem])
        except SpecError as error:
            check_lines(error, "b/x.yaml")

    try_one()


def test_a_damaged_suite_is_listed_or_refused_in_lines(tmp_path: Path):
    """With all files damaged at once, each is a list of trials or an error that names the file."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    damage = {name: some.just(value) | damaged(value) for name, value in FILES.items()}

    @BOUNDED
    @given(some.fixed_dictionaries(damage), some.lists(damaged(TASK), max_size=3))
    def try_one(files: dict[str, object], items: list[object]) -> None:
        for stem, value in files.items():
            (folder / f"{stem}.yaml").write_text(text_of(value, "json"), encoding="utf-8")
        lines = [json.dumps(item) for item in items]
        (folder / "ours.jsonl").write_text("\n".join(lines), encoding="utf-8")
        suite = Suite(folder, tmp_path, Selection(), {})
        for path in (*suite.files(), *suite.sources()):
            try:
                suite.trials(path)
            except HarnessError as error:
                lines = error.problems if isinstance(error, SpecError) else [str(error)]
                assert all("benchmarks/" in line and "\n" not in line for line in lines)

    try_one()
