"""What was read of a library for one answer: tokens quoted, injected and not read."""

import numpy as np

from ..generation.answer import Reading, ReadingMode
from ..text.library import Library
from .quoting import Quoted
from .reading import ReadPast

__all__ = ["account"]


def account(mode: ReadingMode, library: Library | None, quotes: Quoted, read: ReadPast | None) -> Reading:
    """Count what was read; quoted tokens count as quoted, also if they were injected, too.

    Args:
        mode: how the engine reads.
        library: the documents of the question.
        quotes: the running text with passages of it.
        read: its past context, if the engine injects.
    """
    if library is None:
        return Reading()
    numbers = {document.id: number for number, document in enumerate(library.documents)}
    quoted = [np.zeros(count, dtype=bool) for count in library.tokens_per_document]
    for passage in quotes.passages:
        number = numbers[passage.document_id]
        first, last = library.token_range(number, passage.start, passage.end)
        quoted[number][first:last] = True
    injected = _injected(library, read)
    quoted_tokens = sum(int(mask.sum()) for mask in quoted)
    injected_tokens = sum(int((mask & ~own).sum()) for mask, own in zip(injected, quoted, strict=True))
    return Reading(
        mode=mode,
        total_tokens=library.num_tokens,
        quoted_tokens=quoted_tokens,
        injected_tokens=injected_tokens,
        unread_tokens=library.num_tokens - quoted_tokens - injected_tokens,
        injected_states=0 if read is None else read.past.num_states,
        cached_tokens=0 if read is None else read.cached_tokens,
        quote_budget=quotes.budget,
    )


def _injected(library: Library, read: ReadPast | None) -> list[np.ndarray]:
    """For each document which of its tokens are in a chunk that retains nodes."""
    masks: list[list[np.ndarray]] = [[np.zeros(0, dtype=bool)] for _ in library.documents]
    for place, chunk in enumerate(library.chunks):
        retained = read is not None and bool(read.past.nodes[place])
        masks[chunk.document].append(np.full(len(chunk.ids), retained))
    return [np.concatenate(parts) for parts in masks]
