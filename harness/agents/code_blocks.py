"""Choose a file's code among the pieces of an answer (``answer_blocks.py``, ``answer_pieces.py``).

What belongs to the chosen piece is put together with it in ``answer_parts.py``.

Letta's tool sandbox runs this module's source, too (``backends/letta/tool_source.py``): import the standard
library and modules of that text only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from itertools import islice
from pathlib import PurePosixPath

from harness.agents.answer_blocks import FILE_NAME, find_blocks
from harness.agents.answer_parts import joined, parts_of, with_mends
from harness.agents.answer_pieces import Piece
from harness.agents.answer_words import matches
from harness.agents.python_text import MAX_PARSED, Parser, module_of
from harness.agents.thoughts import without_thoughts

PYTHON = {"python", "py", "python3", "pycon"}
# What a chat's template puts behind an answer, where a server leaves it there.
END_OF_TURN = re.compile(r"(?:<\|(?:im_end|endoftext|end_of_text|eot_id|end|return)\|>|</s>)\s*\Z")
MAX_BLOCKS = 1000


def extract_code(answer: str, path: str, *, cut_off: bool = False) -> str | None:
    """Return the code that an answer holds for a file, or None.

    Thoughts hold none (``thoughts.py``). Of two versions of the same definitions the later one counts, but
    one that lacks some, or leaves a body empty, behind one that has all, and one that is said to be old,
    wrong, another choice or an example (``answer_words.py``) behind one that is not. What is said to mend
    some definitions takes their place. Of several pieces (``answer_blocks.py``) that one wins which is ahead
    in the first of these that tells them apart: it is not tagged as another language; does not import the
    file as a module; is labelled with the file's name, or at least with no other; is Python; defines
    something (a test file: tests, or at least something; any other: not only tests); is not said to be old
    and so on; has no session's prompts, line numbers or sentences, which are taken away; uses nothing that
    another piece defines (the same); stands behind a sentence that names the file, or at least no other; is
    tagged as Python; is fenced; is the longest. Without a fence, it has to define something. A fence without
    an end holds the rest of the answer, unless the answer was cut off. Code that is given in parts is put
    together (``answer_parts.py``): what the winner lacks, and definitions that stand beside its own.
    """
    return (_remembered if len(answer) <= MAX_PARSED else _extract)(answer, path, cut_off)


def _extract(answer: str, path: str, cut_off: bool) -> str | None:
    parser = Parser()
    answer = answer.replace("\r\n", "\n").replace("\r", "\n").rstrip()
    answer = without_thoughts(answer, lambda code: parser.tree(code) is not None, cut_off=cut_off).rstrip()
    answer = answer[:-40] + END_OF_TURN.sub("", answer[-40:])
    blocks = (block for block in find_blocks(answer, parser.tree) if block.code.strip())
    found = [Piece.of(block, parser) for block in islice(blocks, MAX_BLOCKS)]
    pieces = [each for each in found if each.code.strip() and (each.block.is_whole or not cut_off)]
    if not pieces:
        return None
    if len(pieces) == 1:
        return _tidy(pieces[0].code)
    tests = _is_test_file(path)
    pieces = _latest(with_mends(pieces, path, parser), path)
    known = set() if tests else set().union(*(each.defined(tests=tests) for each in pieces))
    best = max(pieces, key=lambda piece: _rank(piece, path, tests, known))
    whole = joined(parts_of(best, pieces, path, tests=tests))
    return _tidy(whole if parser.tree(whole) else best.code)


# Trials of one task are given the same answers, by an oracle word for word.
_remembered = lru_cache(maxsize=256)(_extract)


def _latest(pieces: Sequence[Piece], path: str) -> list[Piece]:
    """Leave out each piece of which another one is a better version."""
    found = [(piece, *piece.public()) for piece in pieces]
    left = []
    for number, (piece, names, solid) in enumerate(found):
        for other_number, (other, other_names, other_solid) in enumerate(found):
            is_better = other_solid > solid or (other_number > number and other_solid >= solid)
            if piece.is_aside != other.is_aside:  # which counts only for what is left to be written
                is_better = other_solid >= solid if piece.is_aside else not solid
            if names and is_better and other_names >= names and other.may_replace(piece, path):
                break
        else:
            left.append(piece)
    return left


def _rank(piece: Piece, path: str, tests: bool, known: AbstractSet[str]) -> tuple[object, ...]:
    """Rank a piece (see ``extract_code``) where ``known`` is defined by any."""
    block, is_definition = piece.block, bool(piece.defined(tests=tests))
    # Tests are what a test file is for; of a file without any, its definitions.
    worth = 2 * piece.has_tests if tests else 0
    return (
        block.may_be_python or is_definition,
        module_of(path) not in piece.imports,
        matches(piece.label, path) or -bool(piece.label),
        piece.tree is not None,
        max(worth, is_definition),
        not piece.is_aside,
        piece.is_bare,
        known.isdisjoint(piece.uses),
        max((matches(name, path) or -1 for name in FILE_NAME.findall(block.before[:300])), default=0),
        block.is_tagged,
        block.is_fenced,
        len(piece.code),
    )


def _is_test_file(path: str) -> bool:
    name = PurePosixPath(path).stem
    return name.startswith("test") or name.endswith("_test")


def _tidy(code: str) -> str:
    return code.strip("\n").rstrip() + "\n"
