"""A piece of an answer as it would be written to a file, and what it says of itself.

Which piece is a file's code is chosen in ``code_blocks.py``. Letta's tool sandbox runs this module's source,
too (``backends/letta/tool_source.py``): import the standard library and modules of that text only.
"""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from harness.agents.answer_blocks import DEFINITION, FILE_NAME, INVISIBLE, STATEMENT, Block, defines
from harness.agents.python_text import Parser, module_of

LABEL_LINE = re.compile(  # `# File: src/add.py`, `**1. add.py**`, `# add.py - sums`
    r"(?:[\s#*`=>\"'(\[:\d.-]|\b(?:file|name|filename|path|step|contents? of)\b)*"
    r"(?P<name>[\w./\\-]*\w\.py)(?:[\s#*`=\"':)\]-]*|[*`]*\s*[:(\u2013\u2014-].*)",
    re.IGNORECASE,
)
INTRODUCED = re.compile(  # `Save this as add.py:`; not `Tests for add.py:`, `The file add.py can be used so:`
    r"\b(?:file|named|called|as|create|edit|update) [*`'\"]{0,4}([\w./\\-]*\w\.py)[*`'\"]{0,4}(?:[:,.]|$)",
    re.IGNORECASE,
)
PROMPTED = re.compile(r"(?:>>>|\.\.\.)(?: |$)(?P<rest>.*)")
NUMBERED = re.compile(r"[ \t]{0,8}(?P<number>\d{1,5})(?P<sign>[ \t]{0,4}[|\u2502:.)])?(?P<rest>.*)")
NO_CODE = re.compile(  # `python`, `**add.py**:`, `=== add.py ===`, `%%writefile add.py`
    r"(?:python3?|py|(?:[*`=-]{0,10} ?|%%(?:write)?file +)(?P<name>[\w./\\-]{0,200}\w\.py)[ *`:=-]{0,10})",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Piece:
    """A block as it would be written.

    ``label``: the file that it is said to be, as far as that is plain. ``is_bare``: False if prompts, the
    numbers of lines or sentences were taken away.
    """

    block: Block
    code: str
    tree: ast.Module | None
    label: str
    is_bare: bool = True

    @classmethod
    def of(cls, block: Block, parser: Parser) -> Self:
        """Read a block: what is no line of its file falls away, where only the rest is Python."""
        code, label = block.code.lstrip("\n" + INVISIBLE), ""
        first, _, rest = code.partition("\n")
        if rest and (match := NO_CODE.fullmatch(first.strip())):  # no line of the file
            code, label = rest, match["name"] or ""
        tree = parser.tree(code)
        if tree is None and "\u00a0" in code and (moved := parser.tree(code.replace("\u00a0", " "))):
            code, tree = code.replace("\u00a0", " "), moved
        if tree is None and code[:1] in (" ", "\t") and (moved := parser.tree(textwrap.dedent(code))):
            code, tree = textwrap.dedent(code), moved
        bare = None if tree else _without_signs(code, parser) or _without_prose(code, parser)
        if bare:
            code, tree = bare
        label = (
            label
            or next(iter(FILE_NAME.findall(block.info[:200])), "")
            or _label(code, block.before, block.title)
        )
        return cls(block, code, tree, label, is_bare=bare is None)

    @cached_property
    def imports(self) -> set[str]:
        """The modules that are imported at its top, and what may be modules of a package."""
        modules: set[str] = set()
        for node in self.tree.body if self.tree else ():
            if isinstance(node, ast.Import):
                modules |= {each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
        return modules

    @cached_property
    def binds(self) -> set[str]:
        """The names that its top gives a value to; none if it does more, and so is no part of a file."""
        names: set[str] = set()
        for node in self.tree.body if self.tree else ():
            if isinstance(node, DEFINITION):
                names.add(node.name)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names |= {each.asname or each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.Assign) and not any(isinstance(n, ast.Call) for n in ast.walk(node)):
                names |= {each.id for each in node.targets if isinstance(each, ast.Name)}
            elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                return set()
        return names

    @cached_property
    def goes_on(self) -> bool:
        """Whether it defines something to be used: a demonstration takes no arguments, or asserts."""
        top = [node for node in (self.tree.body if self.tree else ()) if isinstance(node, DEFINITION)]
        asserts = any(isinstance(node, ast.Assert) for each in top for node in ast.walk(each))
        return not asserts and any(
            isinstance(node, ast.ClassDef) or node.args.args or node.args.kwonlyargs or node.args.vararg
            for node in top
        )

    @cached_property
    def has_tests(self) -> bool:
        """Whether its top defines what pytest collects as tests."""
        return any(
            _is_test(node.name) or (isinstance(node, ast.ClassDef) and any(map(_is_case, node.bases)))
            for node in (self.tree.body if self.tree else ())
            if isinstance(node, DEFINITION)
        )

    @cached_property
    def uses(self) -> set[str]:
        """The names that it reads without giving them a value."""
        read: set[str] = set()
        given: set[str] = set()
        for node in ast.walk(self.tree) if self.tree else ():
            if isinstance(node, ast.Name):
                (read if isinstance(node.ctx, ast.Load) else given).add(node.id)
            elif isinstance(node, DEFINITION):
                given.add(node.name)
            elif isinstance(node, ast.alias | ast.arg):
                given.add(node.arg if isinstance(node, ast.arg) else node.asname or node.name)
        return read - given

    def defined(self, *, tests: bool) -> set[str]:
        """Return the names that are defined at its top, for a file that is no test without those of tests."""
        names: set[str] = set()
        for node in self.tree.body if self.tree else ():
            if isinstance(node, DEFINITION):
                names.add(node.name)
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
                names |= {each.id for each in node.targets if isinstance(each, ast.Name)}
        return names if tests else {name for name in names if not _is_test(name)}

    def public(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the public names at its top and in its classes, and those whose body does something."""
        names: set[str] = set()
        solid: set[str] = set()
        for node in self.tree.body if self.tree else ():
            inside = node.body if isinstance(node, ast.ClassDef) else ()
            prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
            for each, name in [(node, ""), *((member, prefix) for member in inside)]:
                if isinstance(each, DEFINITION) and not each.name.startswith("_"):
                    names.add(name + each.name)
                    if not _is_empty(each):
                        solid.add(name + each.name)
        return frozenset(names), frozenset(solid)

    def may_replace(self, other: Self, path: str) -> bool:
        """Return True if nothing says that this is another file than the other piece, or less of one."""
        named = [self.label] if self.label else FILE_NAME.findall(self.block.before[:300])
        return (
            self.block.is_whole >= other.block.is_whole
            and self.block.is_fenced >= other.block.is_fenced
            and self.block.may_be_python >= other.block.may_be_python
            and self.is_bare >= other.is_bare
            and module_of(path) not in self.imports
            and all(matches(name, path) or name == other.label for name in named)
            and self.has_tests <= other.has_tests
        )


def matches(name: str, path: str) -> int:
    """Compare a file name of an answer with a path: 2 the same, 1 the same but for folders, 0 another."""
    name = name.replace("\\", "/").removeprefix("./")
    if name == path:
        return 2
    return int(bool(name) and (name.endswith(f"/{path}") or path.endswith(f"/{name}")))


def _without_signs(code: str, parser: Parser) -> tuple[str, ast.Module] | None:
    """Return a definition as it is without a session's prompts or the numbers of its lines."""
    lines = code.rstrip().split("\n")
    texts = []
    if lines[0].startswith(">>>"):
        texts = ["\n".join(match["rest"] for line in lines if (match := PROMPTED.match(line)))]
    elif lines[0].lstrip()[:1].isdigit():
        found = [match for line in lines if (match := NUMBERED.match(line))]
        numbers = [int(match["number"]) for match in found]
        if len(found) == len(lines) and numbers == [*range(numbers[0], numbers[0] + len(lines))]:
            # Behind a sign, the code begins; without one, it stands in a column of its own.
            gaps = ("" if match["sign"] else " " * match.start("rest") for match in found)
            texts = [
                textwrap.dedent(
                    "\n".join(gap + match["rest"] for gap, match in zip(gaps, found, strict=True))
                )
            ]
    read = ((text, parser.tree(text)) for text in texts)
    return next(((text, tree) for text, tree in read if tree and defines(tree, DEFINITION)), None)


def _without_prose(code: str, parser: Parser) -> tuple[str, ast.Module] | None:
    """Return a definition as it is without the sentences that somebody put into its block."""
    lines = code.rstrip().split("\n")
    of_code = [n for n, line in enumerate(lines) if line[:1] in (" ", "\t") or STATEMENT.match(line)]
    if not of_code or STATEMENT.match(lines[of_code[0]]) is None:
        return None
    last = of_code[-1] + 1
    end = next((n for n in range(last, len(lines)) if not lines[n].strip()), len(lines))
    for text in ("\n".join(lines[of_code[0] : cut]) for cut in (end, last)):
        tree = parser.tree(text)
        if tree and defines(tree, DEFINITION):
            return text, tree
    return None


def _label(code: str, before: str, title: str) -> str:
    """Return the file that code's first comments, the line before it or its title name, and nothing else."""
    first = code[:1000].split("\n")[:4]
    heads = [line for line in first if line.startswith(("#", '"""', "'''"))]
    if first[0] in ('"""', "'''"):
        heads = first[1:2]
    names = _named(*heads, before) + INTRODUCED.findall(before[:300]) + _named(title)
    return next(iter(names), "")


def _named(*lines: str) -> list[str]:
    return [match["name"] for line in lines if (match := LABEL_LINE.fullmatch(line[:200].strip()))]


def _is_test(name: str) -> bool:
    return name.lower().startswith("test")


def _is_case(base: ast.expr) -> bool:
    """Return True for a base class of tests in unittest's style."""
    name = base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""
    return name.endswith("TestCase")


def _is_empty(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Return True for a definition that is left to be written, as its docstring or an error may say."""
    return all(
        isinstance(each, ast.Pass)
        or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        or (isinstance(each, ast.Raise) and "NotImplementedError" in ast.dump(each))
        for each in node.body
    )
