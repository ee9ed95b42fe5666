"""A piece of an answer as it would be written to a file, and what it says of itself.

Which piece is a file's code is chosen in ``code_blocks.py``. Letta's tool sandbox runs this module's source,
too (``backends/letta/tool_source.py``): import the standard library and modules of that text only.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from harness.agents.answer_blocks import DEFINITION, FILE_NAME, INVISIBLE, STATEMENT, Block, defines
from harness.agents.answer_words import label_of, matches, said_of
from harness.agents.python_text import Parser, module_of

PROMPTED = re.compile(r"(?:>>>|\.\.\.)(?: |$)(?P<rest>.*)")
NUMBERED = re.compile(r"[ \t]{0,8}(?P<number>\d{1,5})(?P<sign>[ \t]{0,4}[|\u2502:.)])?(?P<rest>.*)")
NO_CODE = re.compile(  # `python`, `**add.py**:`, `=== add.py ===`, `%%writefile add.py`
    r"(?:python3?|py|(?:[*`=-]{0,10} ?|%%(?:write)?file +)(?P<name>[\w./\\-]{0,200}\w\.py)[ *`:=-]{0,10})",
    re.IGNORECASE,
)
MARK = re.compile(r"\[/?[A-Z]{2,20}\]|\{code(?::[^{}]{0,60})?\}")  # `[BEGIN]`, `[DONE]`; `{code:python}`
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
IMPORT = (ast.Import, ast.ImportFrom)
ASSIGNMENT = (ast.Assign, ast.AnnAssign, ast.AugAssign)


@dataclass(frozen=True)
class Piece:
    """A block as it would be written.

    ``label``: the file that it is said to be, as far as that is plain. ``is_bare``: False if prompts, the
    numbers of lines or sentences were taken away. ``is_variant``: True if one before it has a function with
    the same arguments and the beginning of its name: ``add`` and ``add_with_operator``.
    """

    block: Block
    code: str
    tree: ast.Module | None
    label: str
    is_bare: bool = True
    is_variant: bool = False

    @classmethod
    def of(cls, block: Block, parser: Parser) -> Self:
        """Read a block: what is no line of its file falls away, where only the rest is Python."""
        code, label = _without_marks(block.code.lstrip("\n" + INVISIBLE)), ""
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
            or label_of(code, block.before, block.title)
        )
        return cls(block, code, tree, label, is_bare=bare is None)

    @property
    def body(self) -> list[ast.stmt]:
        """The statements at its top; none if it is no Python."""
        return self.tree.body if self.tree else []

    @cached_property
    def imports(self) -> set[str]:
        """The modules that are imported at its top, and what may be modules of a package."""
        modules: set[str] = set()
        for node in self.body:
            if isinstance(node, ast.Import):
                modules |= {each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
        return modules

    @cached_property
    def binds(self) -> set[str]:
        """The names that its top gives a value to; none if it does more, and so is no part of a file."""
        imported = bound_names([node for node in self.body if isinstance(node, IMPORT)], frozenset()) or set()
        return bound_names([node for node in self.body if not _is_guard(node)], imported) or set()

    @cached_property
    def calls(self) -> set[str]:
        """The names that its top calls for the value of another."""
        values = (node for each in self.body if isinstance(each, ASSIGNMENT) for node in ast.walk(each))
        return {_root(node) for node in values if isinstance(node, ast.Call)}

    @cached_property
    def is_guard(self) -> bool:
        """Whether it only starts the file as a program, and is no demonstration that prints."""
        rest = [node for node in self.body if not isinstance(node, IMPORT)]
        return len(rest) == 1 and _is_guard(rest[0]) and ("print" not in self.uses or "sys" in self.uses)

    @cached_property
    def place(self) -> int:
        """Where it belongs in its file: imports come first, and last what starts a program."""
        return any(map(_is_guard, self.body)) - all(isinstance(node, IMPORT) for node in self.body)

    @cached_property
    def goes_on(self) -> bool:
        """Whether it defines something to be used: a demonstration takes no arguments, or asserts."""
        top = [node for node in self.body if isinstance(node, DEFINITION)]
        asserts = any(isinstance(node, ast.Assert) for each in top for node in ast.walk(each))
        of_program = not {"sys", "argparse"}.isdisjoint(self.uses | self.imports)
        return not asserts and any(
            isinstance(node, ast.ClassDef)
            or node.args.args
            or node.args.kwonlyargs
            or node.args.vararg
            or of_program
            for node in top
        )

    def imports_part(self, name: str) -> bool:
        """Return True if it imports a module of this name, from wherever."""
        return any(name in each.split(".") for each in self.imports)

    @cached_property
    def foreign(self) -> set[str]:
        """The packages that it imports, but for Python's own and those around it."""
        names = {each.name for node in self.body if isinstance(node, ast.Import) for each in node.names}
        names |= {
            node.module or "" for node in self.body if isinstance(node, ast.ImportFrom) and not node.level
        }
        return {name.partition(".")[0] for name in names} - sys.stdlib_module_names

    @cached_property
    def is_introduced(self) -> bool:
        """Whether the words before it name what it defines."""
        words = re.findall(r"\w+", f"{self.block.before[:300]} {self.block.title[:300]}")
        return not self.units.keys().isdisjoint(words)

    @cached_property
    def inside(self) -> set[str]:
        """The names of all that is defined in it, at any depth."""
        nodes = ast.walk(self.tree) if self.tree else ()
        return {node.name for node in nodes if isinstance(node, DEFINITION)}

    @cached_property
    def has_tests(self) -> bool:
        """Whether its top defines what pytest collects as tests."""
        return any(
            _is_test(node.name) or (isinstance(node, ast.ClassDef) and any(map(_is_case, node.bases)))
            for node in self.body
            if isinstance(node, DEFINITION)
        )

    @cached_property
    def has_fixtures(self) -> bool:
        """Whether its top defines what pytest gives to tests."""
        return any(
            "fixture" in ast.dump(e) for node in self.body for e in getattr(node, "decorator_list", ())
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
        for node in self.body:
            if isinstance(node, DEFINITION):
                names.add(node.name)
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
                names |= {each.id for each in node.targets if isinstance(each, ast.Name)}
        return names if tests else {name for name in names if not _is_test(name)}

    def public(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the public names at its top and in its classes, and those whose body does something."""
        names: set[str] = set()
        solid: set[str] = set()
        for node in self.body:
            inside = node.body if isinstance(node, ast.ClassDef) else ()
            prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
            for each, name in [(node, ""), *((member, prefix) for member in inside)]:
                if isinstance(each, DEFINITION) and not each.name.startswith("_"):
                    names.add(name + each.name)
                    if not is_empty(each):
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

    @cached_property
    def said(self) -> str:
        """What its first comment, or the words before it, say of it (``said_of``)."""
        comment = self.code[:300].partition("\n")[0] if self.code.startswith("# ") else ""
        return said_of(comment, self.block.before, self.block.title)

    @property
    def is_aside(self) -> bool:
        """Whether it is said to be old, wrong, another choice (its name may say so, too) or an example."""
        return self.is_variant or self.said == "aside"

    @cached_property
    def is_methods(self) -> bool:
        """Whether all that it defines are methods without their class."""
        top = [node for node in self.body if isinstance(node, DEFINITION)]
        return bool(self.binds) and bool(top) and all(map(_is_method, top))

    @cached_property
    def units(self) -> dict[str, Definition]:
        """The definitions at its top and in its classes by their names: ``Stack``, ``Stack.pop``."""
        top = [node for node in self.body if isinstance(node, DEFINITION)]
        found = {_name(node): node for node in top}
        for node in top:
            if isinstance(node, ast.ClassDef):
                found |= {f"{node.name}.{_name(e)}": e for e in node.body if isinstance(e, DEFINITION)}
        return found

    @cached_property
    def needs_first(self) -> set[str]:
        """The names that it reads when it is imported: in decorators, bases, annotations and values."""
        names: set[str] = set()
        nodes: list[ast.AST] = [self.tree] if self.tree else []
        while nodes:
            node = nodes.pop()
            if isinstance(node, ast.Name):
                names.add(node.id)
            inside = set(node.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else ())
            nodes += [each for each in ast.iter_child_nodes(node) if each not in inside]
        return names


def with_variants(pieces: Iterable[Piece]) -> list[Piece]:
    """Mark the pieces that are variants of what stands before them, and are not introduced by their names."""
    marked = []
    known: dict[str, str] = {}  # the arguments of functions
    for piece in pieces:
        own = {
            name: "" if isinstance(node, ast.ClassDef) or _is_test(name) else ast.dump(node.args)
            for name, node in piece.units.items()
            if "." not in name
        }
        is_variant = bool(own) and all(
            any(
                own[name] and known.get(name[: match.start()]) == own[name]
                for match in re.finditer("_", name[:200])
                if name[: match.start()] not in piece.uses
            )
            for name in own
        )
        marked.append(replace(piece, is_variant=is_variant and not piece.is_introduced))
        known |= own
    return marked


def _without_marks(code: str) -> str:
    """Return code without the signs in lines of their own between which some models put it."""
    lines = code.rstrip().split("\n")
    begin = bool(MARK.fullmatch(lines[0].strip()))
    ends = (n for n in range(1 if begin else len(lines) - 1, len(lines)) if MARK.fullmatch(lines[n].strip()))
    end = next(ends, len(lines))
    return "\n".join(lines[begin:end]) if (begin or end < len(lines)) and len(lines) > 2 else code


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


def _is_test(name: str) -> bool:
    return name.lower().startswith("test")


def bound_names(body: Sequence[ast.stmt], imported: AbstractSet[str]) -> set[str] | None:
    """Return the names that statements give a value to, or None if they do more than set up a file."""
    names: set[str] = set()
    for node in body:
        if isinstance(node, DEFINITION):
            names.add(node.name)
        elif isinstance(node, IMPORT):
            names |= {each.asname or each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ASSIGNMENT):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            inside = (each for target in targets for each in ast.walk(target))
            names |= {
                each.id for each in inside if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
            }
        elif isinstance(node, ast.Try | ast.If):
            tried = node if isinstance(node, ast.Try) else ast.Try([], [], [], [])
            handled = [each for handler in tried.handlers for each in handler.body]
            inner = bound_names([*node.body, *handled, *node.orelse, *tried.finalbody], imported)
            if inner is None:
                return None
            names |= inner
        elif not isinstance(node, ast.Pass | ast.Raise) and not (
            isinstance(node, ast.Expr)  # `logging.basicConfig()` of what it imports
            and (isinstance(node.value, ast.Constant) or _root(node.value) in imported)
        ):
            return None
    return names


def _root(node: ast.AST) -> str:
    """Return the name with which an expression begins: ``logging.getLogger(...)`` -> ``logging``."""
    while isinstance(node, ast.Call | ast.Attribute):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.dump(node.test)


def _is_method(node: Definition) -> bool:
    if isinstance(node, ast.ClassDef):
        return False
    given = [each.arg for each in (*node.args.posonlyargs, *node.args.args)[:1]]
    return given in (["self"], ["cls"]) or "staticmethod" in map(_root, node.decorator_list)


def _name(node: Definition) -> str:
    """Return a name that tells a property from what sets it: ``total``, ``total:setter``."""
    kinds = (each.attr for each in node.decorator_list if isinstance(each, ast.Attribute))
    kind = next((each for each in kinds if each in ("getter", "setter", "deleter")), "")
    return f"{node.name}:{kind}" if kind else node.name


def _is_case(base: ast.expr) -> bool:
    """Return True for a base class of tests in unittest's style."""
    name = base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""
    return name.endswith("TestCase")


def is_empty(node: Definition) -> bool:
    """Return True for a definition that is left to be written, as its docstring or an error may say."""
    return all(
        isinstance(each, ast.Pass)
        or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        or (isinstance(each, ast.Raise) and "NotImplementedError" in ast.dump(each))
        for each in node.body
    )
