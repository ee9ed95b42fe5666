"""harness/sandbox/filesystem_view.py: what model-written code may see."""

import sys

import pytest

from harness.sandbox import filesystem_view as view_module
from harness.sandbox.filesystem_view import bubblewrap, view
from harness.sandbox.process import Refused


@pytest.fixture
def everything_exists(monkeypatch):
    monkeypatch.setattr(view_module.os.path, "exists", lambda _: True)


@pytest.mark.parametrize(
    ("shown", "masked", "kept"),
    [
        ({"/usr"}, {"/home/u"}, {"/usr": "show"}),
        ({"/usr", "/usr/lib"}, set(), {"/usr": "show"}),
        ({"/usr"}, {"/usr/src/app"}, {"/usr": "show", "/usr/src/app": "mask"}),
        (
            {"/usr", "/usr/src/app/.venv/lib", "/usr/src/app/.venv/lib/site/pytest"},
            {"/usr/src/app", "/usr/src/app/.venv/lib/site"},
            {
                "/usr": "show",
                "/usr/src/app": "mask",
                "/usr/src/app/.venv/lib": "show",
                "/usr/src/app/.venv/lib/site": "mask",
                "/usr/src/app/.venv/lib/site/pytest": "show",
            },
        ),
        (
            {"/home/u/py/lib"},
            {"/home/u", "/home/u/py/lib/site"},
            {"/home/u/py/lib": "show", "/home/u/py/lib/site": "mask"},
        ),
    ],
)
@pytest.mark.usefixtures("everything_exists")
def test_what_is_hidden_inside_of_what_is_shown_is_masked_and_the_other_way_round(shown, masked, kept):
    """A repository under /usr is hidden, its virtual environment in it is not, but for its packages."""
    assert view_module._outer_first(shown, masked) == kept


def test_neither_repository_nor_packages_are_in_sight():
    """Of the libraries only pytest and what it requires comes back."""
    steps = view(["pytest"], [])["steps"]
    shown = [path for kind, path, _ in steps if kind == "show"]
    assert any(path.endswith("/_pytest") for path in shown)
    assert not any(path.endswith(("/pandas", "/anthropic", "/harness", "/vcr")) for path in shown)


def test_a_python_that_is_reached_through_a_link_is_shown_where_it_is(tmp_path, monkeypatch):
    """Its folders are shown under their real names, where packages are masked, and linked to."""
    for part in ("bin", "lib"):
        (tmp_path / "real" / part).mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "link"))
    steps = view(["pytest"], [])["steps"]
    assert ("show", str(tmp_path / "real/lib"), "") in steps
    assert ("link", str(tmp_path / "link/lib"), str(tmp_path / "real/lib")) in steps
    assert not any(kind != "link" and path.startswith(str(tmp_path / "link")) for kind, path, _ in steps)


def test_root_is_never_given_bubblewrap(tmp_path, monkeypatch):
    """There its code would be the machine's root; and without bubblewrap there is none to give."""
    monkeypatch.setattr(view_module.os, "geteuid", lambda: 0)
    with pytest.raises(Refused, match="not to be used by root"):
        bubblewrap(view(["pytest"], []), tmp_path)
    monkeypatch.setattr(view_module.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(view_module.shutil, "which", lambda _: None)
    with pytest.raises(Refused, match="not installed"):
        bubblewrap(view(["pytest"], []), tmp_path)
