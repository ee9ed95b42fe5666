"""harness/terminal.py: text that is safe to print."""

import io
import os

import pytest

from harness.terminal import LastingStream, printable, printable_line

ENVIRONMENT = {"A_TOKEN": "s3cret-value"}
TEXT = "said \x1b[31ms3cret-value\u202e\r\n\tnext"


def test_people_see_neither_secrets_nor_control_characters():
    """Line ends and tabs stay, unless one line is asked for."""
    assert printable(TEXT, ENVIRONMENT) == "said \\x1b[31m<secret>\\u202e\n\tnext"
    assert printable_line(TEXT, ENVIRONMENT) == "said \\x1b[31m<secret>\\u202e\\n\\tnext"


def test_a_stream_outlives_its_reader(capsys):
    """What cannot be written is told once on standard error; all after it goes nowhere and fails nothing."""
    read, write = os.pipe()
    stream = LastingStream(os.fdopen(write, "w"))
    os.close(read)
    for text in ("one", "two"):
        assert stream.write(text) == 3
        stream.flush()
    stream.close()
    assert capsys.readouterr().err == "harness: no more is printed, the run goes on: Broken pipe\n"


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "\\xe9 \\u2713"), ("latin-1", "\xe9 \\u2713")])
def test_a_stream_of_few_characters(encoding, shown):
    """What a terminal's encoding does not have is escaped."""
    behind = io.BytesIO()
    stream = LastingStream(io.TextIOWrapper(behind, encoding=encoding))
    stream.write("\xe9 \u2713")
    stream.flush()
    assert behind.getvalue().decode(encoding) == shown
