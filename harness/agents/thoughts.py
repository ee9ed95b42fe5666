"""Take away what a model says to itself in an answer: a draft is not the code that it answers with.

Letta's tool sandbox runs this module's source, too (``backends/letta/tool_source.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

# As DeepSeek, Qwen, Magistral, Kimi, Cohere and gpt-oss write thoughts, and models that were asked for some.
THOUGHT_MARK = re.compile(
    r"<(?P<closes>/)?(?P<name>(?:seed:)?think|thought|reasoning|reflection|scratch_?pad|analysis)(?:ing|s)?"
    r"(?:\s[^<>\n]{0,200})?>"
    r"|\[think\]|◁think▷|<\|begin_of_thought\|>|<\|start_thinking\|>|<!--"
    r"|\[/think\]|◁/think▷|<\|end_of_thought\|>|<\|end_thinking\|>|-->"
    r"|<\|channel\|>(?P<channel>analysis|commentary|final)\b[^<>\n]{0,200}<\|message\|>",
    re.IGNORECASE,
)
COMMENT = "<!--"
OPENING = {
    "[/think]": "[think]",
    "◁/think▷": "◁think▷",
    "<|end_of_thought|>": "<|begin_of_thought|>",
    "<|end_thinking|>": "<|start_thinking|>",
    "-->": COMMENT,
}
QUOTES = "\"'`\\"
BLOCK_EDGE = re.compile(r"^ {0,3}(?P<run>```+|~~~+)(?P<info>.*)$", re.MULTILINE)
MAX_MARKS = 1000
MAX_THOUGHTS = 50


@dataclass(frozen=True)
class _Mark:
    start: int
    end: int
    kind: str
    is_closing: bool
    is_at_edge: bool  # of its line


def without_thoughts(answer: str, is_python: Callable[[str], bool], *, cut_off: bool = False) -> str:
    r"""Return an answer without its thoughts.

    A thought is what stands between two marks, or before a closing one alone, as a template may put the
    opening one into the prompt. Marks in a block of code are the code's, unless that is a draft whose fence
    was never closed. A thought without an end counts in an answer that was cut off.

    Args:
        answer: With line breaks of ``\n``.
        is_python: Tell whether a text is Python.
        cut_off: The answer ran into the limit of tokens.
    """
    for _ in range(MAX_THOUGHTS):
        thought = _first_thought(answer, is_python, cut_off)
        if thought is None:
            break
        answer = answer[: thought[0]] + "\n" + answer[thought[1] :]
    return answer


def _first_thought(answer: str, is_python: Callable[[str], bool], cut_off: bool) -> tuple[int, int] | None:
    """Return where the first thought begins and ends."""
    marks = list(islice(_marks(answer), MAX_MARKS))
    if not marks:
        return None
    ends: dict[int, int] = {}  # of the thought that a mark opens
    closing: dict[str, int] = {}
    for mark in reversed(marks):
        if mark.is_closing:
            closing[mark.kind] = mark.end
        elif mark.kind in closing:
            ends[mark.start] = closing[mark.kind]
    blocks = _blocks(answer)
    begin, end = next(blocks, (len(answer), len(answer)))
    opened: set[str] = set()  # in the block
    for mark in marks:
        while end < mark.start:
            begin, end = next(blocks, (len(answer), len(answer)))
            opened = set()
        is_inside = begin < mark.start
        if is_inside and not mark.is_closing:
            opened.add(mark.kind)
        elif not mark.is_at_edge or (is_inside and (mark.kind in opened or is_python(answer[begin:end]))):
            continue
        elif mark.is_closing:
            if mark.kind != COMMENT:  # ... behind the answer
                return (0 if answer[mark.end :].strip() else mark.start, mark.end)
        elif mark.start in ends:
            if mark.kind != COMMENT or "\n" in answer[mark.start : ends[mark.start]]:
                return mark.start, ends[mark.start]
        elif cut_off:
            return mark.start, len(answer)
    return None


def _marks(answer: str) -> Iterator[_Mark]:
    """Yield the marks of a text, without those in quotes."""
    for match in THOUGHT_MARK.finditer(answer):
        start, end = match.span()
        if start and answer[start - 1] in QUOTES:
            continue
        behind = answer[end : end + 300].partition("\n")[0]
        before = answer[max(start - 300, 0) : start].rpartition("\n")[2]
        text = match[0].lower()
        if match["name"]:
            kind, is_closing = match["name"].lower(), bool(match["closes"])
        elif match["channel"]:
            kind, is_closing = "channel", match["channel"].lower() == "final"
        else:
            kind, is_closing = OPENING.get(text, text), text in OPENING
        yield _Mark(start, end, kind, is_closing, not before.strip() or not behind.strip())


def _blocks(answer: str) -> Iterator[tuple[int, int]]:
    """Yield where the inside of each fenced block begins and ends; the last one may have no end."""
    opening = None
    for match in BLOCK_EDGE.finditer(answer):
        if opening is None:
            if "`" not in match["info"]:
                opening = match
        elif match["run"].startswith(opening["run"]) and not match["info"].strip():
            yield opening.end(), match.start()
            opening = None
    if opening is not None:
        yield opening.end(), len(answer)
