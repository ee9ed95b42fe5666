"""Every text that the harness sends to a model. Changing one makes the recordings that hold it stale.

``fixed_policy.py`` reads the labelled lines of ``TASK`` and ``REPAIR``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from harness.tasks.task import digest

CODER_TOOL = "run_claude_coder"
TESTER_TOOL = "run_claude_tester"

ORCHESTRATOR = """\
You are the orchestrator of a small software team. You never write code yourself. You have two tools:
run_claude_coder writes the implementation file, run_claude_tester writes a pytest file for it.
Call run_claude_coder first, with the full specification. When it has written the file, call
run_claude_tester with the same specification and the name of the implementation file. If a tool
returns an error, correct the call and try again. When both files are written, end your turn with
one short sentence. When you are told that tests failed, decide which file is wrong and call the
tool that writes it again, telling it what to mend.
"""
ROLE_BLOCK = "I orchestrate a Claude coder and a Claude tester. I delegate all code to them."
WORKSPACE_BLOCK = "Files are named relative to the workspace, such as add.py. Nothing outside exists."

TASK = """\
Implementation file: {code_file}
Test file: {test_file}
Specification:
{spec}"""

REPAIR = """\
The work is not done yet: {summary}
Implementation file: {code_file}
Test file: {test_file}
Test output:
{output}
Specification:
{spec}"""

CODER = """\
You write one Python file. Answer with the complete file in a single fenced code block that starts
with ```python, and with nothing else. Use only the standard library.
"""
CODER_TASK = """\
{spec}

Write the file {path}."""

TESTER = """\
You write pytest tests for one Python file. Answer with the complete test file in a single fenced
code block that starts with ```python, and with nothing else. Import the code under test from its
module, and test ordinary and edge cases that the specification implies.
"""
TESTER_TASK = """\
{spec}

The code under test:
{code}

Write the test file {path}. Import from the module {module}."""

# In lower case, so that it is no part of the digest: recordings of other backends do not hold it, and those
# of this one hold the text itself.
claude_code = {
    "coder": """\
You write one Python file, with the Write tool, under the name that you are given. Use only the standard
library. Write no other file. When it is written, end with one short sentence.
""",
    "tester": """\
You write one file of pytest tests for one Python file, with the Write tool, under the name that you are
given. Import the code under test from its module, and test ordinary and edge cases that the specification
implies. Write no other file. When it is written, end with one short sentence.
""",
}

# Texts for an orchestrator without a tester; in lower case for the same reason.
coder_only = {
    "system": """\
You are the orchestrator of a small software team. You never write code yourself. You have one tool:
run_claude_coder writes the implementation file. Call it with the full specification. If it returns an error,
correct the call and try again. When the file is written, end your turn with one short sentence.
""",
    "role": "I orchestrate a Claude coder. I delegate all code to it.",
    "task": """\
Implementation file: {code_file}
Specification:
{spec}""",
}

# What an agent with memory is told besides, and how it is told a review; in lower case likewise.
memory = {
    "system": """\
You also have a memory: the block notes, which you will still see in later tasks when this conversation is
forgotten. With memory_insert and memory_replace you can write into it. After each task you are told a review
of your team's work. Note there whatever will matter in later tasks. The coder and the tester see neither your
memory nor the review: whatever they are to follow has to stand in the specification that you give them.
""",
    "notes": "What I have learnt that matters in later tasks.",
    "review": """\
The task has ended. There is nothing to write now. Review:
{review}""",
    "stopped": "The limit of tool calls of this task is reached: nothing was written.",
}

CURRENT_FILE = """

The file as it is now:
{code}"""
OTHER_FILE = """

The file {path}, which is given:
{code}"""


# The same lines in a message of a task with several files, and what names such a file in a prompt.
one_file = "Implementation file: "
several_files = f"Implementation files, one call of {CODER_TOOL} for each: "
other_code = """

The file {path} as it is now:
{code}"""


def listing(message: str, files: Sequence[str]) -> str:
    """Return a task or repair message that lists all files to write in place of the last alone."""
    one = f"{one_file}{files[-1]}\n"
    return message if len(files) == 1 else message.replace(one, f"{several_files}{', '.join(files)}\n", 1)


def systems(backend: str, importable: Sequence[str]) -> dict[str, str]:
    """Return the system prompts of coder and tester, which name what may be imported besides Python's own.

    Args:
        backend: The pair's.
        importable: Packages, and folders of the repository.
    """
    texts = claude_code if backend == "claude-code" else {"coder": CODER, "tester": TESTER}
    if not importable:
        return texts
    also = f"Of other packages you may import these, and what these folders hold: {', '.join(importable)}.\n"
    only = re.compile(r"Use only the standard\s+library\.")
    return {role: only.sub("Use the standard library.", text) + also for role, text in texts.items()}


def _tool(name: str, description: str, properties: dict[str, str], required: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "description": description,
        "parameters": {
            "type": "object",
            "properties": {key: {"type": "string", "description": text} for key, text in properties.items()},
            "required": required,
        },
    }


CODER_DEFINITION = _tool(
    CODER_TOOL,
    "Let Claude write the implementation into a file of the workspace.",
    {
        "spec": "What the file must do, in full: the coder sees nothing else of the conversation.",
        "file_name": "The implementation file, such as add.py.",
        "language": "The programming language; only python.",
    },
    ["spec", "file_name"],
)
TESTER_DEFINITION = _tool(
    TESTER_TOOL,
    "Let Claude write a pytest file for the implementation into a file of the workspace.",
    {
        "spec": "What the implementation must do, in full: the tester sees only this and the code.",
        "code_file": "The implementation file under test, such as add.py.",
        "file_name": "The test file, such as test_add.py.",
        "language": "The programming language; only python.",
    },
    ["spec", "code_file", "file_name"],
)


def definitions(*, guided: bool, several: bool = False) -> dict[str, dict[str, Any]]:
    """Return the tools as they are offered to the orchestrator, by name.

    Guided, they take the specification alone; the files are those of the task, but for the coder where it
    has ``several`` to write.
    """
    offered = {each["name"]: each for each in (CODER_DEFINITION, TESTER_DEFINITION)}
    if not guided:
        return offered
    return {
        name: each if several and name == CODER_TOOL else _only_spec(each) for name, each in offered.items()
    }


def _only_spec(definition: dict[str, Any]) -> dict[str, Any]:
    spec = {"spec": definition["parameters"]["properties"]["spec"]}
    return {**definition, "parameters": {"type": "object", "properties": spec, "required": ["spec"]}}


def prompts_digest() -> str:
    """Hash all prompts and tool definitions; each cassette keeps the result, to tell why it went stale."""
    words = {key: value for key, value in globals().items() if key.isupper()}
    return digest(words)
