"""Items to a batch: plain tensors, which any launcher can move."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .items import NO_LOSS, Item

__all__ = ["Batch", "collate"]

# Suffixes: B rows, T running-text tokens, U tokens of teachers' running texts, N chunks of all rows, C tokens of the
# longest chunk, Q of the longest query.

Batch = dict[str, Tensor]


def collate(items: Sequence[Item]) -> Batch:
    """A batch of rows, padded on the right.

    Returns:
        `input_ids`, `attention_mask`, `labels` [B, T]; `chunk_ids` [N, C], `chunk_lengths` [N], `chunk_rows` [N];
        `query_ids` [B, Q], `query_lengths` [B]; `compression_ratios` [B], 0 for that of the method.
        Where a policy searches text, `relevance` [N, C]. Where rows have teachers, `taught` [B], and `teacher_ids`,
        `teacher_labels` [B, U], which have no labels for the other rows.
    """
    chunks = [chunk for item in items for chunk in item.chunks]
    rows = [number for number, item in enumerate(items) for _ in item.chunks]
    lengths = torch.tensor([len(item.input_ids) for item in items])
    input_ids = _padded([item.input_ids for item in items], 0)
    batch = {
        "input_ids": input_ids,
        "attention_mask": (torch.arange(input_ids.shape[1]) < lengths[:, None]).long(),
        "labels": _padded([item.labels for item in items], NO_LOSS),
        "chunk_ids": _padded(chunks, 0),
        "chunk_lengths": torch.tensor([len(chunk) for chunk in chunks], dtype=torch.long),
        "chunk_rows": torch.tensor(rows, dtype=torch.long),
        "query_ids": _padded([item.query_ids for item in items], 0),
        "query_lengths": torch.tensor([len(item.query_ids) for item in items]),
        "compression_ratios": torch.tensor([item.compression_ratio or 0.0 for item in items]),
    }
    relevance = [torch.from_numpy(scores) for item in items for scores in item.relevance or ()]
    if relevance:
        batch["relevance"] = _padded(relevance, 0)
    if any(item.teacher for item in items):
        none = (torch.zeros(1, dtype=torch.long), torch.full((1,), NO_LOSS))
        teachers = [item.teacher or none for item in items]
        batch["teacher_ids"] = _padded([ids for ids, _ in teachers], 0)
        batch["teacher_labels"] = _padded([labels for _, labels in teachers], NO_LOSS)
        batch["taught"] = torch.tensor([item.teacher is not None for item in items])
    return batch


@dataclass(frozen=True)
class PastBatch:
    """The past of a batch, without padding.

    Attributes:
        chunks: ids of each chunk of all rows.
        rows: the row of each chunk.
        queries: of each row.
        compression_ratios: β of each row; `None` for that of the method.
        relevance: of each chunk's tokens, for a policy that searches text.
    """

    chunks: list[Tensor]
    rows: list[int]
    queries: list[Tensor]
    compression_ratios: list[float | None]
    relevance: list[np.ndarray] | None

    @classmethod
    def of(cls, batch: Batch) -> "PastBatch":
        """What `collate` padded."""
        chunk_lengths, query_lengths = batch["chunk_lengths"].tolist(), batch["query_lengths"].tolist()
        ratios, relevance = batch.get("compression_ratios"), batch.get("relevance")
        return cls(
            [ids[:length] for ids, length in zip(batch["chunk_ids"], chunk_lengths, strict=True)],
            batch["chunk_rows"].tolist(),
            [ids[:length] for ids, length in zip(batch["query_ids"], query_lengths, strict=True)],
            [None for _ in query_lengths] if ratios is None else [ratio or None for ratio in ratios.tolist()],
            None
            if relevance is None
            else [scores[:length].cpu().numpy() for scores, length in zip(relevance, chunk_lengths, strict=True)],
        )


def _padded(rows: Sequence[Tensor], value: int) -> Tensor:
    if not rows:
        return torch.zeros(0, 0, dtype=torch.long)
    return pad_sequence(list(rows), batch_first=True, padding_value=value)
