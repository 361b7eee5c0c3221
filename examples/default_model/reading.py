"""Readings: documents as nodes, and questions that see some of these nodes; and batches of them, for step 3.

A batch is a few large tensors in place of many small ones, so that a GPU has few, long operations: all nodes of about
one length are read together, and whoever sees states of them does so by their numbers. Making it takes no model, and
is left to other processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from sharedllm_core import Document, SharedLLMConfig
from sharedllm_core.generation.messages import query_text
from sharedllm_core.method.context_tree import Node, kept_tokens, num_states
from sharedllm_core.selection.choice import select, tree_of
from sharedllm_core.selection.policy import Query, load_policy
from sharedllm_core.text.library import make_library
from sharedllm_core.text.tokenization import TextTokenizer
from sharedllm_core.training.items import NO_LOSS, Turn, conversation_item
from sharedllm_core.training.tasks import Evidence

__all__ = ["ReadBatch", "Reading", "Seen", "Text", "collate", "continued", "opened", "selected"]

# Suffixes: V views, Q texts of a view, T tokens of a text, S states that a view sees, N nodes of a group, L their
# tokens.

_NODE_LENGTHS = (32, 64, 96, 128, 256, 512, 1024)  # nodes are filled up to the next of these
_ROUND = 8  # attention wants sizes that are a multiple of this


class Text(NamedTuple):
    """Running text: ids and labels, each [n]."""

    ids: Tensor
    labels: Tensor


class Seen(NamedTuple):
    """Texts that see the same nodes: their numbers in the reading."""

    nodes: Sequence[int]
    texts: Sequence[Text]


@dataclass(frozen=True)
class Reading:
    """Some documents, read.

    Attributes:
        nodes: token ids of each.
        kept: of each the places of the tokens whose states are kept.
        chunks: of each the place of its chunk in the documents, from 0.
        views: what is asked about them.
    """

    nodes: list[Tensor]
    kept: list[list[int]]
    chunks: list[int]
    views: list[Seen]
    num_chunks: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "num_chunks", max(self.chunks, default=-1) + 1)


class ReadBatch(NamedTuple):
    """Readings as tensors.

    Attributes:
        node_ids, node_lengths: by groups of about equal length, ids [N, L] and lengths [N].
        states: numbers [V, S] of the states that each view sees, of all L · N states of all groups; 0 fills up.
        is_seen: [V, S], false where a view has fewer.
        positions: chunk positions [V, S].
        query_positions: [V].
        ids: running texts [V, Q, T].
        answers: numbers of the tokens of `ids` behind which an answer's token comes; that token is in `targets`.
    """

    node_ids: tuple[Tensor, ...]
    node_lengths: tuple[Tensor, ...]
    states: Tensor
    is_seen: Tensor
    positions: Tensor
    query_positions: Tensor
    ids: Tensor
    answers: Tensor
    targets: Tensor

    def to(self, device: str) -> "ReadBatch":
        """The same on a device."""
        moved = [
            tuple(one.to(device, non_blocking=True) for one in part)
            if isinstance(part, tuple)
            else part.to(device, non_blocking=True)
            for part in self
        ]
        return ReadBatch(*moved)  # type: ignore[arg-type]


def opened(
    documents: Sequence[str], conversations: Sequence[Sequence[Turn]], tokenizer: TextTokenizer, method: SharedLLMConfig
) -> Reading:
    """Documents of which every conversation sees every leaf."""
    library = make_library([Document(text, id=str(i)) for i, text in enumerate(documents)], tokenizer, method)
    leaves = [(i, leaf) for i, chunk in enumerate(library.chunks) for leaf in tree_of(chunk.ids, method).leaves]
    texts = [_text(turns, tokenizer, method) for turns in conversations]
    return _reading(
        [chunk.ids for chunk in library.chunks], leaves, [(range(len(leaves)), texts)], library.chunk_positions, method
    )


def continued(before: str, ids: Tensor, tokenizer: TextTokenizer, method: SharedLLMConfig) -> Reading:
    """Text of which every leaf is seen while what follows it is read; every token of that is a label."""
    read = opened([before], [], tokenizer, method)
    return replace(read, views=[Seen(range(len(read.nodes)), [Text(ids, ids)])])


def selected(
    documents: Sequence[str],
    turns: Sequence[Turn],
    evidence: Sequence[Sequence[tuple[int, int, int]]],
    tokenizer: TextTokenizer,
    method: SharedLLMConfig,
) -> Reading:
    """Documents of which every question sees what its policy retains, as when the model answers.

    Questions whose evidence, (document, first character, end) for each fact, is not retained in full are left out.
    """
    library = make_library([Document(text, id=str(i)) for i, text in enumerate(documents)], tokenizer, method)
    chunks = [chunk.ids for chunk in library.chunks]
    policy = load_policy(method.policy)
    number_of: dict[tuple[int, Node], int] = {}
    views: list[tuple[Sequence[int], list[Text]]] = []
    for turn, facts in zip(turns, evidence, strict=True):
        query = Query(None, policy.weights(tokenizer.encode(query_text(turn.question)).ids, chunks))
        chosen = [(i, node) for i, nodes in enumerate(select(method, chunks, query)) for node in nodes]
        is_open = [torch.zeros(len(chunk), dtype=torch.bool) for chunk in chunks]
        for i, node in chosen:
            if num_states(node.length, node.level, method) == node.length:
                is_open[i][node.start : node.end] = True
        if all(
            bool(is_open[i][_within(chunk.text.offsets, start, end)].all())
            for document, start, end in facts
            for i, chunk in enumerate(library.chunks)
            if chunk.document == document
        ):
            views.append(
                (
                    [number_of.setdefault(one, len(number_of)) for one in chosen],
                    [_text([turn], tokenizer, method)],
                )
            )
    return _reading(chunks, list(number_of), views, library.chunk_positions, method)


def spots(evidence: Sequence[Evidence], documents: Sequence[str]) -> list[tuple[int, int, int]]:
    """Evidence of a task with the number of its document in place of the id; `documents` are the ids."""
    return [(documents.index(one["document"]), one["start"], one["end"]) for one in evidence]


def _within(offsets: Tensor, start: int, end: int) -> Tensor:
    return (offsets[:, 1] > start) & (offsets[:, 0] < end)


def _text(turns: Sequence[Turn], tokenizer: TextTokenizer, method: SharedLLMConfig) -> Text:
    item = conversation_item([], turns, tokenizer, method)
    return Text(item.input_ids, item.labels)


def _reading(
    chunks: Sequence[Tensor],
    nodes: Sequence[tuple[int, Node]],
    views: Sequence[tuple[Sequence[int], list[Text]]],
    positions: Sequence[int],
    method: SharedLLMConfig,
) -> Reading:
    counts = [num_states(node.length, node.level, method) for _, node in nodes]
    return Reading(
        [chunks[i][node.start : node.end] for i, node in nodes],
        [kept_tokens(node.length, k, method.sample_at) for (_, node), k in zip(nodes, counts, strict=True)],
        [positions[i] for i, _ in nodes],
        [Seen(numbers, texts) for numbers, texts in views],
    )


def collate(readings: Sequence[Reading], rng: Random, *, random_positions: int = 0, others: int = 0) -> ReadBatch:
    """A batch.

    Args:
        readings: all views of all of them have equally many texts.
        rng: for positions, and for others.
        random_positions: chunk positions are drawn, in order, from so many; 0 for 0, 1, 2 …
        others: each view also sees the nodes that up to so many views of other readings see.
    """
    node_ids, node_lengths, states_of = _grouped(readings)
    everyone = [(i, view) for i, reading in enumerate(readings) for view in reading.views]
    numbers: list[Tensor] = []
    places: list[Tensor] = []
    for i, view in everyone:
        seen = {i: view}
        for j, other in rng.sample(everyone, rng.randint(0, min(others, len(everyone)))):
            seen.setdefault(j, other)
        order = list(seen)
        rng.shuffle(order)
        chunks = [(j, chunk) for j in order for chunk in range(readings[j].num_chunks)]
        drawn = sorted(rng.sample(range(random_positions), len(chunks))) if random_positions > len(chunks) else None
        place_of = dict(zip(chunks, drawn or range(len(chunks)), strict=True))
        nodes = [(j, number) for j in order for number in seen[j].nodes]
        numbers.append(torch.cat([states_of[node] for node in nodes]))
        places.append(
            torch.cat([torch.full_like(states_of[j, n], place_of[j, readings[j].chunks[n]]) for j, n in nodes])
        )
    ids, answers, targets = _texts([view.texts for _, view in everyone])
    states_VS = _filled_up(numbers, 0)
    is_seen = torch.arange(states_VS.shape[1]) < torch.tensor([len(of) for of in numbers])[:, None]
    queries = torch.tensor([int(of.max()) + 1 for of in places])
    return ReadBatch(node_ids, node_lengths, states_VS, is_seen, _filled_up(places, 0), queries, ids, answers, targets)


def _grouped(
    readings: Sequence[Reading],
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], dict[tuple[int, int], Tensor]]:
    """Ids and lengths of all nodes in groups of about equal length, and the numbers of the states of each."""
    groups: dict[int, list[tuple[int, int]]] = {}
    for i, reading in enumerate(readings):
        for number, ids in enumerate(reading.nodes):
            groups.setdefault(next(n for n in _NODE_LENGTHS if n >= len(ids)), []).append((i, number))
    states_of: dict[tuple[int, int], Tensor] = {}
    node_ids, node_lengths, first = [], [], 0
    for length, members in sorted(groups.items()):
        own = [readings[i].nodes[number] for i, number in members]
        node_ids.append(torch.stack([pad(ids, (0, length - len(ids))) for ids in own]))
        node_lengths.append(torch.tensor([len(ids) for ids in own]))
        for row, (i, number) in enumerate(members):
            states_of[i, number] = torch.tensor(readings[i].kept[number]) + first + row * length
        first += len(members) * length
    return tuple(node_ids), tuple(node_lengths), states_of


def _texts(texts: Sequence[Sequence[Text]]) -> tuple[Tensor, Tensor, Tensor]:
    """Ids [V, Q, T], the numbers of the tokens behind which an answer's comes, and the answers' tokens."""
    width = -(-max(len(text.ids) for of in texts for text in of) // _ROUND) * _ROUND
    ids = torch.zeros(len(texts), len(texts[0]), width, dtype=torch.long)
    labels = torch.full_like(ids, NO_LOSS)
    for v, of in enumerate(texts):
        for q, text in enumerate(of):
            ids[v, q, : len(text.ids)] = text.ids
            labels[v, q, : len(text.ids) - 1] = text.labels[1:]
    answers = (labels.flatten() != NO_LOSS).nonzero().squeeze(1)
    return ids, answers, labels.flatten()[answers]


def _filled_up(rows: Sequence[Tensor], value: int) -> Tensor:
    rows = [*rows, rows[0].new_zeros(-(-max(map(len, rows)) // _ROUND) * _ROUND)]
    return pad_sequence(list(rows), batch_first=True, padding_value=value)[:-1]
