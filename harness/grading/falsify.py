"""Change expected values, so that nothing but the right answer tells the old from the new.

A value is changed in a way that could as well have led from the new to the old one: numbers by an exclusive
or, rows of a table by an exchange. What is smaller, more frequent or first says nothing then. That a text
has a misspelt word, or that a sum is odd, still does to code that understands it.
"""

from __future__ import annotations

import ast
import builtins
import copy
import random
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

# No task asks for these, and no sensible class derives from one of them and from what a task asks for.
OBSCURE = ("ReferenceError", "StopAsyncIteration")
KINDS = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")


class Falsifier:
    """Changes values; ``rng`` decides how."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def column(self, values: Sequence[ast.expr]) -> list[ast.expr]:
        """Return another value for each: mostly that of another one, which gets this one's in exchange."""
        meanings = [_meaning(each) for each in values]
        if all(_is_int(each) for each in values):
            return [self.falsified(each) for each in values]
        changed: list[ast.expr | None] = [None] * len(values)
        left = self.rng.sample(range(len(values)), len(values))
        while left:
            counts = Counter(meanings[at] for at in left)
            left.sort(key=lambda at: counts[meanings[at]])
            one = left.pop()
            other = next((at for at in reversed(left) if meanings[at] != meanings[one]), None)
            if other is None:
                known = dict(zip(meanings, values, strict=True))
                known.pop(meanings[one])
                chosen = known[self.rng.choice(sorted(known))] if known else self.falsified(values[one])
                changed[one] = chosen
            else:
                left.remove(other)
                changed[one], changed[other] = values[other], values[one]
        return [each for each in changed if each is not None]

    def falsified(self, value: ast.expr) -> ast.expr:
        """Return a copy of an expression that differs in one constant."""
        changed = copy.deepcopy(value)
        if _is_int(changed):
            return ast.parse(repr(self.constant(ast.literal_eval(changed))), mode="eval").body
        constants = [node for node in walk_values(changed) if isinstance(node, ast.Constant)]
        if constants:
            node = self.rng.choice(constants)
            node.value = self.constant(node.value)
        elif isinstance(changed, ast.Dict):
            changed.keys.append(ast.Constant(0))
            changed.values.append(ast.Constant(0))
        elif isinstance(changed, ast.List | ast.Tuple | ast.Set):
            changed.elts.append(ast.Constant(0))
        elif isinstance(changed, ast.Name):  # an exception class
            return self.exception(value) or value
        return changed

    def far(self, value: ast.Constant) -> ast.expr:
        """Return a number of the same size, which no usual tolerance reaches; of what is none, another value.

        The other one can lead back to this one: both lie in one decade, or below 1, and are a turn apart.
        """
        if isinstance(value.value, bool) or not isinstance(value.value, int | float):
            return self.falsified(value)
        number = Decimal(repr(value.value))
        if number == 0 or not number.is_finite():
            return self.falsified(value)
        if abs(number) < 1:
            moved = (abs(number) + Decimal("0.5")) % 1
        else:
            size = Decimal(10) ** number.adjusted()
            moved = size + (abs(number) - size + size * self.rng.choice([3, 6])) % (9 * size)
        return ast.parse(repr(type(value.value)(moved.copy_sign(number))), mode="eval").body

    def exception(self, expected: ast.expr) -> ast.expr | None:
        """Return a class of exceptions that is related to none of those expected; None if there is none."""
        classes = [_builtin(each) for each in ast.walk(expected)]
        names = [
            name
            for name in OBSCURE
            if not any(issubclass(getattr(builtins, name), known) for known in classes if known)
            and not any(issubclass(known, getattr(builtins, name)) for known in classes if known)
        ]
        return ast.Name(self.rng.choice(names)) if names else None

    def exceptions(self, values: Sequence[ast.expr]) -> list[ast.expr]:
        """Return another class for each: that of another row where none may derive from another.

        What a class of the task's own derives from, whoever writes the code decides.
        """
        known = [_builtin(each) for each in values]
        related = any(
            one is None or other is None or (one is not other and issubclass(one, other))
            for one in known
            for other in known
        )
        return [self.exception(each) or each for each in values] if related else self.column(values)

    def all_falsified(self, value: ast.expr) -> ast.expr:
        """Return a container of constants none of which is in the given one."""
        changed = copy.deepcopy(value)
        taken = {repr(node.value) for node in ast.walk(value) if isinstance(node, ast.Constant)}
        for node in ast.walk(changed):
            if isinstance(node, ast.Constant):
                for _ in range(100):
                    if repr(node.value) not in taken:
                        break
                    node.value = self.constant(node.value)
        return changed

    def constant(self, value: object) -> int | float | str | bytes | bool:
        """Return another value of the same kind."""
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            bits = self.rng.choice([1, 2, 3])
            return value ^ bits if value >= 0 else ~(~value ^ bits)
        if isinstance(value, float):
            return value + self.rng.choice([0.5, 1.0, 1.5, -0.5, -1.0, -1.5])
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            return self.text(value.decode("latin-1")).encode("latin-1")
        return 0

    def text(self, value: str) -> str:
        """Return a text that differs in one letter or digit."""
        places = [at for at, letter in enumerate(value) if letter.isascii() and letter.isalnum()]
        if not places:
            return value + self.rng.choice("aeiou")
        at = self.rng.choice(places)
        kind = next(each for each in KINDS if value[at] in each)
        return value[:at] + self.rng.choice([each for each in kind if each != value[at]]) + value[at + 1 :]


def walk_values(node: ast.expr) -> list[ast.AST]:
    """Return the nodes of an expression whose constants are values: no parts of f-strings, no tolerances."""
    below: list[ast.AST] = [node]
    found = []
    while below:
        each = below.pop(0)
        found.append(each)
        if isinstance(each, ast.Call) and getattr(each.func, "attr", "") == "approx":
            below = [*each.args[:1], *below]
        elif not isinstance(each, ast.JoinedStr | ast.Lambda):
            below = [*ast.iter_child_nodes(each), *below]
    return found


def _builtin(node: ast.AST) -> type[BaseException] | None:
    """Return the exception of Python's own that an expression names."""
    found = getattr(builtins, node.id, None) if isinstance(node, ast.Name) else None
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def _is_int(node: ast.expr) -> bool:
    try:
        return type(ast.literal_eval(node)) is int
    except (ValueError, TypeError):
        return False


def _meaning(node: ast.expr) -> str:
    """Return a text that is equal for equal literals."""
    try:
        return repr(ast.literal_eval(node))
    except ValueError:
        return ast.dump(node)
