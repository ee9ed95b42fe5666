"""The ``harness run`` command: its options, and the pair that they name."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.settings import benchmarks_folder

if TYPE_CHECKING:
    from harness.tasks.pair import LettaServer, Pair

ANY = click.Path(path_type=Path)
LOCAL_MODELS = ("local/scripted", "smollm2-135m-instruct")


@click.command()
@click.argument("spec")
@click.option("--file", "code_file", required=True, metavar="NAME.py", help="The code file to write.")
@click.option("--test-file", metavar="NAME.py", help="The test file. Default: test_<file>.")
@click.option("--workspace", required=True, type=ANY, metavar="DIR", help="Where code and tests go.")
@click.option(
    "--give", multiple=True, metavar="NAME", help="Lay this file or folder of DIR into the workspace."
)
@click.option("--force", is_flag=True, help="Replace files that stand in DIR.")
@click.option("--pair", metavar="NAME", help="A pair of benchmarks/pairs.yaml.")
@click.option("--orchestrator", metavar="HANDLE", help="The orchestrator's model, as Letta names it.")
@click.option(
    "--letta",
    type=click.Choice(["v1", "app-server"]),
    help="Where the orchestrator lives. Default: what the embedded stack runs, else v1.",
)
@click.option("--coder", metavar="MODEL", help="The model that writes the code.")
@click.option("--tester", metavar="MODEL", help="The model that writes the tests. Default: the coder's.")
@click.option(
    "--backend", metavar="NAME", help="How coder and tester are reached: anthropic (default), local ..."
)
@click.option("--max-repairs", default=1, show_default=True, help="Repair attempts after the first.")
@click.option("--max-tokens", default=4096, show_default=True, help="Output tokens of one answer.")
@click.option(
    "--save-task", type=ANY, metavar="FILE", help="Make a task file of what came out, to be reviewed."
)
def run(spec: str, workspace: Path, save_task: Path | None, **options: Any) -> None:
    """Let a pair of models build SPEC, live, without a task file.

    The conversation is shown as it happens; code and tests end in DIR, the generated tests are run in the
    sandbox, and tokens and cost are told. Nothing is recorded.

    Exit code: 0 the generated tests pass, 1 they do not, or something went wrong, 2 a wrong argument.
    """
    from harness.cli.run.delivered_files import read_files
    from harness.cli.run.save_task import require_free
    from harness.cli.run.session import AdHocRun, ad_hoc_task, execute

    if save_task:
        require_free(save_task)
    pair = choose_pair(options)
    task = ad_hoc_task(
        spec,
        code_file=options["code_file"],
        test_file=options["test_file"],
        files=read_files(workspace, options["give"]),
        limits={"max_repairs": options["max_repairs"], "max_tokens": options["max_tokens"]},
    )
    wanted = AdHocRun(task, pair, workspace, options["force"], save_task)
    sys.exit(0 if execute(wanted, os.environ, benchmarks_folder()) else 1)


def choose_pair(options: dict[str, Any]) -> Pair:
    """Return the pair that the options name, by its name or by its models; refuse those that make none."""
    from pydantic import ValidationError

    from harness.errors import UsageError
    from harness.tasks.pair import CLAUDE_MODEL, DIRECT, MOCK_CODER, ORCH_MODEL, Pair, default_models
    from harness.tasks.suite import Selection, Suite

    for name in ("orchestrator", "coder"):
        if options[name] is not None and not options[name].strip():
            raise UsageError(f"--{name}: expected the name of a model, got nothing")
    models = [name for name in ("orchestrator", "letta", "coder", "tester", "backend") if options[name]]
    if options["pair"]:
        if models:
            raise UsageError(f"--pair and --{models[0]} exclude each other")
        (pair,) = Suite(benchmarks_folder(), Path(), Selection(pairs=(options["pair"],)), {}).pairs
    else:
        usual = LOCAL_MODELS if options["backend"] == "local" else (ORCH_MODEL, CLAUDE_MODEL)
        orchestrator, coder = default_models(os.environ) or usual
        model = options["orchestrator"] or orchestrator
        server = "v1" if model == DIRECT else options["letta"] or running_letta()
        fields = {
            "name": "ad-hoc",
            "orchestrator": {"model": model, "server": server},
            "coder": options["coder"] or coder,
            "tester": options["tester"] or "",
            "backend": options["backend"] or "anthropic",
        }
        try:
            pair = Pair.model_validate(fields)
        except ValidationError as error:
            details = error.errors(include_url=False)[0]
            expected = details.get("ctx", {}).get("expected")
            text = f"expected {expected}" if expected else details["msg"].removeprefix("Value error, ")
            option = f"--{details['loc'][0]}: " if details["loc"] else ""
            raise UsageError(f"{option}{text}") from None
    if pair.backend == "mock" or MOCK_CODER.fullmatch(pair.coder):
        raise UsageError(
            f"{pair.coder} is a mock: backend mock writes what stands in a task file, and here is none",
            remedy="choose another pair, or --backend local with `harness up`",
        )
    return pair


def running_letta() -> LettaServer:
    """Return which Letta the embedded stack runs, if that is the one that will be asked; else V1."""
    from harness.errors import StackError
    from harness.local.stack.status import status

    if os.environ.get("LETTA_BASE_URL", "").strip():
        return "v1"
    try:
        return status().letta
    except StackError:  # not installed
        return "v1"
