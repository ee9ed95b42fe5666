"""Read what the words before a block say of it: which file it is, and whether it is meant to be saved.

Letta's tool sandbox runs this module's source, too (``backends/letta/tool_source.py``): import the standard
library and modules of that text only.
"""

from __future__ import annotations

import re

LABEL_LINE = re.compile(  # `# File: src/add.py`, `**1. add.py**`, `# add.py - sums`
    r"(?:[\s#*`=>\"'(\[:\d.-]|\b(?:file|name|filename|path|step|contents? of)\b)*"
    r"(?P<name>[\w./\\-]*\w\.py)(?:[\s#*`=\"':)\]-]*|[*`]*\s*[:(\u2013\u2014-].*)",
    re.IGNORECASE,
)
INTRODUCED = re.compile(  # `Save this as add.py:`; not `Tests for add.py:`, `The file add.py can be used so:`
    r"\b(?:file|named|called|as|create|edit|update) [*`'\"]{0,4}([\w./\\-]*\w\.py)[*`'\"]{0,4}(?:[:,.]|$)",
    re.IGNORECASE,
)
# What a line or a heading says of the block behind it: that it is old, wrong, another choice, an example; or
# that it mends what was given before.
ASIDE = re.compile(
    r"\b(?:old|original|previous|earlier|prior|initial|existing|wrong|incorrect|broken|faulty|bad|slow(?:er)?)"
    r"\W+(?:\w+\W+){0,2}?(?:code|version|implementation|function|solution|approach|way|one|form)\b|"
    r"\b(?:another|different)\W+(?:\w+\W+)?(?:version|implementation|solution|approach|way|option)\b|"
    r"\b(?:solution|option|approach|version) (?:[2-9b-d]|two|three)\b|\bfirst (?:attempt|draft|version)\b|"
    r"\b(?:na[i\u00ef]ve|brute.force|buggy|legacy|deprecated|anti.?pattern|pitfall|counter.?example)s?\b|"
    r"\b(?:alternat(?:e|ive)|variant)(?:s|ly)?\b|\bequivalent(?:ly)?\b|\boptionally\b|\(optional\)|"
    r"^(?:bonus|optional)\b|^(?:before|previously|wrong|incorrect|bad|old|original)\W*(?:\(.*)?$|"
    r"\b(?:be|is|was) (?:wrong|incorrect|broken|faulty)\b|\b(?:would|this) (?:break|fail|lose)s?\b|"
    r"\b(?:bug|mistake|problem) (?:was|is)\b|\b(?:bug|mistake)s?\W*$|\bas it was\b|\byou (?:had|sent)\b|"
    r"^instead of\b|\bnot to (?:do|write)\b|^(?:\w+ )?usage\b|\bexamples?\W*$|"
    r"\bfor (?:reference|comparison|example|instance)\b",
    re.IGNORECASE,
)
ALWAYS_ASIDE = re.compile(  # even if it says `better` or `new`
    r"^(?:\w+: )?(?:don.t|do not|never|avoid|why not|(?-i:[Oo]r)|alternatively)\b|"
    r"\bif you(?:.d| would)? (?:\w+ )?(?:want|need|prefer|like|wish)\b|\bshould(?: not|n.t| never)\b|"
    r"\byou (?:can|could|may|might) (?:also|prefer|want)\b|\bcould (?:also|even)\b|"
    r"\bbefore (?:the |this |my )?(?:fix|change|correction|update)",
    re.IGNORECASE,
)
MEND = re.compile(
    r"\b(?:fix(?:ed|es)?|correct(?:ed|ion|s)|(?<!not )(?<!n't )correct|updated?|revised|improved|better|best|"
    r"final|new|recommended|replace|change|should|must be|actually|oops|sorry|wait|instead(?! of))\b|"
    r"^\W*(?:with|to|by)(?: this)?\W*$",  # the second half of `Replace`
    re.IGNORECASE,
)
CONTRASTED = re.compile(  # `Use this instead of the old code:`, `Instead of the old code, use this:`
    r"(?:(?<=\w )(?:instead of|rather than|unlike)|^(?:instead of|rather than|unlike)(?=[^,:]{0,200},))\b"
    r"[^,:]{0,200}",
    re.IGNORECASE,
)


def label_of(code: str, before: str, title: str) -> str:
    """Return the file that code's first comments, the line before it or its title name, and nothing else."""
    first = code[:1000].split("\n")[:4]
    heads = [line for line in first if line.startswith(("#", '"""', "'''"))]
    if first[0] in ('"""', "'''"):
        heads = first[1:2]
    names = _named(*heads, before) + INTRODUCED.findall(before[:300]) + _named(title)
    return next(iter(names), "")


def _named(*lines: str) -> list[str]:
    return [match["name"] for line in lines if (match := LABEL_LINE.fullmatch(line[:200].strip()))]


def matches(name: str, path: str) -> int:
    """Compare a file name of an answer with a path: 2 the same, 1 the same but for folders, 0 another."""
    name = name.replace("\\", "/").removeprefix("./")
    if name == path:
        return 2
    return int(bool(name) and (name.endswith(f"/{path}") or path.endswith(f"/{name}")))


def said_of(*lines: str) -> str:
    """Return what the first of some lines that says anything says of a block: ``aside``, ``mend`` or nothing.

    Where several sentences stand in the line, the last one speaks of the block; a mend may be any one's.
    """
    for line in lines:
        text = re.sub(r"<[^<>]{0,200}>", "", line[-300:]).strip()
        last = CONTRASTED.sub("", re.sub(r"^[\W_]+", "", re.split(r"[a-z`)][.!?]\s", text)[-1]))
        if ALWAYS_ASIDE.search(last) or (ASIDE.search(last) and not MEND.search(last)):
            return "aside"
        if MEND.search(text):
            return "mend"
    return ""
