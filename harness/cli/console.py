"""How commands speak: one line for each error and an exit code, no secrets, no terminal codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from harness.errors import HarnessError
from harness.terminal import printable_line

F = TypeVar("F", bound=Callable[..., Any])


def one_line_errors(command: F) -> F:
    """The one place where a command's errors become a message and an exit code."""

    @wraps(command)
    def guarded(*args: Any, **options: Any) -> Any:
        try:
            return command(*args, **options)
        except HarnessError as error:
            for line in str(error).splitlines():
                say(f"error: {line}", err=True)
            sys.exit(error.exit_code)
        except BrokenPipeError:
            # The reader of our output has gone (`harness show | head`): nothing is left to say.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)

    return guarded  # type: ignore[return-value]


def say(line: str, *, err: bool = False) -> None:
    """Print one line, without secrets and without what a terminal would act on."""
    click.echo(printable_line(line, os.environ), err=err)
