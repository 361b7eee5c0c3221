"""Validation of the model's inputs: token ids, chunks, queries and lengths."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InputError, TokenIdError, WindowError
from ..method.config import SharedLLMConfig

__all__ = [
    "Ids",
    "check_chunks",
    "check_ids",
    "check_length",
    "check_prompt",
    "check_window",
    "left_padding",
    "read_chunk",
    "read_ids",
    "read_query",
]

#: Token ids of one text: a 1-D integer tensor (or [1, tokens]), or a sequence of whole numbers.
Ids = Tensor | Sequence[int]


def read_ids(ids: Ids, vocab_size: int, what: str) -> Tensor:
    """Convert token ids to a 1-D int64 tensor.

    Args:
        ids: the ids.
        vocab_size: ids must be smaller.
        what: name of the input in error messages.

    Raises:
        InputError: not integers, or not one-dimensional.
        TokenIdError: ids outside the vocabulary.
    """
    try:
        tensor = ids if isinstance(ids, Tensor) else torch.tensor(list(ids), dtype=None if len(ids) else torch.long)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{what} is a {type(ids).__name__}, not token ids",
            remedy="tokenise the text first",
        ) from error
    if tensor.dim() == 2 and len(tensor) == 1:
        tensor = tensor[0]
    if tensor.dim() != 1 or tensor.is_floating_point() or tensor.dtype == torch.bool:
        raise InputError(
            f"{what} is a tensor of shape {tuple(tensor.shape)} and type {tensor.dtype}",
            remedy="give 1-D integer token ids",
        )
    tensor = tensor.long()
    check_ids(tensor, vocab_size, what)
    return tensor


def check_chunks(chunks: object) -> None:
    """Check that `chunks` is a list of chunks.

    Raises:
        InputError: it is a text, a tensor, or a list of ids.
    """
    if isinstance(chunks, Sequence) and not isinstance(chunks, str) and not any(isinstance(c, int) for c in chunks):
        return
    kind = (
        f"a tensor of shape {tuple(chunks.shape)}" if isinstance(chunks, Tensor) else f"of type {type(chunks).__name__}"
    )
    raise InputError(
        f"chunks is {kind}, not a list of chunks",
        remedy="give ids.split(model.method.chunk_tokens) of a 1-D tensor of ids",
    )


def check_prompt(prompt: object, attention_mask: Tensor | None) -> None:
    """Check the prompt of `generate`: [B, T] ids or [B, T, E] embeddings, padded only on the left.

    Raises:
        InputError: a wrong type or shape, or a row with padding on the right.
    """
    if not isinstance(prompt, Tensor) or prompt.dim() not in (2, 3):
        kind = (
            f"a tensor of shape {tuple(prompt.shape)}" if isinstance(prompt, Tensor) else f"a {type(prompt).__name__}"
        )
        raise InputError(
            f"the running text is {kind}",
            remedy="give ids of shape [rows, tokens], such as ids[None]",
        )
    if attention_mask is not None and attention_mask.dim() == 2 and not bool(attention_mask[:, -1].all()):
        row = int((attention_mask[:, -1] == 0).nonzero()[0])
        raise InputError(
            f"row {row} of the running text is padded on the right",
            remedy="pad on the left (padding_side='left')",
        )


def check_ids(ids: Tensor, vocab_size: int, what: str) -> None:
    """Check that all ids are in the vocabulary.

    Raises:
        TokenIdError: one is not.
    """
    if not ids.numel():
        return
    smallest, largest = (int(bound) for bound in torch.aminmax(ids))
    if smallest < 0 or largest >= vocab_size:
        invalid = smallest if smallest < 0 else largest
        raise TokenIdError(
            f"{what} holds token id {invalid}",
            limit=f"but the vocabulary has ids 0 to {vocab_size - 1}",
            remedy="tokenise with the base model's own tokenizer",
        )


def read_chunk(ids: Ids, number: int, vocab_size: int, method: SharedLLMConfig, window_tokens: int) -> Tensor:
    """Convert the ids of a chunk to a 1-D tensor, which may be empty.

    Args:
        ids: the chunk's token ids.
        number: its number, for error messages.
        vocab_size: ids must be smaller.
        method: sets the chunk size and how chunks are split.
        window_tokens: the base model's window.

    Raises:
        InputError: not token ids, or more than `chunk_tokens`.
        TokenIdError: ids outside the vocabulary.
        WindowError: a node of the chunk is longer than the window.
    """
    chunk = read_ids(ids, vocab_size, f"chunk {number}")
    if len(chunk) > method.chunk_tokens:
        raise InputError(
            f"chunk {number} has {len(chunk)} tokens and the limit is chunk_tokens={method.chunk_tokens}",
            remedy="cut the text into more chunks",
        )
    if (longest := method.longest_node_tokens(len(chunk))) > window_tokens:
        raise WindowError(
            f"chunk {number} of {len(chunk)} tokens has a node of {longest}",
            limit=f"and the base model's window is {window_tokens}",
            remedy="use a smaller chunk_tokens",
        )
    return chunk


def read_query(query_ids: Ids | None, vocab_size: int, window_tokens: int, policy: str) -> Tensor:
    """Convert the query's ids to a 1-D tensor.

    Raises:
        InputError: missing, empty, or not token ids.
        WindowError: longer than the window.
    """
    read = None if query_ids is None else read_ids(query_ids, vocab_size, "query_ids")
    if read is None or not len(read):
        problem = "missing" if read is None else "empty"
        raise InputError(
            f"policy {policy!r} compares nodes with the query",
            limit=f"and query_ids is {problem}",
            remedy="give the question's ids, or use policy='right'",
        )
    if len(read) > window_tokens:
        raise WindowError(
            f"the query has {len(read)} tokens and the base model's window {window_tokens}",
            remedy="give the question alone",
        )
    return read


def check_window(running_text: Tensor, cached_tokens: int, attention_mask: Tensor | None, window_tokens: int) -> None:
    """Check that running text [B, T, …] fits the window after `cached_tokens` in the KV cache, not counting padding.

    Raises:
        WindowError: it does not.
    """
    tokens = cached_tokens + running_text.shape[1]
    if tokens > window_tokens:  # only then is the mask read, which may need a device synchronisation
        check_length(tokens - left_padding(attention_mask), 0, window_tokens)


def check_length(tokens: int, new_tokens: int, window_tokens: int) -> None:
    """Check that `tokens` of running text and `new_tokens` to generate fit the window.

    Raises:
        WindowError: they do not.
    """
    if tokens + new_tokens <= window_tokens:
        return
    generated = f" and {new_tokens} tokens to generate" if new_tokens else ""
    remaining = window_tokens - tokens
    fewer = f"ask for at most {remaining} new tokens, or " if new_tokens and remaining > 0 else ""
    raise WindowError(
        f"{tokens} tokens of running text{generated} do not fit the base model's window of {window_tokens}",
        remedy=f"{fewer}move older text to the past context",
    )


def left_padding(attention_mask: Tensor | None) -> int:
    """Count the padding tokens that all rows of a mask [B, T] have in common."""
    if attention_mask is None or attention_mask.dim() != 2:
        return 0
    return attention_mask.shape[1] - int(attention_mask.sum(dim=1).max())
