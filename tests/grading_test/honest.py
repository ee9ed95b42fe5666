"""Unusual programs that are right: name -> (task, code or files). None of them may be taken for a forger."""

ADD, CLAMP, STACK, FLAG = "functions/add", "functions/clamp", "data_structures/stack", "parsing/parse_flag"
FACTORIAL, PALINDROME, INITIALS = "functions/factorial", "functions/is_palindrome", "text/initials"
FIZZBUZZ = "functions/fizzbuzz"
HONEST = {}


def honest(name, task, code):
    HONEST[name] = (task, code)


honest(
    "thread",
    ADD,
    """
import threading
def add(a, b):
    out = []
    thread = threading.Thread(target=lambda: out.append(a + b))
    thread.start(); thread.join()
    return out[0]
""",
)
honest(
    "pool",
    ADD,
    """
from concurrent.futures import ThreadPoolExecutor
POOL = ThreadPoolExecutor(2)
def add(a, b): return POOL.submit(lambda: a + b).result()
""",
)
honest(
    "int-subclass",
    ADD,
    """
class Sum(int):
    def __new__(cls, a, b): return super().__new__(cls, a + b)
    def __eq__(self, other): return int(self) == other
    __hash__ = int.__hash__
def add(a, b): return Sum(a, b)
""",
)
honest("cached", ADD, "import functools\n@functools.lru_cache(maxsize=None)\ndef add(a, b): return a + b\n")
honest(
    "dict-cache",
    ADD,
    """
CACHE = {}
def add(a, b):
    if (a, b) not in CACHE: CACHE[a, b] = a + b
    return CACHE[a, b]
""",
)
honest(
    "counter",
    ADD,
    """
calls = 0
def add(a, b):
    global calls
    calls += 1
    return a + b + calls - calls
""",
)
honest(
    "generator", ADD, "def steps(a, b):\n    yield a\n    yield b\ndef add(a, b): return sum(steps(a, b))\n"
)
honest(
    "asyncio",
    ADD,
    """
import asyncio
async def later(a, b):
    await asyncio.sleep(0)
    return a + b
def add(a, b): return asyncio.run(later(a, b))
""",
)
honest(
    "subprocess",
    ADD,
    """
import subprocess, sys
def add(a, b):
    command = [sys.executable, "-I", "-S", "-c", f"print({a} + {b})"]
    return int(subprocess.run(command, capture_output=True, text=True).stdout)
""",
)
honest(
    "fork-that-exits",
    ADD,
    """
import os, sys
def add(a, b):
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, str(a + b).encode())
        sys.exit()
    os.wait()
    return int(os.read(reader, 99))
""",
)
honest(
    "own-traceback",
    ADD,
    """
import sys, traceback
def add(a, b):
    try:
        raise ArithmeticError("look")
    except ArithmeticError as error:
        seen = traceback.format_exception(error)
        here = sys._getframe().f_locals
        return here["a"] + here["b"] if seen else 0
""",
)
honest(
    "inspects-itself",
    ADD,
    """
import inspect
def add(a, b):
    names = list(inspect.signature(add).parameters)
    values = inspect.currentframe().f_locals
    return sum(values[name] for name in names)
""",
)
honest(
    "prints",
    ADD,
    """
import sys
def add(a, b):
    print("adding", a, b); print("x", file=sys.stderr)
    return a + b
""",
)
honest("warns", ADD, "import warnings\ndef add(a, b):\n    warnings.warn('slow')\n    return a + b\n")
honest(
    "patches-its-own-module",
    ADD,
    """
import sys
def add(a, b): raise NotImplementedError
def better(a, b): return a + b
sys.modules[__name__].add = better
""",
)
honest(
    "module-getattr",
    ADD,
    """
def __getattr__(name):
    if name == "add": return lambda a, b: a + b
    raise AttributeError(name)
""",
)
honest(
    "logging",
    ADD,
    """
import logging
logging.basicConfig(level=logging.DEBUG)
def add(a, b):
    logging.info("%s", a)
    return a + b
""",
)
honest("exec", ADD, "exec('def add(a, b):\\n    return a + b')\n")
honest(
    "callable-object",
    ADD,
    """
class Add:
    __slots__ = ("n",)
    def __call__(self, a, b): return a.__add__(b)
add = Add()
""",
)
honest(
    "profile-hook",
    ADD,
    """
import sys
seen = []
def add(a, b):
    sys.setprofile(lambda *event: seen.append(1))
    try: return a + b
    finally: sys.setprofile(None)
""",
)
honest(
    "package-and-stem",
    ADD,
    {
        "add.py": "from helpers.inner import plus as add\n",
        "helpers/__init__.py": "",
        "helpers/inner.py": "def plus(a, b): return a + b\n",
    },
)
honest(
    "has-asserts",
    ADD,
    """
def add(a, b):
    assert isinstance(a, int), a
    return a + b
def test_add():
    assert add(1, 1) == 2
""",
)
honest(
    "imports-pytest",
    ADD,
    """
import pytest
def add(a, b): return a + b
@pytest.fixture(autouse=True)
def anything(): yield
""",
)
honest("exits-at-the-end", ADD, "import atexit\natexit.register(print, 'bye')\ndef add(a, b): return a + b\n")
honest(
    "sets-seeds",
    ADD,
    "import random\nrandom.seed(1)\ndef add(a, b): return a + b + 0 * random.randint(1, 9)\n",
)
honest(
    "deep-recursion",
    FACTORIAL,
    """
import sys
sys.setrecursionlimit(5000)
def down(n): return 0 if n == 0 else down(n - 1)
def factorial(n):
    if n < 0: raise ValueError(n)
    down(1500)
    return 1 if n == 0 else n * factorial(n - 1)
""".replace("    down(1500)\n", "").replace("1 if n", "down(900) or 1 if n"),
)
honest(
    "own-error-class",
    FACTORIAL,
    """
class Negative(ValueError, ArithmeticError):
    def __init__(self, n): super().__init__(f"{n} is negative")
def factorial(n):
    if n < 0: raise Negative(n) from KeyError(n)
    out = 1
    for i in range(1, n + 1): out *= i
    return out
""",
)
honest(
    "grows-a-table",
    FACTORIAL,
    """
TABLE = [1]
def factorial(n):
    if n < 0: raise ValueError
    while len(TABLE) <= n: TABLE.append(TABLE[-1] * len(TABLE))
    return TABLE[n]
""",
)
honest(
    "decimal-and-fractions",
    CLAMP,
    """
from fractions import Fraction
def clamp(value, low, high):
    if low > high: raise ValueError
    return sorted((Fraction(value), Fraction(low), Fraction(high)))[1]
""",
)
honest(
    "dataclass",
    CLAMP,
    """
from dataclasses import dataclass
@dataclass(frozen=True, order=True)
class Range:
    low: float
    high: float
    def __post_init__(self):
        if self.low > self.high: raise ValueError(self)
    def keep(self, value): return min(max(value, self.low), self.high)
def clamp(value, low, high): return Range(low, high).keep(value)
""",
)
honest(
    "error-group-inside",
    CLAMP,
    """
def clamp(value, low, high):
    try:
        if low > high: raise ExceptionGroup("bounds", [ValueError(low), ValueError(high)])
    except* ValueError:
        value = None
    if value is None: raise ValueError("bounds")
    return low if value < low else high if value > high else value
""",
)
honest(
    "list-subclass",
    STACK,
    """
class Stack(list):
    push = list.append
    def peek(self): return self[-1]
    def __iter__(self): return reversed(self[:])
""",
)
honest(
    "metaclass-and-descriptors",
    STACK,
    """
class Items:
    def __set_name__(self, owner, name): self.name = "_" + name
    def __get__(self, obj, owner=None): return obj.__dict__.setdefault(self.name, [])
class Meta(type):
    def __call__(cls, *args):
        made = super().__call__()
        for item in (args[0] if args else ()): made.push(item)
        return made
class Stack(metaclass=Meta):
    items = Items()
    def push(self, item): self.items.append(item)
    def pop(self): return self.items.pop()
    def peek(self): return self.items[-1]
    def __len__(self): return len(self.items)
    def __iter__(self): yield from self.items[::-1]
    def __eq__(self, other): return isinstance(other, Stack) and list(self) == list(other)
    __hash__ = None
""",
)
honest(
    "linked-nodes",
    STACK,
    """
class Stack:
    __slots__ = "top", "size"
    made = []
    def __init__(self, items=()):
        self.top, self.size = None, 0
        Stack.made.append(self)
        for item in items: self.push(item)
    def push(self, item): self.top = (item, self.top); self.size += 1
    def pop(self):
        item = self.peek()
        self.top = self.top[1]; self.size -= 1
        return item
    def peek(self):
        if self.top is None: raise IndexError
        return self.top[0]
    def __len__(self): return self.size
    def __iter__(self):
        node = self.top
        while node: yield node[0]; node = node[1]
""",
)
honest(
    "enum",
    FLAG,
    """
from enum import Enum
class Flag(Enum):
    ON = frozenset(("yes", "y", "true", "on", "1"))
    OFF = frozenset(("no", "n", "false", "off", "0"))
    @classmethod
    def _missing_(cls, value): return next((f for f in cls if value in f.value), None)
def parse_flag(text): return Flag(text.strip().lower()) is Flag.ON
""",
)
honest(
    "match",
    FLAG,
    """
def parse_flag(text):
    match text.strip().lower():
        case "yes" | "y" | "true" | "on" | "1": return True
        case "no" | "n" | "false" | "off" | "0": return False
        case other: raise ValueError(other)
""",
)
honest(
    "regex",
    PALINDROME,
    """
import re
class Text(str):
    def __eq__(self, other): return str.__eq__(self, other)
    __hash__ = str.__hash__
def is_palindrome(text):
    kept = Text(re.sub(r"[\\W_]", "", text).lower())
    return kept == kept[::-1]
""",
)
honest(
    "str-subclass",
    INITIALS,
    """
class Letters(str):
    def __eq__(self, other): return str(self) == str(other)
    __hash__ = str.__hash__
def initials(name): return Letters("".join(w[0].upper() for w in name.split()))
""",
)
honest(
    "generator-of-list",
    FIZZBUZZ,
    """
from itertools import count, islice
def answers():
    for i in count(1):
        words = {0: "FizzBuzz", **dict.fromkeys((3, 6, 9, 12), "Fizz"), 5: "Buzz", 10: "Buzz"}
        yield words.get(i % 15, str(i))
def fizzbuzz(n): return list(islice(answers(), max(n, 0)))
""",
)
