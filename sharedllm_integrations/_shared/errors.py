"""Errors that name settings as the integrations' models and calls have them."""

from collections.abc import Iterator
from contextlib import contextmanager

from sharedllm_core import SharedLLMError
from sharedllm_core.errors import Wording

__all__ = ["WORDING", "worded_errors"]

#: The engine's settings by the names of fields and call arguments. Remedies that name other settings are left out.
WORDING = Wording(
    {
        "max_new_tokens": "max_tokens",
        "constraint": "response_format",
        "cache": "tree_cache",
        **{
            name: name
            for name in (
                "context_window",
                "device",
                "documents",
                "dtype",
                "num_evidence",
                "parallel_tool_calls",
                "policy",
                "quote_tokens",
                "reading",
                "repetition_penalty",
                "seed",
                "stop",
                "temperature",
                "thinking",
                "tool_choice",
                "tools",
                "top_k",
                "top_p",
            )
        },
    }
)


@contextmanager
def worded_errors(wording: Wording = WORDING) -> Iterator[None]:
    """Let errors of this library that leave the block, or the decorated function, name settings as `wording` does."""
    try:
        yield
    except SharedLLMError as error:
        error.wording = wording
        raise
