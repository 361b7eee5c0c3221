"""The past contexts of a batch, with gradients: the chunks of all rows go through the lower model together.

Each row selects with its own query. A row may also see the trees of other rows (`in_batch_past`), as they were selected
for those, at their own chunk positions here; that needs no further run of the lower model.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..method.context_tree import Node
from ..model import encoding
from ..model.lower_model import LowerModel
from ..model.node_states import NodeStates
from ..model.past_context import PastContext
from ..text.library import shared_positions
from .batch import PastBatch
from .kept_states import KeptStates

__all__ = ["BatchStates", "encode_batch", "row_past"]


@dataclass(frozen=True)
class BatchStates:
    """Retained states of all chunks of a batch.

    Attributes:
        states: of each chunk.
        rows: the row of each chunk.
    """

    states: list[NodeStates]
    rows: list[int]


def encode_batch(
    lower: LowerModel, batch: PastBatch, *, noisy: bool, kept: KeptStates | None = None
) -> BatchStates | None:
    """Select for each row with its query, and encode what all rows retain; `None` for a batch without past.

    Args:
        lower: the lower model.
        batch: its chunks and queries.
        noisy: draw split points.
        kept: has states of earlier steps; only for a lower model that is frozen. It is not asked for drawn splits,
            which do not come again.
    """
    if not batch.chunks:
        return None
    of_row: dict[int, list[int]] = {}
    for number, row in enumerate(batch.rows):
        of_row.setdefault(row, []).append(number)
    nodes: list[list[Node]] = [[] for _ in batch.chunks]
    for ratio in set(batch.compression_ratios):
        own = [number for number, row in enumerate(batch.rows) if batch.compression_ratios[row] == ratio]
        selected = _select(lower if ratio is None else _with_ratio(lower, ratio), batch, own, of_row, noisy)
        for number, of_chunk in zip(own, selected, strict=True):
            nodes[number] = of_chunk
    encode = kept.encode if kept and not noisy else partial(encoding.encode, lower)
    return BatchStates(encode(batch.chunks, nodes), batch.rows)


def _select(
    lower: LowerModel, batch: PastBatch, numbers: Sequence[int], of_row: Mapping[int, Sequence[int]], noisy: bool
) -> list[list[Node]]:
    """Select the nodes of some chunks, all those of some rows."""
    chunks = [batch.chunks[number] for number in numbers]
    queries = {}
    for row in {batch.rows[number] for number in numbers}:
        relevance = None if batch.relevance is None else [batch.relevance[number] for number in of_row[row]]
        own = [batch.chunks[number] for number in of_row[row]]
        queries[row] = encoding.read_query(lower, batch.queries[row], own, relevance)
    return encoding.select(lower, chunks, [queries[batch.rows[number]] for number in numbers], noisy=noisy)


def _with_ratio(lower: LowerModel, ratio: float) -> LowerModel:
    """The same lower model with another β, whose nodes have the same states; see `TrainingConfig.readings`."""
    return lower.with_method(replace(lower.method, compression_ratio=ratio))


def row_past(
    batch: BatchStates,
    row: int,
    others: Sequence[int],
    random_positions: int,
    chance: random.Random,
    *,
    own_last: bool,
) -> PastContext | None:
    """Assemble what one row sees: its own chunks, and those of other rows.

    Args:
        batch: retained states of the batch.
        row: whose past context.
        others: rows whose trees it also sees.
        random_positions: draw chunk positions, in order, from so many; 0 for 0, 1, 2 …
        chance: draws the order of the rows, and the positions.
        own_last: its own chunks come right before the running text, as in one long text; otherwise anywhere.
    """
    order = [row, *others]
    chance.shuffle(order)
    if own_last:
        order = [*(other for other in order if other != row), row]
    states = [batch.states[chunk] for seen in order for chunk, of in enumerate(batch.rows) if of == seen]
    if not states:
        return None
    positions = shared_positions([len(entry.token_ids) for entry in states], states[0].origin.method.chunk_tokens)
    if random_positions > positions[-1] + 1:
        drawn = sorted(chance.sample(range(random_positions), positions[-1] + 1))
        positions = tuple(drawn[position] for position in positions)
    return PastContext.from_nodes(states, positions)
