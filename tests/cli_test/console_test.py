"""harness/cli/console.py: what commands print holds no secret, however many lines it is on."""

import click
import pytest
from click.testing import CliRunner

from harness.cli.console import OneLineErrors, say
from harness.errors import SpecError

KEY = "Qq9Ww8Ee7Rr6Tt5Yy4Uu3Ii2"


@click.group(cls=OneLineErrors)
def main():
    """Two commands."""


@main.command()
def fail():
    raise SpecError([f"a.yaml: {KEY[:10]}", f"{KEY[10:]} is no id"])


@main.command()
def tell():
    say(f"a key: {KEY[:10]}", f"{KEY[10:]}, and\ta\nlast \x1b[2J line")


@pytest.mark.parametrize("command", ["fail", "tell"])
def test_a_key_on_two_lines_is_not_printed(command, monkeypatch):
    """Neither half of it, whether it is an error or a report."""
    monkeypatch.setenv("A_TOKEN", KEY)
    said = CliRunner().invoke(main, [command]).output
    assert KEY[:10] not in said
    assert KEY[10:] not in said
    assert "<secret>" in said


def test_lines_are_printed_as_lines():
    """Without a secret each stays as it is, but for what a terminal would act on."""
    said = CliRunner().invoke(main, ["tell"]).output
    assert said == f"a key: {KEY[:10]}\n{KEY[10:]}, and\\ta\\nlast \\x1b[2J line\n"


def test_a_command_without_an_output_ends_quietly(monkeypatch):
    """`harness ... >&-`: Python has no stream then."""
    monkeypatch.setattr("sys.stdout", None)
    main.main(["tell"], standalone_mode=False)
