"""The documentation: it builds without a warning, loads nothing from elsewhere, and has no dead link."""

import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from click.testing import CliRunner
from in_process import run_here

from harness.cli.main import main

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
ASSETS = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """What a built page loads, links to, and can be linked to by."""

    def __init__(self, text):
        super().__init__()
        self.assets, self.links, self.ids = [], [], {""}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids.add(values.get("id"))
        if ASSETS.get(tag) in values:
            self.assets.append(values[ASSETS[tag]])
        elif "href" in values:
            self.links.append(values["href"])


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-d", folder / ".doctrees"]
    done = subprocess.run([*command, DOCS, folder / "html"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return {path: Page(path.read_text()) for path in (folder / "html").rglob("*.html")}


@pytest.mark.slow
def test_each_page_is_built(built):
    """A page that no table of contents names would be a warning; a new page needs no list."""
    pages = {path.relative_to(DOCS).with_suffix(".html").as_posix() for path in DOCS.rglob("*.md")}
    assert "how-to/humaneval.html" in pages
    assert [page for page in pages if not any(path.as_posix().endswith(page) for path in built)] == []


def test_no_page_loads_anything_from_elsewhere(built):
    """Fonts, scripts and pictures are the site's own: it reads the same without a network."""
    outside = [
        asset
        for page in built.values()
        for asset in page.assets
        if urlsplit(asset).scheme not in ("", "data")
    ]
    assert outside == []
    assert sum(len(page.assets) for page in built.values()) > len(built)


def test_no_link_within_the_site_is_dead(built):
    """The file is there, and so is the place in it."""
    dead = []
    for path, page in built.items():
        for link in {*page.links, *page.assets}:
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if parts.scheme or (target in built and unquote(parts.fragment) in built[target].ids):
                continue
            if target in built or not target.is_file():
                dead.append((path.name, link))
    assert dead == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "benchmarks/README.md"])
def test_no_link_to_a_file_is_dead(name):
    """The pages outside the site link to files of the checkout."""
    page = ROOT / name
    links = {link.split("#")[0] for link in LINK.findall(page.read_text()) if not urlsplit(link).scheme}
    assert [link for link in links if link and not (page.parent / link).exists()] == []


def test_the_readme_is_a_short_front_door():
    """At most 900 words: a list of links is words, the table that `make table` writes is none."""
    text, tables = re.subn(
        r"<!-- table -->.*<!-- /table -->", "", (ROOT / "README.md").read_text(), flags=re.DOTALL
    )
    assert tables == 1
    assert len(text.split()) <= 900


def test_an_outcome_without_a_text_stops_the_build(monkeypatch):
    """The reference cannot pass over what is new in the code."""
    monkeypatch.syspath_prepend(str(DOCS))
    import reference_pages

    assert "`solved`" in reference_pages.PARTS["model-outcomes"]()
    monkeypatch.setattr(reference_pages, "MODEL_OUTCOMES", ("solved", "slept"))
    with pytest.raises(ValueError, match="OUTCOMES has not those"):
        reference_pages.PARTS["model-outcomes"]()


RUN = re.compile(r"^( *)```console (run|checkout)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if RUN.search(path.read_text())]


def commands(block):
    """Yield each command of a block with the lines that are shown below it."""
    for part in re.split(r"^ *\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, shown = part.replace("\\\n", "").partition("\n")
        yield command.partition("   # ")[0], [line.strip() for line in shown.splitlines() if line.strip()]


def shown_in(lines, output):
    """Return True if the lines stand in an output in this order; ``...`` is anything."""
    pattern = r".*?".join(re.escape(part) for part in "\n".join(lines).split("..."))
    return re.search(pattern, output, re.DOTALL) is not None


def test_shown_output_is_compared():
    """Lines that are not printed, or in another order, are found."""
    assert shown_in(["a", "...", "d"], "a\nb\nc\nd\n")
    assert not shown_in(["d", "...", "a"], "a\nb\nc\nd\n")
    assert list(commands("$ one \\\n  more   # why\nout\n$ two\n")) == [("one   more", ["out"]), ("two", [])]


@pytest.mark.parametrize("page", PAGES, ids=[path.stem for path in PAGES])
@pytest.mark.slow
def test_commands_of_a_page_run(page, pytester, monkeypatch):
    """Offline, in their order: in an empty repository, or in a copy of the tasks and recordings here."""
    blocks = RUN.findall(page.read_text())
    if any(kind == "checkout" for _, kind, _ in blocks):
        shutil.copytree(ROOT / "benchmarks", pytester.path / "benchmarks")
        for pair in {name for *_, block in blocks for name in re.findall(r"--pair ([\w+.-]+)", block)}:
            shutil.copytree(ROOT / "cassettes" / pair, pytester.path / "cassettes" / pair)
    (pytester.path / ".git").mkdir()
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    for *_, block in blocks:
        for command, shown in commands(block):
            code, output = run(pytester, *shlex.split(command))
            assert code == 0, f"{command}\n{output}"
            assert shown_in(shown, output), f"{command}\n{output}"


def run(pytester, program, *arguments):
    """Return exit code and output; pytest and harness run in this process, which is ten times as fast."""
    if program == "pytest":
        result = run_here(pytester, *arguments)
        return result.ret, result.stdout.str()
    if program == "harness":
        result = CliRunner().invoke(main, arguments)
        return result.exit_code, result.output
    result = pytester.run(program, *arguments)
    return result.ret, result.stdout.str()
