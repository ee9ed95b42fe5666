"""Find the pieces of an answer that may be code: fenced blocks, whole and damaged, and code without a fence.

A block ends where CommonMark ends it (https://spec.commonmark.org/0.31.2/#fenced-code-blocks), unless its
Python compiles only up to another fence: behind one inside of a string, before one with text behind it or one
that was forgotten. Fences in quotes and list items count, at any indent. Letta's tool sandbox runs this
module's source, too (``backends/letta/tool_source.py``), so it uses the standard library in place of a
Markdown parser; the tests hold it against one. Elements of HTML that hold a definition count, no others.
"""

from __future__ import annotations

import ast
import html
import json
import re
import textwrap
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import accumulate, islice, takewhile

from harness.agents.python_text import MAX_PARSED

Parse = Callable[[str], "ast.Module | None"]

# Each is matched at the start of a line; its repeats are bounded, for lines of a megabyte.
FENCE = re.compile(
    r"(?P<lead>[ \t]{0,40}(?:(?:[-*+]|\d{1,9}[.)])[ \t]{1,8}){0,3})"
    r"(?P<run>```+|~~~+|(?:'''|\"\"\")(?=(?:python3?|py)[ \t]{0,40}$))[ \t]{0,40}(?P<info>.*)"
)
BEHIND_TEXT = re.compile(
    r"(?P<text>(?! {0,3}>)[^`]{1,400})(?<!\\)(?P<run>```+)(?P<info>(?i:python3?|py))[ \t]{0,40}$"
)
IN_ONE_LINE = re.compile(
    r"[ \t]{0,40}```[ \t]{0,40}(?P<tag>(?i:python3?|py)(?=[ \t]))?(?P<code>[^`]{1,10000})```[ \t]{0,40}$"
)
ELEMENT = re.compile(  # of HTML, or of a format of files: `<file path="add.py">`
    r"[ \t]{0,40}(?:<invoke\b[^<>]{0,200}>)?"
    r"<(?P<tag>pre|code|file|create_file|write_file|python|antArtifact|artifact|answer|solution|parameter)"
    r"\b(?P<info>[^<>]{0,200})>"
    r"(?:[ \t]{0,8}<code\b(?P<more>[^<>]{0,200})>)?(?P<code>.*)"
)
HEREDOC = re.compile(
    r"(?P<command>[^<]{1,200})<<-?[ \t]{0,4}(?P<quote>['\"]?)(?P<end>\w{1,40})(?P=quote)(?P<rest>.*)"
)
SESSION = re.compile(r">>> (?:async def |def |class |@)\w")
DIFF_HEADER = re.compile(r"(?:---|\+\+\+|@@|diff |index |new file )|\s*$")
HEADING = re.compile(r" {0,3}(?:#{1,6} |\*\*[^*]{1,200}\*\*:?[ \t]{0,40}$)")
QUOTED = re.compile(r" {0,3}> ?")
PYTHON_TAG = re.compile(r"[{.]{0,2}(?:language-)?(?:i?python|py|pycon)[\d.]{0,5}(?![\w+-])", re.IGNORECASE)
FILE_NAME = re.compile(r"[\w./\\-]*\w\.py\b")
STATEMENT = re.compile(
    r"(?:async def|def|class|import|from|if|with|for) |try:|@\w|#|[rRbBuU]?[\"']{3}|"
    r"[\w, ]{1,80}(?::[^=]{1,80})?= "
)
PROSE = re.compile(r"[A-Z*+>\d`<-]")
DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
ANY_DEFINITION = (*DEFINITION, ast.Import, ast.ImportFrom, ast.Assign)
INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"
MAX_DEPTH = 4  # quotes and blocks inside of each other
MAX_ENDS = 12  # ends that are tried for one block
MAX_ELEMENTS = 100  # of HTML that are tried in one text
MAX_CUTS = 20  # places that are tried as the end of code before prose
LOOK_AHEAD = 100  # lines with fences among which the end of a block is searched


@dataclass(frozen=True)
class Block:
    """A piece of an answer.

    Attributes:
        before: The last line of text in front of it.
        title: The last heading or bold line in front of it, with no block in between.
        is_whole: False for one that only the answer's end ends.
    """

    code: str
    info: str = ""
    before: str = ""
    title: str = ""
    is_fenced: bool = True
    is_whole: bool = True

    @property
    def is_tagged(self) -> bool:
        """True if the info string says Python, or names a file of it."""
        return bool(PYTHON_TAG.match(self.info) or FILE_NAME.search(self.info[:200]))

    @property
    def may_be_python(self) -> bool:
        """True unless the info string says something else."""
        return self.is_tagged or not self.info


@dataclass(frozen=True)
class _Opening:
    run: str
    info: str
    width: int = 0  # of its indent, and of the list marker before it
    text: str = ""  # before it, in its line

    def closed_by(self, line: str) -> bool:
        """Return True if CommonMark ends the block with this line."""
        closing = line.strip()
        indent = len(line) - len(line.lstrip())
        return indent <= self.width + 3 and len(closing) >= len(self.run) and not closing.strip(self.run[0])


def find_blocks(text: str, parse: Parse, *, depth: int = 0) -> Iterator[Block]:
    """Yield the pieces of a text in their order.

    Args:
        text: An answer, or the inside of one of its quotes or blocks.
        parse: Return the syntax tree of a text, None if it is no Python.
        depth: Number of quotes and blocks around the text.
    """
    lines = _Lines(text, parse)
    number, gap, before, title = 0, 0, "", ""
    while number < len(lines.lines):
        line = lines.lines[number]
        opening = _opening(line)
        single = IN_ONE_LINE.match(line)
        element = lines.element(number)
        quoted = depth < MAX_DEPTH and QUOTED.match(line) is not None
        session = SESSION.match(line)
        if not (opening or single or element or session or quoted):
            before, number = line if line.strip() else before, number + 1
            title = line if HEADING.match(line) else title
            continue
        yield from lines.unfenced(gap, number)
        if opening:
            block, number = lines.block(number, opening, opening.text or before)
            found = [block]
            if depth < MAX_DEPTH and _wraps(block) and parse(block.code) is None:
                inner = find_blocks(block.code, parse, depth=depth + 1)
                found += (replace(each, is_whole=each.is_whole or block.is_whole) for each in inner)
            if "<<" in block.code and not (block.is_tagged and parse(block.code)):
                found += _heredocs(block)
            found += _arguments(block, parse)
            found += _additions(block)
        elif element:
            found, number = [replace(element[0], before=before)], element[1]
        elif session:
            shown = [*takewhile(str.strip, lines.lines[number:])]
            found, number = [Block("\n".join(shown), "", before)], number + len(shown)
        elif single:
            found, number = [Block(single["code"].strip(), single["tag"] or "", before)], number + 1
        else:
            inside = [*takewhile(QUOTED.match, lines.lines[number:])]
            number += len(inside)
            ended = number < len(lines.lines)
            inner = find_blocks(
                "\n".join(QUOTED.sub("", each, count=1) for each in inside), parse, depth=depth + 1
            )
            found = [replace(each, is_whole=each.is_whole or ended) for each in inner if each.is_fenced]
            found[:1] = [replace(each, before=each.before or before) for each in found[:1]]
        yield from (replace(each, title=each.title or title) for each in found)
        gap, before, title = number, "", title if opening and not block.may_be_python else ""
    for each in lines.unfenced(gap, number):
        yield replace(each, is_whole=False)


def _opening(line: str) -> _Opening | None:
    if match := FENCE.match(line):
        run, info = match["run"], match["info"].strip()
        in_text = run[0] == "`" and "`" in info  # a span of code, by CommonMark
        return None if in_text else _Opening(run, info, len(match["lead"].expandtabs(4)))
    if match := BEHIND_TEXT.match(line):
        return _Opening(match["run"], match["info"], text=match["text"])
    return None


def _heredocs(block: Block) -> Iterator[Block]:
    """Yield the Python files that commands for a shell write: ``cat > add.py <<'END'``."""
    lines = block.code.split("\n")
    number, tries = 0, 0
    while number < len(lines) and tries < MAX_ELEMENTS:
        match = HEREDOC.match(lines[number])
        name = FILE_NAME.search(match["command"] + match["rest"][:200]) if match else None
        number += 1
        if match and name:
            tries += 1
            end = next((n for n in range(number, len(lines)) if lines[n].strip() == match["end"]), None)
            if end is not None:
                yield Block("\n".join(lines[number:end]), name[0], block.before)
                number = end + 1


def _arguments(block: Block, parse: Parse) -> Iterator[Block]:
    """Yield the code of a tool call in JSON: ``{"path": "add.py", "content": "def add(a, b): ..."}``."""
    values: object = None
    if block.code.lstrip().startswith("{") and len(block.code) <= MAX_PARSED:
        with suppress(ValueError, RecursionError):
            values = json.loads(block.code)
    texts = [each for each in values.values() if isinstance(each, str)] if isinstance(values, dict) else []
    name = next((each for each in texts if FILE_NAME.fullmatch(each[:200])), "")
    for text in texts:
        if defines(parse(text), DEFINITION):
            yield replace(block, code=text, info=name)


def _additions(block: Block) -> Iterator[Block]:
    """Yield the file that a diff makes, if it takes away nothing."""
    if block.info.lower() not in ("diff", "patch"):
        return
    name = re.search(r"^\+\+\+ (?:b/)?(?P<file>[\w./\\-]{0,200}\w\.py)", block.code, re.MULTILINE)
    lines = [line for line in block.code.split("\n") if not DIFF_HEADER.match(line)]
    if lines and all(line.startswith("+") for line in lines):
        code = "\n".join(line[1:] for line in lines)
        yield replace(block, code=code, info=name["file"] if name else "python")


def _wraps(block: Block) -> bool:
    """Return True if there may be blocks inside of a block: it is no Python, or its fence stands twice."""
    has_fence = "```" in block.code or "~~~" in block.code
    return has_fence and (not block.is_tagged or FENCE.match(block.code.lstrip()) is not None)


class _Lines:
    """The lines of a text, and where its fences are, so that the end of a block is found without a search."""

    def __init__(self, text: str, parse: Parse) -> None:
        self.lines = [line.lstrip(INVISIBLE) for line in text.split("\n")]
        self._parse = parse
        self._fences = [n for n, line in enumerate(self.lines) if "```" in line or "~~~" in line]
        self._holding: dict[str, list[int]] = {}
        self._elements = 0
        self._starts = [0, *accumulate(len(line) + 1 for line in self.lines)]

    def block(self, start: int, opening: _Opening, before: str) -> tuple[Block, int]:
        """Return the block that begins in a line, behind a text, and the number of the line after it."""
        all_fences = self._fences if opening.run[0] in "`~" else self._with(opening.run)
        first = bisect_right(all_fences, start)
        fences = all_fences[first : first + LOOK_AHEAD]
        proper = next((n for n in fences if opening.closed_by(self.lines[n])), None)
        end = len(self.lines) if proper is None else proper
        after = min(end + 1, len(self.lines))
        block = Block("", opening.info, before, is_whole=proper is not None)
        if not block.may_be_python or end == start + 1 or self._compiles(start, end, opening):
            return replace(block, code=self._inside(start, end, opening)), after
        for n in fences[:MAX_ENDS]:
            code, _, behind = self.lines[n].rpartition(opening.run)
            last = code.rstrip(opening.run[0]) if code.strip() and not behind.strip() else None
            if self._compiles(start, n, opening, last):
                code = self._inside(start, n, opening, last)
                # A fence with one word behind it begins the next block, too.
                again = FENCE.match(self.lines[n])
                return replace(block, code=code, is_whole=True), n + 1 - bool(
                    again and again["info"].isalnum()
                )
        code = self._inside(start, end, opening)
        if proper is None and len(code) <= MAX_PARSED:
            code = self._before_prose(code.split("\n")) or code
        return replace(block, code=code), after

    def element(self, start: int) -> tuple[Block, int] | None:
        """Return the Python with a definition that an element of HTML holds, and the line after it."""
        opening = ELEMENT.match(self.lines[start])
        ends = self._with(f"</{opening['tag']}>") if opening else []
        first = bisect_right(ends, start)
        if not opening or first == len(ends) or self._elements >= MAX_ELEMENTS:
            return None
        if self._starts[ends[first]] - self._starts[start] > MAX_PARSED:
            return None
        self._elements += 1
        end = ends[first]
        last = self.lines[end].partition(f"</{opening['tag']}>")[0]
        code = "\n".join((opening["code"], *self.lines[start + 1 : end], last))
        code = code.rstrip().removesuffix("</code>").strip("\n")
        texts = (html.unescape(code), code) if opening["tag"] in ("pre", "code") else (code,)
        if code := next((text for text in texts if defines(self._parse(text), DEFINITION)), ""):
            named = FILE_NAME.search(opening["info"])
            return Block(code, named[0] if named else ""), end + 1
        return None

    def _with(self, part: str) -> list[int]:
        """Return the numbers of the lines that hold a text."""
        if part not in self._holding:
            self._holding[part] = [n for n, line in enumerate(self.lines) if part in line]
        return self._holding[part]

    def unfenced(self, start: int, end: int) -> Iterator[Block]:
        """Yield the code that stands between two blocks, or in an answer without one; at most one piece."""
        if self._starts[end] - self._starts[start] > MAX_PARSED:
            return
        lines = self.lines[start:end]
        whole = "\n".join(lines)
        if defines(self._parse(whole), ANY_DEFINITION):
            yield Block(whole, is_fenced=False)
            return
        if not any(map(STATEMENT.match, lines)):  # perhaps CommonMark's other block, which is indented
            indented = [line for line in map(_expand_indent, lines) if line.startswith("    ") or not line]
            lines = textwrap.dedent("\n".join(indented)).split("\n")
        for n in islice((n for n, line in enumerate(lines) if STATEMENT.match(line)), MAX_ENDS):
            if code := self._before_prose(lines[n:]):
                yield Block(code, is_fenced=False)
                return

    def _inside(self, start: int, end: int, opening: _Opening, last: str | None = None) -> str:
        """Return the code between two fences without their indent; ``last`` stands before the second one."""
        lines = self.lines[start + 1 : end] + ([] if last is None else [last])
        if opening.width:
            lines = [_expand_indent(line) for line in lines]
            indents = (len(line) - len(line.lstrip(" ")) for line in lines if line.strip())
            # Less than CommonMark takes away if a line stands further left: its lines need not fit together.
            width = min(opening.width, *indents, opening.width)
            lines = [line[width:] for line in lines]
        return "\n".join(lines)

    def _compiles(self, start: int, end: int, opening: _Opening, last: str | None = None) -> bool:
        if self._starts[end] - self._starts[start] > MAX_PARSED:
            return False
        tree = self._parse(self._inside(start, end, opening, last))
        return tree is not None and bool(tree.body)

    def _before_prose(self, lines: Sequence[str]) -> str:
        """Return the longest beginning that is Python, up to prose; empty if there is none.

        Prose is a paragraph, or begins behind an indented line, further left.
        """
        cuts = [
            n
            for n, line in enumerate(lines)
            if n and (PROSE.match(line) if not lines[n - 1].strip() else _leaves_code(lines[n - 1], line))
        ]
        for cut in (len(lines), *cuts[: -MAX_CUTS - 1 : -1]):
            code = "\n".join(lines[:cut])
            if defines(self._parse(code), DEFINITION):
                return code
        return ""


def _leaves_code(before: str, line: str) -> bool:
    return before[:1] in (" ", "\t") and line[:1] not in (" ", "\t", "") and not STATEMENT.match(line)


def _expand_indent(line: str) -> str:
    code = line.lstrip(" \t")
    return line[: len(line) - len(code)].expandtabs(4) + code


def defines(tree: ast.Module | None, kinds: tuple[type[ast.stmt], ...]) -> bool:
    """Return True if a text is Python and has a statement of these kinds at its top."""
    return tree is not None and any(isinstance(node, kinds) for node in tree.body)
