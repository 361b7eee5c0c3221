"""Items to a batch: plain tensors, which any launcher can move."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .items import NO_LOSS, Item

__all__ = ["Batch", "collate"]

# Suffixes: B rows, T running-text tokens, N chunks of all rows, C tokens of the longest chunk, Q of the longest query.

Batch = dict[str, Tensor]


def collate(items: Sequence[Item]) -> Batch:
    """A batch of rows, padded on the right.

    Returns:
        `input_ids`, `attention_mask`, `labels` [B, T]; `chunk_ids` [N, C], `chunk_lengths` [N], `chunk_rows` [N];
        `query_ids` [B, Q], `query_lengths` [B].
    """
    chunks = [chunk for item in items for chunk in item.chunks]
    rows = [number for number, item in enumerate(items) for _ in item.chunks]
    lengths = torch.tensor([len(item.input_ids) for item in items])
    input_ids = _padded([item.input_ids for item in items], 0)
    return {
        "input_ids": input_ids,
        "attention_mask": (torch.arange(input_ids.shape[1]) < lengths[:, None]).long(),
        "labels": _padded([item.labels for item in items], NO_LOSS),
        "chunk_ids": _padded(chunks, 0),
        "chunk_lengths": torch.tensor([len(chunk) for chunk in chunks], dtype=torch.long),
        "chunk_rows": torch.tensor(rows, dtype=torch.long),
        "query_ids": _padded([item.query_ids for item in items], 0),
        "query_lengths": torch.tensor([len(item.query_ids) for item in items]),
    }


@dataclass(frozen=True)
class PastBatch:
    """The past of a batch, without padding.

    Attributes:
        chunks: ids of each chunk of all rows.
        rows: the row of each chunk.
        queries: of each row.
    """

    chunks: list[Tensor]
    rows: list[int]
    queries: list[Tensor]

    @classmethod
    def of(cls, batch: Batch) -> "PastBatch":
        """What `collate` padded."""
        chunk_lengths, query_lengths = batch["chunk_lengths"].tolist(), batch["query_lengths"].tolist()
        return cls(
            [ids[:length] for ids, length in zip(batch["chunk_ids"], chunk_lengths, strict=True)],
            batch["chunk_rows"].tolist(),
            [ids[:length] for ids, length in zip(batch["query_ids"], query_lengths, strict=True)],
        )


def _padded(rows: Sequence[Tensor], value: int) -> Tensor:
    if not rows:
        return torch.zeros(0, 0, dtype=torch.long)
    return pad_sequence(list(rows), batch_first=True, padding_value=value)
