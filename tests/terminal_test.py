"""harness/terminal.py: text that is safe to print."""

from harness.terminal import printable, printable_line

ENVIRONMENT = {"A_TOKEN": "s3cret-value"}
TEXT = "said \x1b[31ms3cret-value\u202e\r\n\tnext"


def test_people_see_neither_secrets_nor_control_characters():
    """Line ends and tabs stay, unless one line is asked for."""
    assert printable(TEXT, ENVIRONMENT) == "said \\x1b[31m<secret>\\u202e\n\tnext"
    assert printable_line(TEXT, ENVIRONMENT) == "said \\x1b[31m<secret>\\u202e\\n\\tnext"
