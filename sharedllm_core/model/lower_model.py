"""The lower model: the upper model's own bottom M layers, run on nodes of past context (paper, section 3.1).

It has no weights of its own. Each node is encoded alone, with positions from 0, batched with nodes of equal length.
With `node_encoding="shared"`, one forward pass of a whole chunk gives the states of all its nodes. Nodes that are split
at the ends of sentences differ in length: those of similar length are batched and padded on the right, which causal
attention never sees. A batch has at most `batch_tokens` tokens, so peak memory beyond the kept states does not grow
with the past context. When the device runs out of memory, `batch_tokens` is halved and the batch is retried.

Unused computation is skipped: only keys and values of the last of the M layers are needed, so its attention and MLP
never run; a selection vector is the last token's, so the first layer's queries and MLP run for that token only.
"""

import copy
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn

from ..errors import ConfigError, DeviceMemoryError
from ..method.config import SharedLLMConfig
from ..method.context_tree import Node, kept_tokens, num_states, whole_chunk
from ..selection.policy import Pooling, load_policy
from .node_attention import node_attention
from .node_states import StateOrigin
from .projections import device_of, project_keys, project_values
from .selection_vectors import last_vectors, mean_vectors

__all__ = ["LowerModel", "PastTokens", "StateBatch", "is_out_of_memory", "is_out_of_memory_message"]

#: The number of a chunk, and one of its nodes.
_ChunkNode = tuple[int, Node]

# Suffixes: N nodes of a batch, L tokens of a node, E hidden size, K key/value heads, G query heads per key/value head,
# D head size, S kept states of a node.

# On a CPU, small batches fit its caches; accelerators need large ones for full utilisation.
_BATCH_TOKENS_CPU = 2048
_BATCH_TOKENS_ACCELERATOR = 16384
_SIGNATURE_ELEMENTS = 8  # of each weight
_OUT_OF_MEMORY_PHRASES = ("can't allocate memory", "out of memory", "cublas_status_alloc_failed")

_T = TypeVar("_T")


class PastTokens:
    """The token ids of several chunks, concatenated on one device.

    Args:
        chunks: 1-D tensors of ids, none empty.
        device: the lower model's.
    """

    def __init__(self, chunks: Sequence[Tensor], device: torch.device) -> None:
        self.chunks = chunks
        self.lengths = [len(chunk) for chunk in chunks]
        self._starts = [0, *accumulate(self.lengths)]
        self._ids = torch.cat(list(chunks)).to(device)

    def node_ids(self, nodes: Sequence[tuple[int, Node]]) -> Tensor:
        """Gather the ids [N, L] of nodes, each with the number of its chunk.

        Nodes shorter than L are padded with their last token.
        """
        device = self._ids.device
        first_N = torch.tensor([self._starts[chunk] + node.start for chunk, node in nodes], device=device)
        last_N = torch.tensor([node.length - 1 for _, node in nodes], device=device)
        place_L = torch.arange(max(node.length for _, node in nodes), device=device)
        return self._ids[first_N[:, None] + torch.minimum(place_L, last_N[:, None])]


@dataclass(frozen=True)
class StateBatch:
    """Kept states of some nodes, concatenated: per layer keys (before RoPE) and values, each [K, S, D]."""

    keys: list[Tensor]
    values: list[Tensor]


class LowerModel:
    """The bottom layers of `backbone`, as an encoder of nodes.

    Args:
        backbone: the base model without its head: `embed_tokens`, `layers`, `norm`, `rotary_emb`.
        method: the configuration of the method.
    """

    def __init__(self, backbone: Any, method: SharedLLMConfig) -> None:
        self.backbone = backbone
        self._method = method
        self._batch_tokens: int | None = None

    @property
    def method(self) -> SharedLLMConfig:
        """The configuration of the method; fixed."""
        return self._method

    @method.setter
    def method(self, method: SharedLLMConfig) -> None:
        raise ConfigError(
            "the method of a lower model is fixed",
            remedy="use model.with_method(…), or engine.with_policy(…) if the model belongs to an engine",
        )

    def with_method(self, method: SharedLLMConfig) -> Self:
        """Return a lower model with the same layers and another configuration of the method."""
        other = copy.copy(self)
        other._method = method
        return other

    @property
    def batch_tokens(self) -> int:
        """The maximum number of tokens in a batch; settable. Out-of-memory errors halve it permanently."""
        if self._batch_tokens is not None:
            return self._batch_tokens
        return _BATCH_TOKENS_CPU if self.device.type == "cpu" else _BATCH_TOKENS_ACCELERATOR

    @batch_tokens.setter
    def batch_tokens(self, tokens: int) -> None:
        self._batch_tokens = tokens

    @property
    def pooling(self) -> Pooling:
        """How selection vectors are pooled."""
        return load_policy(self.method.policy).pooling or "last"

    @property
    def layers(self) -> list[Any]:
        """The bottom M layers."""
        return list(self.backbone.layers[: self.method.injection_layers])

    @property
    def device(self) -> torch.device:
        """The device of the token embeddings, where ids are expected."""
        device: torch.device = self.backbone.embed_tokens.weight.device
        return device

    def named_weights(self) -> list[tuple[str, Tensor]]:
        """Return the weights that states and selection vectors depend on: embeddings, bottom M layers, final norm."""
        parts: list[nn.Module] = [self.backbone.embed_tokens, *self.layers, self.backbone.norm]
        return [(f"{i}.{name}", weight) for i, part in enumerate(parts) for name, weight in part.named_parameters()]

    def origin(self) -> StateOrigin:
        """Return the origin recorded with the states that this model computes."""
        return StateOrigin(self.method, *self._rope, self._signature())

    @cached_property
    def _rope(self) -> tuple[Tensor, float]:
        """The base model's original inverse frequencies [D/2], float32 on the CPU, and its attention scaling."""
        # Recomputed: model.to(torch.bfloat16) rounds the model's own buffer.
        with torch.device("cpu"):
            rotary = type(self.backbone.rotary_emb)(config=self.backbone.config)
        return rotary.original_inv_freq.float(), float(rotary.attention_scaling)

    def states(self, tokens: PastTokens, nodes: Sequence[Sequence[Node]]) -> Iterator[tuple[list[int], StateBatch]]:
        """Yield the kept states of nodes, batch by batch.

        Args:
            tokens: token ids of the chunks.
            nodes: the nodes to encode of each chunk.

        Yields:
            The indices of a batch's nodes, counted over all chunks in order, and their states.
        """
        chunk_nodes = _flatten(nodes)
        # The nodes that one run serves: with shared encoding all of a chunk, else those of the same tokens at several
        # levels, such as all nodes of a chunk that is too short to be split.
        nodes_of_run: dict[_ChunkNode, list[int]] = {}
        shared = self.method.node_encoding == "shared"
        for index, (chunk, node) in enumerate(chunk_nodes):
            span = whole_chunk(tokens.lengths[chunk]) if shared else node._replace(level=0)
            nodes_of_run.setdefault((chunk, span), []).append(index)
        runs = list(nodes_of_run)
        padded = shared or bool(self.method.split_after)

        def group(span: Node) -> Hashable:
            return _padded_length(span.length) if padded else span.length

        def run(batch: list[_ChunkNode]) -> StateBatch:
            kept = [
                [node.start - span.start + at for node in own for at in self._kept_tokens(node)]
                for chunk, span in batch
                for own in [[chunk_nodes[index][1] for index in nodes_of_run[chunk, span]]]
            ]
            return self._states(tokens.node_ids(batch), [span.length for _, span in batch], kept)

        for numbers, states in self._in_batches(runs, group, run):
            yield [index for number in numbers for index in nodes_of_run[runs[number]]], states

    def selection_vectors(self, tokens: PastTokens, nodes: Sequence[Sequence[Node]]) -> Tensor:
        """Compute v(x) of nodes: their last or mean hidden state after the first layer and the final norm.

        Args:
            tokens: token ids of the chunks.
            nodes: the nodes of each chunk.

        Returns:
            [number of nodes, E], chunk after chunk.
        """
        chunk_nodes = _flatten(nodes)
        rows: list[Tensor | None] = [None] * len(chunk_nodes)
        pooling, full = self.pooling, self.method.lower_attention == "full"

        def run(batch: list[_ChunkNode]) -> Tensor:
            ids_NL = tokens.node_ids(batch)
            return (
                last_vectors(self.backbone, ids_NL)
                if pooling == "last"
                else mean_vectors(self.backbone, ids_NL, full=full)
            )

        batches = self._in_batches(chunk_nodes, lambda node: node.length, run)
        for indices, vectors_NE in batches:
            for index, vector_E in zip(indices, vectors_NE, strict=True):
                rows[index] = vector_E
        return torch.stack([row for row in rows if row is not None])

    # ---------------------------------------------------------------------------------------------- one batch

    def _kept_tokens(self, node: Node) -> list[int]:
        """Return the offsets in the node of the tokens whose states are kept."""
        return kept_tokens(node.length, num_states(node.length, node.level, self.method), self.method.sample_at)

    def _states(self, ids_NL: Tensor, lengths: list[int], kept: Sequence[Sequence[int]]) -> StateBatch:
        """Run the layers on a padded batch of nodes, and project keys and values of the kept tokens.

        Args:
            ids_NL: token ids, padded on the right.
            lengths: N, tokens of each node without padding.
            kept: for each node, the offsets of the tokens to keep.
        """
        length = ids_NL.shape[1]
        positions_S = [row * length + offset for row, offsets in enumerate(kept) for offset in offsets]
        # Each token is projected once, also where nodes at several levels keep it.
        projected, places_S = torch.tensor(positions_S, dtype=torch.long).unique(return_inverse=True)
        hidden_NLE = self.backbone.embed_tokens(ids_NL)
        positions = torch.arange(length, device=hidden_NLE.device)[None]
        rotation = self.backbone.rotary_emb(hidden_NLE, positions)
        full = self.method.lower_attention == "full"
        states = StateBatch([], [])
        for number, layer in enumerate(self.layers):
            hidden_NLE = hidden_NLE.to(device_of(layer))
            index, places = projected.to(hidden_NLE.device), places_S.to(hidden_NLE.device)
            projected_E = layer.input_layernorm(hidden_NLE.flatten(0, 1).index_select(0, index))
            states.keys.append(project_keys(layer.self_attn, projected_E)[places].transpose(0, 1))
            states.values.append(project_values(layer.self_attn, projected_E)[places].transpose(0, 1))
            if number + 1 < self.method.injection_layers:
                attention = node_attention(self.backbone.config, number, hidden_NLE, lengths, full=full)
                hidden_NLE = layer(hidden_NLE, position_embeddings=rotation, **attention)
        return states

    # ---------------------------------------------------------------------------------------------- batching

    def _in_batches(
        self,
        chunk_nodes: Sequence[_ChunkNode],
        group: Callable[[Node], Hashable],
        run: Callable[[list[_ChunkNode]], _T],
    ) -> Iterator[tuple[list[int], _T]]:
        """Run nodes in batches of one group; a batch that runs out of memory is halved and retried."""
        groups: dict[Hashable, list[int]] = {}
        for index, (_, node) in enumerate(chunk_nodes):
            groups.setdefault(group(node), []).append(index)
        for members in groups.values():
            node_tokens = chunk_nodes[members[0]][1].length
            done = 0
            while done < len(members):
                batch = members[done : done + max(1, self.batch_tokens // node_tokens)]
                try:
                    result = run([chunk_nodes[i] for i in batch])
                except RuntimeError as error:
                    if not is_out_of_memory(error):
                        raise
                    self._halve_batch(len(batch), node_tokens, error)
                    continue
                yield batch, result
                done += len(batch)

    def _halve_batch(self, batch_nodes: int, node_tokens: int, error: RuntimeError) -> None:
        if batch_nodes == 1:
            raise DeviceMemoryError(
                f"{self.device} has too little memory for the lower model to encode one node of {node_tokens} tokens",
                remedy="free memory, use smaller chunk_tokens, or another device",
            ) from error
        self.batch_tokens = batch_nodes // 2 * node_tokens

    @torch.no_grad()
    def _signature(self) -> Tensor:
        weights = [weight for _, weight in self.named_weights()]
        if any(weight.is_meta for weight in weights):
            return torch.empty(0)
        samples = []
        for weight in weights:
            last = weight.numel() - 1
            index = [i * last // (_SIGNATURE_ELEMENTS - 1) for i in range(_SIGNATURE_ELEMENTS)]
            sample = weight.reshape(-1)[torch.tensor(index, device=weight.device)].float()
            samples.append(sample.to(self.device))  # gathered on one device for a single copy to the CPU
        return torch.stack(samples).cpu()


def _flatten(nodes: Sequence[Sequence[Node]]) -> list[_ChunkNode]:
    return [(chunk, node) for chunk, of_chunk in enumerate(nodes) for node in of_chunk]


def _padded_length(length: int) -> int:
    """Return the length to which nodes of similar length are padded: less than a quarter more."""
    step = max(1, 2 ** (length.bit_length() - 3))
    return -(-length // step) * step


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch is an out-of-memory error."""
    # The CPU's allocator and MPS raise plain RuntimeErrors.
    return isinstance(error, torch.OutOfMemoryError) or is_out_of_memory_message(str(error))


def is_out_of_memory_message(text: str) -> bool:
    """Whether an error message or a process's output reports too little memory."""
    lowered = text.lower()
    return any(phrase in lowered for phrase in _OUT_OF_MEMORY_PHRASES)
