"""The documentation: it builds without a warning, loads nothing from elsewhere, and has no dead link."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

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
