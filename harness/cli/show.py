"""``harness show``: print a finished trial's conversation."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("trial")
@click.option("--run", default="latest", show_default=True, help="The run's folder in reports/.")
@click.option("--reports", "folder", default="reports", type=click.Path(path_type=Path), show_default=True)
def show(trial: str, run: str, folder: Path) -> None:
    """Show the conversation of TRIAL: pair/task/epoch, a task, or a part of the name."""
    from rich.console import Console

    from harness.results.run_folder import find_conversations
    from harness.results.show import print_transcript
    from harness.terminal import visible

    console = Console(highlight=False)
    for conversation in find_conversations(folder, run, trial):
        row = conversation.row
        console.rule(f"{row['trial']}: {row['outcome']}")
        print_transcript(console, conversation.transcript)
        if row["detail"]:
            console.print(visible(row["detail"]), markup=False)
