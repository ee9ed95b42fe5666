"""harness/agents/code_blocks.py: a corpus of answers, hostile ones, and CommonMark (answer_blocks.py)."""

import ast
import re
import resource
import time
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from harness.agents.answer_blocks import find_blocks
from harness.agents.answer_parts import MAX_PARTS
from harness.agents.code_blocks import extract_code

CORPUS = Path(__file__).with_name("answers.txt").read_text(encoding="utf-8")
INVISIBLE = {"<BOM>": "\ufeff", "<ZWSP>": "\u200b", "<TAB>": "\t", "<NBSP>": "\u00a0"}
CASE = re.compile(
    r"^===== (?P<name>.+?)(?: \| (?P<path>\S+))?(?P<cut> \(cut off\))?\n"
    r"(?P<answer>.*?)^-----\n(?P<code>.*?)(?=^=====|\Z)",
    re.MULTILINE | re.DOTALL,
)
CASES = [match.groupdict() for match in CASE.finditer(CORPUS)]
ADD = CASES[0]["code"]
PLAIN = [
    case["answer"]
    for case in CASES
    if case["name"]
    in {
        "a single block",
        "prose around the block",
        "an untagged block",
        "tildes",
        "a longer fence around one of three",
        "a fenced example in an indented docstring",
        "in a list item",
        "behind the mark of a list item",
        "in a quote",
        "in a quote in a quote",
        "in a quote that ends without a fence",
        "headings name the files",
        "the path in the info string",
        "a usage example that defines a main function",
        "tests before the code",
        "the closing fence is lost",
        "output that is tagged as text",
        "empty blocks",
    }
]
BOMBS = {"clauses": "[x " + "for()in()" * 54_000 + "]", "names": "import " + ".".join("a" * 60_000)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_code_of_an_answer_is_found(case):
    """Each case of answers.txt."""
    answer = case["answer"]
    for name, character in INVISIBLE.items():
        answer = answer.replace(name, character)
    expected = {"NONE\n": None, "ADD\n": ADD}.get(case["code"], case["code"])
    for text in (answer, answer.replace("\n", "\r\n")):
        assert extract_code(text, case["path"] or "add.py", cut_off=bool(case["cut"])) == expected


def test_the_corpus_is_read_whole():
    """Every case that stands in the file is one that is tried, under a name of its own."""
    assert len({case["name"] for case in CASES}) == len(CASES) == CORPUS.count("\n===== ") >= 60


def by_commonmark(answer):
    """The fenced blocks that a CommonMark parser finds, without their last line breaks."""
    tokens = MarkdownIt("commonmark").parse(answer)
    return [(token.info.strip(), token.content.rstrip("\n")) for token in tokens if token.type == "fence"]


def parse(code):
    """The syntax tree of a text, or None."""
    try:
        return ast.parse(code)
    except SyntaxError:
        return None


@pytest.mark.parametrize("answer", PLAIN)
def test_blocks_that_are_well_formed_are_those_of_commonmark(answer):
    """The scanner of the harness agrees with markdown-it-py where nothing has to be mended."""
    blocks = [(each.info, each.code.rstrip("\n")) for each in find_blocks(answer, parse) if each.is_fenced]
    assert blocks == by_commonmark(answer) != []


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_for_the_parser_is_taken_as_it_is(name):
    """It is the model's code, and the sandbox judges it; this process neither dies nor swells."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert extract_code(f"```python\n{BOMBS[name]}\n```\n", "add.py").strip() == BOMBS[name]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


SIZE = 100_000
HOSTILE = {
    "fences": "```\n",
    "openings": "```python\n",
    "ever longer fences": None,
    "openings with a word": "````a\nx\n```b\n",
    "broken blocks": "```python\nx = (\n```\n",
    "long broken blocks": "```python\n" + "x = 1\n" * 500 + "x = (\n",
    "quotes": "> ",
    "quoted lines": "> x\n",
    "quoted fences": "> > > > > > ```\n",
    "list marks": "- ",
    "ticks": "`",
    "blanks": " ",
    "one-liners": "```x",
    "definitions": "def f(): pass\n\nProse here.\n\n",
    "assignments": "x, " * 1000 + "\n",
    "file names": "a/" * 50 + "\n```\nx\n```\n",
    "a long name": "a",
    "thoughts": "<think>",
    "thoughts in lines": "<think>\n",
    "thoughts that end": "<think>\n</think>\n",
    "ends of thoughts": "</think>\nx = 1\n",
    "thoughts in blocks": "```python\nx = 1\n</think>\n```\n",
    "comments": "<!--\n-->\n",
    "files of a shell": "```sh\n" + "cat > a.py <<E\n" * 100,
    "versions": "```python\ndef f(): pass\n```\n",
    "elements": "<pre>\n",
    "elements that end": "<pre>x\n<file>x</pre>\n",
    "quotes as fences": "'''python\n",
    "turns that end": "<|im_end|>",
    "numbers": "1 | x\n",
    "prompts": ">>> x = (\n",
    "mends": "`f` should be:\n```python\ndef f(): pass\n```\n```python\ndef f(): pass\ndef g(): pass\n```\n",
    "methods": "```python\nclass A:\n    def f(self): pass\n```\n```python\n    def g(self): pass\n```\n",
    "mends of a long file": "```python\n"
    + "".join(f"def f{n}(x): return 1\n" for n in range(1500))
    + "```\n"
    + "".join(f"Fixed:\n```python\ndef f{n}(x): return 2\n```\n" for n in range(1000)),
    "calls in JSON": '```json\n{"content": "def f(): pass", "x": ' + "[" * 500 + "]" * 500 + "}\n```\n",
    "blocks that use names": "```python\ndef f(): g()\n```\n```\ndef g(): f()\n```\n",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.slow
def test_the_time_for_an_answer_is_bounded(name):
    """Whatever repeats in it, 100 kB of an answer take a second, on an idle machine."""
    part = HOSTILE[name]
    answer = part * (SIZE // len(part)) if part else "\n".join("`" * n for n in range(3, 900))
    started = time.process_time()
    for text in (answer, f"```\n{answer}.py\n```python\nx = 1\n```", f"{answer}</file></pre>"):
        extract_code(text, "add.py")
    assert time.process_time() - started < 10


def test_a_file_is_of_few_parts():
    """Each looks at all that is left: a thousand of them would take minutes; equal ones are one."""
    parts = [f"```python\ndef f{n}(x):\n    return f{n - 1}(x)\n```\n" for n in range(1, 900)]
    assert extract_code("".join(parts), "add.py").count("def ") == MAX_PARTS + 1
    twice = (
        "```python\nimport math\n```\n" * 2 + "```python\ndef add(a, b):\n    return math.fsum([a, b])\n```\n"
    )
    assert extract_code(twice, "add.py").count("import") == 1
