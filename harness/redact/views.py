"""Read a text in the ways in which a secret can be written into it, and find the way back to the text.

Escapes of JSON, Python, HTML, URLs and terminals are undone, four layers deep; line ends that split a word
are taken out; and ``squeezed`` keeps letters and digits alone, so that blanks, quotes, colons and wrapped
lines hide nothing. All of it takes time in proportion to the text. Where each character came from is worked
out only for a view in which something was found.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from urllib.parse import unquote

LAYERS = 4
Spans = list[tuple[int, int]]  # for each character, from where to where it stood before
BACKSLASH = re.compile(
    r"\\(?:([nrtbf\"'`\\/\n])|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|U(00[0-9a-fA-F]{6})|x([0-9a-fA-F]{2})"
    r"|([0-3][0-7]{2}))"
)
PLAIN = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "\n": ""}
PERCENT = re.compile("%[0-9a-fA-F]{2}(?:%[0-9a-fA-F]{2})*+")
ENTITY = re.compile("&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8});")
TERMINAL = re.compile(r"\x1b(?:\[[0-9;:?]{0,40}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\))")
# Letters that stand for those of ASCII: full width, and styled as in mathematics.
STYLED = re.compile("[\uff01-\uff5e\U0001d400-\U0001d7ff]+")
# What is drawn or not seen between the letters of a wrapped word: blanks that do not break, soft hyphen,
# zero-width, direction, boxes.
UNSEEN = re.compile("[\u00a0\u00ad\u2000-\u200f\u2028-\u202f\u2060\u2066-\u2069\u2500-\u257f\ufeff]")
AROUND_LINES = " \t\r\"'`+\\,>#*|/"  # quotes and signs with which a text goes on in the next line
LOWER = bytes(range(256)).lower()
NO_WORD = bytes(code for code in range(128) if not chr(code).isalnum())


class View:
    """A text, and from where to where in the original each of its characters reaches."""

    def __init__(
        self, text: str, origin: View | None = None, trace: Callable[[], Spans] | None = None
    ) -> None:
        self.text = text
        self._origin = origin
        self._trace = trace

    @cached_property
    def _spans(self) -> Spans:
        return _through(self._origin, self._trace() if self._trace else [])

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where a part of this view stands in the original text."""
        if self._origin is None:
            return start, end
        return self._spans[start][0], self._spans[end - 1][1]

    @cached_property
    def squeezed(self) -> bytes:
        """The letters and digits of the text, in lower case, as UTF-8."""
        text = self.text if self.text.isascii() else UNSEEN.sub("", self.text)
        return text.encode("utf-8", "surrogatepass").translate(LOWER, NO_WORD)

    @cached_property
    def _squeezed_spans(self) -> Spans:
        kept = []
        for i, letter in enumerate(self.text):
            if letter.isascii():
                kept += [(i, i + 1)] * letter.isalnum()
            elif not UNSEEN.match(letter):
                kept += [(i, i + 1)] * len(letter.encode("utf-8", "surrogatepass"))
        return _through(self if self._origin else None, kept)

    def squeezed_span(self, start: int, end: int) -> tuple[int, int]:
        """Return where a part of ``squeezed`` stands in the original text."""
        return self._squeezed_spans[start][0], self._squeezed_spans[end - 1][1]

    @cached_property
    def joined(self) -> View:
        """The text with its lines joined, without what stands around wrapped lines."""
        lines = [line.strip(AROUND_LINES) for line in self.text.split("\n")]
        return View("".join(lines), self, partial(_kept_spans, self.text))


def views(text: str) -> Iterator[View]:
    """Yield the text, and the text with one more layer of escapes undone as long as there are some."""
    view = View(text)
    yield view
    for _ in range(LAYERS):
        before = view.text
        for sign, pattern, decode in CODES:
            if sign in view.text if sign else not view.text.isascii():
                plain = pattern.sub(decode, view.text)
                if plain != view.text:
                    view = View(plain, view, partial(_decoded_spans, view.text, pattern, decode))
        if view.text == before:
            return
        yield view


def _without_backslash(match: re.Match[str]) -> str:
    if plain := match[1]:
        return PLAIN.get(plain, plain)
    code = int(match[6], 8) if match[6] else int(match[2] or match[3] or match[4] or match[5], 16)
    return chr(code) if code < 0x110000 else match[0]


Decode = Callable[[re.Match[str]], str]
CODES: tuple[tuple[str, re.Pattern[str], Decode], ...] = (
    ("\\", BACKSLASH, _without_backslash),
    ("%", PERCENT, lambda match: unquote(match[0])),
    ("&", ENTITY, lambda match: html.unescape(match[0])),
    ("\x1b", TERMINAL, lambda _: ""),
    ("\x00", re.compile("\x00+"), lambda _: ""),  # of UTF-16 that was read as if it were ASCII
    ("", STYLED, lambda match: unicodedata.normalize("NFKC", match[0])),
)


def _decoded_spans(source: str, pattern: re.Pattern[str], decode: Decode) -> Spans:
    spans: Spans = []
    done = 0
    for match in pattern.finditer(source):
        spans += [(i, i + 1) for i in range(done, match.start())]
        spans += [match.span()] * len(decode(match))
        done = match.end()
    return [*spans, *((i, i + 1) for i in range(done, len(source)))]


def _kept_spans(source: str) -> Spans:
    """Return where the letters stand that ``joined`` keeps."""
    spans: Spans = []
    start = 0
    for line in source.split("\n"):
        bare = line.lstrip(AROUND_LINES)
        first = start + len(line) - len(bare)
        spans += [(i, i + 1) for i in range(first, first + len(bare.rstrip(AROUND_LINES)))]
        start += len(line) + 1
    return spans


def _through(origin: View | None, spans: Iterable[tuple[int, int]]) -> Spans:
    """Translate places in a view into places in the original text."""
    return list(spans) if origin is None else [origin.span(start, end) for start, end in spans]
