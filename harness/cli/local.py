"""``harness up``, ``status`` and ``down``: the embedded live stack."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.console import say

if TYPE_CHECKING:
    from harness.tasks.pair import LettaServer

SURE = "This deletes {path}, the embedded Letta's data: all its agents, tools and conversations. Go on?"


@click.command()
@click.option(
    "--letta",
    "server",
    type=click.Choice(["v1", "app-server"]),
    default="v1",
    show_default=True,
    help="The self-hosted V1 server (ends at 0.16.8), or Letta's App Server, without PostgreSQL.",
)
@click.option("--letta-port", default=8283, show_default=True, help="Port of the Letta server.")
@click.option("--model-port", default=8284, show_default=True, help="Port of the local model server.")
@click.option(
    "--postgres",
    "url",
    envvar="HARNESS_POSTGRES",
    metavar="URL",
    help="A PostgreSQL of yours, with the vector extension, in place of the embedded one: "
    "postgresql://user:password@host:5432/database. Or set HARNESS_POSTGRES.",
)
@click.option(
    "--provider",
    "providers",
    multiple=True,
    metavar="NAME=URL",
    help="An OpenAI-compatible server of yours (Ollama, LM Studio, llama-server, vLLM) whose models are "
    "offered as local/NAME/MODEL, by the App Server as NAME/MODEL; repeatable. NAME_API_KEY may hold a key.",
)
@click.option(
    "--models",
    "names",
    metavar="NAME,...",
    default="",
    help="Fetch these models of the catalogue unless they are there: smollm2-135m-instruct (98 MB, the "
    "default), qwen2.5-coder-0.5b (491 MB), qwen2.5-coder-1.5b (1117 MB). All ever fetched are served.",
)
@click.option(
    "--model",
    "own",
    metavar="NAME=PATH.gguf",
    multiple=True,
    help="Serve a GGUF of yours too, under this name; repeatable.",
)
@click.option(
    "--llama-server",
    type=click.Path(exists=True, dir_okay=False, executable=True, resolve_path=True, path_type=Path),
    help="A llama-server of yours in place of the built-in one: for a graphics card, say.",
)
@click.option(
    "--no-model",
    is_flag=True,
    help="PostgreSQL and V1 Letta alone: no local model is fetched or served. Letta offers the models of "
    "OPENAI_API_KEY, GEMINI_API_KEY and ANTHROPIC_API_KEY, as far as they are set.",
)
@click.option(
    "--reset", is_flag=True, help="Start from an embedded Letta without data. Asks first; not while it runs."
)
@click.option("--yes", is_flag=True, help="With --reset: do not ask.")
def up(  # noqa: PLR0913  (one for each option)
    *,
    server: LettaServer,
    letta_port: int,
    model_port: int,
    url: str | None,
    providers: tuple[str, ...],
    names: str,
    own: tuple[str, ...],
    llama_server: Path | None,
    no_model: bool,
    reset: bool,
    yes: bool,
) -> None:
    """Start the embedded live stack: Letta (V1 on PostgreSQL, or its App Server) and local models. No key."""
    from harness.errors import UsageError
    from harness.local.stack.catalogue import parse_names, parse_own
    from harness.local.stack.components import StackOptions
    from harness.local.stack.external_postgres import parse
    from harness.local.stack.home import find_home
    from harness.local.stack.providers import key_variable, list_models
    from harness.local.stack.providers import parse as parse_providers
    from harness.local.stack.stack import up as start
    from harness.redact import without_password

    if no_model and (server == "app-server" or providers or names or own or llama_server):
        raise UsageError(
            "--no-model goes with --letta v1, and without --provider, --models, --model and --llama-server: "
            "the model server passes those on"
        )
    named = parse_providers(providers)
    for name, address in named:
        if not list_models(address, os.environ.get(key_variable(name), "").strip()):
            remedy = "start that server with a model, or correct the address"
            raise UsageError(f"--provider {name}: {without_password(address)} lists no models", remedy=remedy)
    if server == "app-server" and url:
        raise UsageError("--postgres goes with --letta v1: the App Server uses no database")
    if url and reset:
        raise UsageError(
            "--reset empties the embedded database, never one of yours",
            remedy="give --postgres an empty database",
        )
    options = StackOptions(
        letta_port=letta_port,
        model_port=model_port,
        postgres=parse(url) if url else None,
        reset=reset,
        models=parse_names(names),
        own_models=parse_own(own),
        llama_server=llama_server,
        letta=server,
        providers=named,
        has_models=not no_model,
    )
    if reset and not yes:
        home = find_home(server)
        path = home.app_server_home if server == "app-server" else home.pgdata
        click.confirm(SURE.format(path=path), abort=True)
    say(*start(options, say).lines())


@click.command()
def status() -> None:
    """Show what of the embedded stack runs; exit with 3 if nothing does."""
    from harness.errors import StackError
    from harness.local.stack.home import find_home
    from harness.local.stack.status import status as look

    try:
        find_home()
    except StackError as error:
        say(f"nothing runs: {error}")
        sys.exit(3)
    state = look()
    say(*state.lines())
    sys.exit(0 if state.running else 3)


@click.command()
def down() -> None:
    """Stop the embedded stack; its data stay."""
    from harness.local.stack.stack import down as stop

    stop(say)
