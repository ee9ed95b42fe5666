"""Read what the words before a block say of it: which file it is, and whether it is meant to be saved.

Letta's tool sandbox runs this module's source, too (``backends/letta/tool_source.py``): import the standard
library and modules of that text only.
"""

from __future__ import annotations

import re
from functools import cache

LABEL_LINE = re.compile(  # `# File: src/add.py`, `**1. add.py**`, `# add.py - sums`
    r"(?:[\s#*`=>\"'(\[:\d.-]|\b(?:file|name|filename|path|step|contents? of)\b)*"
    r"(?P<name>[\w./\\-]*\w\.py)(?:[\s#*`=\"':)\]-]*|[*`]*\s*[:(\u2013\u2014-].*)",
    re.IGNORECASE,
)
INTRODUCED = re.compile(  # `Save this as add.py:`; not `Tests for add.py:`, `The file add.py can be used so:`
    r"\b(?:file|named|called|as|create|edit|update) [*`'\"]{0,4}([\w./\\-]*\w\.py)[*`'\"]{0,4}(?:[:,.]|$)",
    re.IGNORECASE,
)
CODE = r"(?:code|version|implementation|function|solution|approach|attempt|try|draft|way|one|form|option)\b"
WRONG = r"(?:wrong|incorrect|broken|faulty|buggy|bad|problematic)"
OLD = r"(?:old(?:er)?|original|previous|earlier|prior|existing)"
# What a line or a heading says of the block behind it, each with an example: that it is old, wrong, another
# choice or an example ...
ASIDE = (
    rf"\b(?:{WRONG}|failing|unfixed|initial|slow(?:er)?|(?:less |in)efficient)\W+(?:\w+\W+){{0,2}}?{CODE}",
    rf"(?<!(?:to|on|of) the )\b{OLD}\W+(?:\w+\W+){{0,2}}?{CODE}",  # not `Add this to the old code:`
    rf"\b(?:my|a) first {CODE}|\bfirst (?:attempt|try|draft)\b",
    rf"\b(?:another|different|extended|more general)\W+(?:\w+\W+)?{CODE}(?<!function)",  # `Another way is:`
    r"\b(?:solution|option|approach|version) (?:[2-9b-d]|two|three)\b",  # `**Solution 2 (without +)**`
    r"\b(?:na[i\u00ef]ve|brute.force|buggy|legacy|deprecated|pitfall|one.liner)s?\b",  # `Naive:`
    r"\b(?:anti.?pattern|counter.?example|variant|variation|alternat(?:iv)?e|equivalent)(?:s|ly)?\b",
    r"^(?:bonus|optional)\b|\(optional\)|\boptionally\b",
    rf"^(?:before|old|original|{WRONG})\W*(?:\(.*)?$|\bbefore\W*$",  # `**Before:**`
    rf"\b(?:this|that|it|which|line|following|would)(?: \w+)? (?:be|is|was) {WRONG}\b",  # `It was wrong:`
    rf"\b{CODE} (?:that|which) (?:fail|caus|broke|had)|\b(?:would|this) (?:break|fail|lose)s?\b",
    r"\bnot (?:to (?:do|write)|work|what)\b",  # `What not to do:`, `This does not work:`
    r"\b(?:bug|mistake|problem) (?:was|is)\b|\b(?:bug|mistake)s?\W*$",  # `The bug was here:`
    r"\bas it was\b|\b(?:you|I) (?:had|sent|gave|provided)\b|^previously\b",  # `What you had:`
    r"^instead of\b",  # `Instead of:`
    r"^(?:(?:example|sample|basic) )?usage\b\W*(?:$|example|in\b|with\b)|\bexamples?\W*$",  # `Example usage:`
    r"\bfor (?:reference|comparison|example|instance|illustration)\b",  # `For reference, the code was:`
)
# ... even if it says `better` or `new` ...
ALWAYS_ASIDE = (
    r"^(?:\w+:? )?(?:don.t|do not|never|avoid|why not|(?-i:[Oo]r)|alternatively)\b",  # `Don't do this:`
    r"\bif you(?:.d| would)? (?:\w+ )?(?:want|need|prefer|like|wish|have)\b|\bshould you\b",
    r"\bshould(?: not|n.t| never)\b|\b(?:you|one|we) (?:could|might|may)\b|\b(?:can|could) (?:also|even)\b",
    r"\b(?:before|without) (?:the |this |my )?(?:fix|change|correction|update)",
)
# ... or that it mends what was given before.
MEND = (
    r"\b(?:fix(?:ed|es)?|correct(?:ed|ion|s)|(?<!not )(?<!n't )correct)\b",
    r"\b(?:updated?|revised|amended|patch(?:ed)?)\b",
    r"\b(?:improved|better|best|final|new|recommended|is right|right (?:version|one|code|way))\b",
    r"\b(?:replace|change|rewrite|should|(?:must|needs? to) (?:be|return|read)|actually|oops|sorry|wait)\b",
    r"\b(?:optimal|optimi[sz]ed|preferred|recommend|improves?)\b",
    r"(?<!less )\befficient (?:version|solution|approach|implementation)\b(?! than)",
    r"\binstead(?! of)\b|^edit:|^\W*(?:with|to|by)(?: this)?\W*$",  # the second half of `Replace`
)
CONTRASTED = (  # `Use this instead of the old code:`, `Instead of the old code, use this:`
    r"(?<=\w )(?:instead of|rather than|unlike)\b[^,:]{0,200}",
    r"^(?:instead of|rather than|unlike)\b[^,:]{0,200}(?=,)",
    r"(?<=\w )(?:than|on|over|compared to) (?:the|my|our) (?:previous|first|earlier|prior)\b[^,:]{0,200}",
)
# Whatever else is said of it: `If you want to copy it, here is the complete file:`
WHOLE_FILE = (
    (
        r"\b(?:complete|full|whole|entire|final|corrected|fixed) "
        r"(?:(?:updated|working|source) )?(?:file|code|version)\b"
    ),
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
        whole = re.sub(r"^[\W_]+", "", re.split(r"[a-z`)][.!?]\s", text)[-1])
        last = _pattern(CONTRASTED).sub("", whole)
        mends = _pattern(MEND).search(last) is not None
        if _pattern(WHOLE_FILE).search(text):
            return "mend"
        if _pattern(ALWAYS_ASIDE).search(last) or (_pattern(ASIDE).search(last) and not mends):
            return "aside"
        if mends or last != whole or _pattern(MEND).search(text):
            return "mend"
    return ""


@cache
def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(phrases), re.IGNORECASE)
