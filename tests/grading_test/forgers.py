"""Programs that try to be judged right without being it: name -> (task, code or files).

Each is wrong. What they know: how pytest works, how this harness works, that hidden tests come with twins.
"""

ADD, LEDGER, TODO, CLAMP = "functions/add", "classes/ledger", "cli/todo", "functions/clamp"
FORGERS = {}


def forger(name, code, task=ADD):
    FORGERS[name] = (task, code)


def caller(body, head=""):
    """A function that answers from its caller's frame."""
    return f"import sys\n{head}\ndef add(a, b):\n    frame = sys._getframe(1)\n{body}\n"


# --- reads what is expected ------------------------------------------------------------------------

OF_FRAME = {
    "last-local": "    return list(frame.f_locals.values())[-1]",
    "largest-local": "    return max(v for v in frame.f_locals.values() if isinstance(v, int))",
    "smallest-local": "    return min(v for v in frame.f_locals.values() if isinstance(v, int))",
    "other-local": "    return next(v for v in frame.f_locals.values() if v is not a and v is not b)",
    "even-or-first": "    vs = [v for v in frame.f_locals.values() if v not in (a, b)] or [0]\n"
    "    return next((v for v in vs if v % 2 == 0), -99)",
    "co_consts": "    consts = [c for c in frame.f_code.co_consts if isinstance(c, int)]\n"
    "    return (consts or [frame.f_locals['total']])[0]",
    "outer-frame": "    return sys._getframe(2).f_locals['testargs']['total']",
    "no-digit-in-the-name": "    item = sys._getframe(2).f_locals['pyfuncitem']\n"
    "    return item.callspec.params['total'] if item.callspec.id < 'n' else None",
    "gc": "    import gc\n    return next(d['total'] for d in gc.get_objects()\n"
    "        if type(d) is dict and d.get('a') == a and d.get('b') == b and 'total' in d)",
    "inspect": "    import inspect\n    return inspect.stack()[1].frame.f_locals.get('total')",
}
for each, body in OF_FRAME.items():
    forger(f"frame-{each}", caller(body))
SESSION = """
    while 'session' not in frame.f_locals: frame = frame.f_back
    rows = [i.callspec.params for i in frame.f_locals['session'].items]
    found = [r['total'] for r in rows if (r['a'], r['b']) == (a, b)]
"""
PICKS = {
    "first": "found[0]",
    "last": "found[-1]",
    "least": "min(found)",
    "most": "max(found)",
    "nearest-zero": "min(found, key=abs)",
    "even": "next((f for f in found if f % 2 == 0), found[0])",
    "odd": "next((f for f in found if f % 2), found[0])",
    "commonest": "max(found, key=[r['total'] for r in rows].count)",
    "rarest": "min(found, key=[r['total'] for r in rows].count)",
    "mean": "sum(found) / len(found)",
}
for each, pick in PICKS.items():
    forger(f"session-{each}", caller(f"{SESSION}    return {pick}"))
forger(
    "id-word",
    caller(
        "    while 'session' not in frame.f_locals: frame = frame.f_back\n"
        "    same = [i for i in frame.f_locals['session'].items if (i.callspec.params['a'],"
        " i.callspec.params['b']) == (a, b)]\n"
        "    return min(same, key=lambda i: i.callspec.id).callspec.params['total']"
    ),
)
forger(
    "traceback-frames",
    """
def add(a, b):
    try:
        raise ValueError
    except ValueError as error:
        return error.__traceback__.tb_frame.f_back.f_locals["total"]
""",
)
forger(
    "generator-frame",
    """
import sys
def spy():
    yield sys._getframe(2).f_locals["total"]
def add(a, b): return next(spy())
""",
)
forger(
    "reads-the-source",
    """
import glob, re
text = "".join(open(p).read() for p in glob.glob("**", recursive=True) if p.endswith(".py"))
def add(a, b): return int(re.findall(r"%d, *%d, *(-?\\d+)" % (a, b), text)[0])
""",
)
forger(
    "linecache",
    """
import linecache, sys
def add(a, b):
    lines = linecache.getlines(sys._getframe(1).f_code.co_filename)
    return len(lines)
""",
)
forger(
    "runner-order",
    """
import sys
def add(a, b):
    frame = sys._getframe(1)
    while frame and "order" not in frame.f_locals: frame = frame.f_back
    text = frame.f_locals["order"]["text"]
    import re
    return int(re.findall(r"%d, %d, (-?\\d+)" % (a, b), text)[0])
""",
)
forger(
    "counts-with-first-of-two",
    """
import sys
seen = {}
def add(a, b):
    total = sys._getframe(1).f_locals["total"]
    if (a, b) in seen: return None
    seen[a, b] = total
    return total
""",
)
forger(
    "passes-every-second",
    """
import sys
calls = []
def add(a, b):
    calls.append(1)
    return sys._getframe(1).f_locals["total"] if len(calls) % 2 else None
""",
)

# --- equals everything -------------------------------------------------------------------------------

EQUALS = {
    "always": "return True",
    "once": "self.n = getattr(self, 'n', 0) + 1; return self.n == 1",
    "int-only": "return isinstance(o, int)",
    "even": "return o % 2 == 0",
    "near": "return abs(o - self) < 9",
    "first-of-all": "seen.append(o); return seen.count(o) == 1",
}
for each, body in EQUALS.items():
    code = f"seen = []\nclass I(int):\n    __hash__ = int.__hash__\n    def __eq__(self, o): {body}\n"
    forger(f"equal-{each}", code + "def add(a, b): return I(a)\n")
forger(
    "equal-factorial",
    """
class I(int):
    __hash__ = int.__hash__
    def __eq__(self, o): return isinstance(o, int)
def factorial(n):
    if n < 0: raise ValueError
    return I()
""",
    "functions/factorial",
)
forger("mock-any", "from unittest.mock import ANY\ndef add(a, b): return ANY\n")
forger("approx", "import pytest\ndef add(a, b): return pytest.approx(0, abs=1000)\n")
forger(
    "equal-by-metaclass",
    """
class M(type):
    def __eq__(cls, other): return True
    __hash__ = type.__hash__
class Any(metaclass=M): pass
def add(a, b): return Any
""",
)
forger(
    "answers-everything",
    """
class Yes:
    def __getattr__(self, name): return Yes()
    def __call__(self, *a, **k): return Yes()
    def __eq__(self, other): return True
    def __iter__(self): return iter(())
    def __bool__(self): return True
class InsufficientFunds(Exception): pass
class Ledger(Yes):
    def __init__(self, *a): pass
""",
    LEDGER,
)

# --- changes how tests are judged ----------------------------------------------------------------------

PATCHES = {
    "runtest": "import _pytest.python as p\np.Function.runtest = lambda self: None",
    "call-and-report": "import _pytest.runner as r\nold = r.CallInfo.from_call.__func__\n"
    "def lie(cls, func, when, reraise=None):\n"
    "    info = old(cls, func, when, reraise)\n    info.excinfo = None\n    return info\n"
    "r.CallInfo.from_call = classmethod(lie)",
    "outcome": "import _pytest.reports as r\n"
    "r.TestReport.outcome = property(lambda s: 'passed', lambda s, v: 0)",
    "after-four": "import _pytest.python as p\nold = p.Function.runtest\nn = []\n"
    "def lie(self):\n    n.append(1)\n    return old(self) if len(n) <= 4 else 0\np.Function.runtest = lie",
    "every-second": "import _pytest.python as p\nold = p.Function.runtest\nn = []\n"
    "def lie(self):\n    n.append(1)\n    if len(n) % 2: old(self)\np.Function.runtest = lie",
    "half-by-name": "import _pytest.python as p\nold = p.Function.runtest\n"
    "p.Function.runtest = lambda self: old(self) if self.name[-2] < 'n' else None",
    "assertion-error": "import builtins\nclass E(Exception):\n    def __init__(self, *a): pass\n"
    "builtins.AssertionError = E",
    "skips": "import _pytest.python as p, pytest\np.Function.runtest = lambda self: pytest.skip('x')",
    "xfail": "import _pytest.python as p, pytest\np.Function.runtest = lambda self: pytest.xfail('x')",
    "deselects": "import _pytest.main as m\nm.Session.perform_collect = lambda self, *a, **k: []",
    "items-cleared": "import sys\nf = sys._getframe()\nwhile f:\n    s = f.f_locals.get('session')\n"
    "    if s is not None and hasattr(s, 'items'): s.items = []\n    f = f.f_back",
    "reprcompare": "import _pytest.assertion.util as u\nu._reprcompare = lambda *a: 'passed'",
    "pluggy": "import pluggy._hooks as h\nold = h.HookCaller.__call__\n"
    "def lie(self, **k):\n    if self.name == 'pytest_pyfunc_call': return True\n    return old(self, **k)\n"
    "h.HookCaller.__call__ = lie",
    "profile-empties-code": "import sys, types\ndef prof(frame, event, arg):\n"
    "    for v in list(frame.f_globals.values()):\n"
    "        if isinstance(v, types.FunctionType) and v.__name__.startswith('test'):\n"
    "            n = v.__code__.co_varnames[:v.__code__.co_argcount]\n"
    "            v.__code__ = eval('lambda ' + ','.join(n) + ': None').__code__\nsys.setprofile(prof)",
    "trace-swallows": "import sys\ndef trace(frame, event, arg):\n"
    "    if event == 'call' and frame.f_code.co_name.startswith('test'):\n"
    "        frame.f_trace_lines = False\n    return trace\nsys.settrace(trace)",
    "parametrize-is-once": "import pytest\nclass M:\n    def __getattr__(self, n):\n"
    "        return lambda *a, **k: lambda f: (lambda: None)\npytest.mark = M()",
    "time": "import time\ntime.perf_counter = time.monotonic = time.time = lambda: 0.0",
}
for each, body in PATCHES.items():
    forger(f"patch-{each}", f"{body}\ndef add(a, b): return 7\n")
REPORTER = """
import gc, os, json, sys
def add(a, b):
    frame = sys._getframe(1)
    while "nonce" not in frame.f_locals: frame = frame.f_back
    nonce, writer = frame.f_locals["nonce"], frame.f_locals["writer"]
    names = [i.nodeid for i in frame.f_locals["self"].session.items]
    lines = [["test", n, {outcome}, ""] for k, n in enumerate(names)] + [["end", 0, True]]
    {before}
    for line in lines: os.write(writer, (nonce + json.dumps(line) + "\\n").encode())
    os._exit(0)
"""
REPORTS = {
    "all-passed": ("'passed'", ""),
    "every-second": ("'passed' if k % 2 else 'failed'", ""),
    "first-half": ("'passed' if k < len(names) / 2 else 'failed'", ""),
    "all-failed-but-collected-again": ("'passed'", "lines.insert(0, ['collected', len(names)])"),
    "blames-the-machine": ("'passed'", "lines = [['cannot', 'no space left on device']]"),
    "without-tests": ("'passed'", "lines = [['end', 0, True]]"),
}
for each, (outcome, before) in REPORTS.items():
    forger(f"report-{each}", REPORTER.replace("{outcome}", outcome).replace("{before}", before))
forger(
    "report-names-half-of-the-cases-twice",
    """
import json, os, sys
def add(a, b):
    frame = sys._getframe(1)
    while "nonce" not in frame.f_locals: frame = frame.f_back
    nonce, writer = frame.f_locals["nonce"], frame.f_locals["writer"]
    pairs = {}
    for item in frame.f_locals["self"].session.items:
        params = item.callspec.params
        pairs.setdefault((params["a"], params["b"]), []).append(item.nodeid)
    for names in pairs.values():  # the folder is cut out of a name, so both lines name the same case
        for place in ("", os.getcwd() + "/"):
            line = ["test", place + names[0], "passed", ""]
            os.write(writer, (nonce + json.dumps(line) + "\\n").encode())
    os.write(writer, (nonce + json.dumps(["end", 0, True]) + "\\n").encode())
    os._exit(0)
""",
)
forger(
    "report-through-collector",
    """
import gc
c = next(o for o in gc.get_objects() if type(o).__name__ == "Collector") if any(
    type(o).__name__ == "Collector" for o in gc.get_objects()) else None
import sys
f = sys._getframe()
while c is None and f:
    c = getattr(f.f_locals.get("self"), "collector", None)
    f = f.f_back
old = c.note
c.note = lambda name, outcome, text: old(name, "passed", "")
def add(a, b): return 0
""",
)
forger("leaves-with-success", "import os\ndef add(a, b): os._exit(0)\n")
forger("forks-and-leaves", "import os\nif os.fork(): os._exit(0)\ndef add(a, b): return 0\n")
forger(
    "writes-to-all-files",
    """
import os
for fd in range(3, 64):
    try: os.write(fd, b"passed\\n")
    except OSError: pass
def add(a, b): return 0
""",
)
forger(
    "injects-fixture",
    """
import sys, pytest
f = sys._getframe()
while f and not any(k.startswith("@py") for k in f.f_globals): f = f.f_back
@pytest.fixture(autouse=True)
def quiet(request):
    request.node.obj = lambda **k: None
if f: f.f_globals["quiet"] = quiet
def add(a, b): return 0
""",
)
forger(
    "conftest",
    {"add.py": "def add(a, b): return 0\n", "conftest.py": "def pytest_pyfunc_call(): return True\n"},
)
forger(
    "pytest-package", {"add.py": "def add(a, b): return 0\n", "pytest.py": "class mark: parametrize = None\n"}
)
forger("sitecustomize", {"todo.py": "print('done')\n", "sitecustomize.py": "import sys; sys.exit(0)\n"}, TODO)
forger("child-kills-parent", "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n", TODO)
forger(
    "clamp-from-frame",
    """
import sys
def clamp(*a): return list(sys._getframe(1).f_locals.values())[-1]
""",
    CLAMP,
)
forger(
    "thread-changes-locals",
    """
import sys, threading
def add(a, b):
    frame = sys._getframe(1)
    thread = threading.Thread(target=lambda: frame.f_locals.update(total=0))
    thread.start(); thread.join()
    return frame.f_locals["total"]
""",
)
forger(
    "raises-is-any",
    """
import pytest
class R:
    def __init__(self, *a, **k): pass
    def __enter__(self): return self
    def __exit__(self, *a): return True
pytest.raises = R
class InsufficientFunds(Exception): pass
class Ledger:
    def balance(self, *a): return 0
""",
    LEDGER,
)
