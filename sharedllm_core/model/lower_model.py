"""The lower model: the upper model's own bottom M layers, run on nodes of past context (paper, section 3.1).

It has no weights of its own. Each node is run alone, positions from 0, batched with nodes of equal length; with
`node_encoding="shared"` whole chunks are run, and the states of all nodes are taken from that run. Nodes that are split
at the ends of sentences differ in length: those of about equal length are batched, and shorter ones are padded on the
right, where causal attention does not look. A batch holds at most `batch_tokens` tokens, so the memory beyond the kept
states does not grow with the past context. When the device runs out of memory, `batch_tokens` is halved and the batch
is retried.

Two things are skipped because nothing uses them: the last of the M layers yields only keys and values, so its attention
and MLP never run; a selection vector is the last token's, so the first layer's queries and MLP run for that token only.
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

__all__ = ["LowerModel", "PastTokens", "StateBatch", "is_out_of_memory", "says_out_of_memory"]

#: A node and the number of its chunk.
_Placed = tuple[int, Node]

# Suffixes: N nodes of a batch, L tokens of a node, E hidden size, K key/value heads, G query heads per key/value head,
# D head size, S kept states of a node.

# Small batches stay in a processor's caches; accelerators want to be filled.
_BATCH_TOKENS_CPU = 2048
_BATCH_TOKENS_ACCELERATOR = 16384
_SIGNATURE_ELEMENTS = 8  # of each weight
_OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "cublas_status_alloc_failed")

_T = TypeVar("_T")


class PastTokens:
    """The token ids of several chunks, end to end on one device.

    Args:
        chunks: 1-D tensors of ids, none empty.
        device: where the lower model reads them.
    """

    def __init__(self, chunks: Sequence[Tensor], device: torch.device) -> None:
        self.chunks = chunks
        self.lengths = [len(chunk) for chunk in chunks]
        self._starts = [0, *accumulate(self.lengths)]
        self._ids = torch.cat(list(chunks)).to(device)

    def of_nodes(self, nodes: Sequence[tuple[int, Node]]) -> Tensor:
        """Ids [N, L] of nodes, each with the number of its chunk; nodes shorter than L repeat their last token."""
        device = self._ids.device
        first_N = torch.tensor([self._starts[chunk] + node.start for chunk, node in nodes], device=device)
        last_N = torch.tensor([node.length - 1 for _, node in nodes], device=device)
        place_L = torch.arange(max(node.length for _, node in nodes), device=device)
        return self._ids[first_N[:, None] + torch.minimum(place_L, last_N[:, None])]


@dataclass(frozen=True)
class StateBatch:
    """Kept states of some nodes, one after another: per layer keys (before RoPE) and values, each [K, S, D]."""

    keys: list[Tensor]
    values: list[Tensor]


class LowerModel:
    """The bottom layers of `backbone` as a reader of nodes.

    Args:
        backbone: the base model without its head: `embed_tokens`, `layers`, `norm`, `rotary_emb`.
        method: the numbers of the method.
    """

    def __init__(self, backbone: Any, method: SharedLLMConfig) -> None:
        self.backbone = backbone
        self._method = method
        self._batch_tokens: int | None = None

    @property
    def method(self) -> SharedLLMConfig:
        """The numbers of the method; fixed."""
        return self._method

    @method.setter
    def method(self, method: SharedLLMConfig) -> None:
        raise ConfigError(
            "the method of a lower model is fixed",
            remedy="use model.with_method(…), or engine.with_policy(…) where the model belongs to an engine",
        )

    def with_method(self, method: SharedLLMConfig) -> Self:
        """The same layers with other numbers of the method."""
        other = copy.copy(self)
        other._method = method
        return other

    @property
    def batch_tokens(self) -> int:
        """The most tokens in a batch. Set it as you like; it is halved for good when the device runs out of memory."""
        if self._batch_tokens is not None:
            return self._batch_tokens
        return _BATCH_TOKENS_CPU if self.device.type == "cpu" else _BATCH_TOKENS_ACCELERATOR

    @batch_tokens.setter
    def batch_tokens(self, tokens: int) -> None:
        self._batch_tokens = tokens

    @property
    def pooling(self) -> Pooling:
        """Of what selection vectors are made."""
        return load_policy(self.method.policy).pooling or "last"

    @property
    def layers(self) -> list[Any]:
        """The bottom M layers."""
        return list(self.backbone.layers[: self.method.injection_layers])

    @property
    def device(self) -> torch.device:
        """Where token ids are read."""
        device: torch.device = self.backbone.embed_tokens.weight.device
        return device

    def named_weights(self) -> list[tuple[str, Tensor]]:
        """The weights that states and selection vectors depend on: embeddings, bottom M layers, final norm."""
        parts: list[nn.Module] = [self.backbone.embed_tokens, *self.layers, self.backbone.norm]
        return [(f"{i}.{name}", weight) for i, part in enumerate(parts) for name, weight in part.named_parameters()]

    def origin(self) -> StateOrigin:
        """The identity of the states that this model makes now."""
        return StateOrigin(self.method, *self._rope, self._signature())

    @cached_property
    def _rope(self) -> tuple[Tensor, float]:
        """The base model's original inverse frequencies [D/2], float32 on the CPU, and its attention scaling."""
        # Made anew: the model's own buffer is rounded by model.to(torch.bfloat16).
        with torch.device("cpu"):
            rotary = type(self.backbone.rotary_emb)(config=self.backbone.config)
        return rotary.original_inv_freq.float(), float(rotary.attention_scaling)

    def states(self, tokens: PastTokens, nodes: Sequence[Sequence[Node]]) -> Iterator[tuple[list[int], StateBatch]]:
        """Yield the kept states of nodes, batch by batch.

        Args:
            tokens: of the chunks.
            nodes: of each chunk.

        Yields:
            Which nodes, counted through all chunks in order, and their states.
        """
        placed = _placed(nodes)
        if self.method.node_encoding == "shared":
            return self._states_of_chunks(tokens, placed)

        def shape(node: Node) -> Hashable:
            if self.method.split_after:
                return _padded_length(node.length)
            return node.length, num_states(node.length, node.level, self.method)

        def run(batch: list[_Placed]) -> StateBatch:
            kept = [self._kept(node) for _, node in batch]
            return self._states(tokens.of_nodes(batch), [node.length for _, node in batch], kept)

        return self._in_batches(placed, shape, run)

    def _states_of_chunks(
        self, tokens: PastTokens, placed: Sequence[_Placed]
    ) -> Iterator[tuple[list[int], StateBatch]]:
        """`states`, from one run of each chunk that has nodes."""
        indices_of: dict[int, list[int]] = {}
        for index, (chunk, _) in enumerate(placed):
            indices_of.setdefault(chunk, []).append(index)
        chunks = [(number, whole_chunk(tokens.lengths[number])) for number in indices_of]

        def run(batch: list[_Placed]) -> StateBatch:
            own = [[placed[index][1] for index in indices_of[number]] for number, _ in batch]
            kept = [[node.start + at for node in nodes for at in self._kept(node)] for nodes in own]
            return self._states(tokens.of_nodes(batch), [chunk.length for _, chunk in batch], kept)

        for numbers, states in self._in_batches(chunks, lambda chunk: _padded_length(chunk.length), run):
            yield [index for number in numbers for index in indices_of[chunks[number][0]]], states

    def selection_vectors(self, tokens: PastTokens, nodes: Sequence[Sequence[Node]]) -> Tensor:
        """Compute v(x) of nodes: the hidden state of their last token, or the mean, after layer one and the final norm.

        Args:
            tokens: of the chunks.
            nodes: of each chunk.

        Returns:
            [number of nodes, E], chunk after chunk.
        """
        placed = _placed(nodes)
        rows: list[Tensor | None] = [None] * len(placed)
        pooling, full = self.pooling, self.method.lower_attention == "full"

        def run(batch: list[_Placed]) -> Tensor:
            ids_NL = tokens.of_nodes(batch)
            return (
                last_vectors(self.backbone, ids_NL)
                if pooling == "last"
                else mean_vectors(self.backbone, ids_NL, full=full)
            )

        batches = self._in_batches(placed, lambda node: node.length, run)
        for indices, vectors_NE in batches:
            for index, vector_E in zip(indices, vectors_NE, strict=True):
                rows[index] = vector_E
        return torch.stack([row for row in rows if row is not None])

    # ---------------------------------------------------------------------------------------------- one batch

    def _kept(self, node: Node) -> list[int]:
        """The places in the node of the tokens whose states are kept."""
        return kept_tokens(node.length, num_states(node.length, node.level, self.method), self.method.sample_at)

    def _states(self, ids_NL: Tensor, lengths: list[int], kept: Sequence[Sequence[int]]) -> StateBatch:
        """States at the places `kept` of each of the texts `ids_NL`, of which only `lengths` tokens are their own."""
        length = ids_NL.shape[1]
        places = [row * length + at for row, of_row in enumerate(kept) for at in of_row]
        hidden_NLE = self.backbone.embed_tokens(ids_NL)
        positions = torch.arange(length, device=hidden_NLE.device)[None]
        rotation = self.backbone.rotary_emb(hidden_NLE, positions)
        full = self.method.lower_attention == "full"
        states = StateBatch([], [])
        for number, layer in enumerate(self.layers):
            hidden_NLE = hidden_NLE.to(device_of(layer))
            index = torch.tensor(places, device=hidden_NLE.device)
            kept_SE = layer.input_layernorm(hidden_NLE.flatten(0, 1).index_select(0, index))
            states.keys.append(project_keys(layer.self_attn, kept_SE).transpose(0, 1))
            states.values.append(project_values(layer.self_attn, kept_SE).transpose(0, 1))
            if number + 1 < self.method.injection_layers:
                attention = node_attention(self.backbone.config, number, hidden_NLE, lengths, full=full)
                hidden_NLE = layer(hidden_NLE, position_embeddings=rotation, **attention)
        return states

    # ---------------------------------------------------------------------------------------------- batching

    def _in_batches(
        self, placed: Sequence[_Placed], shape: Callable[[Node], Hashable], run: Callable[[list[_Placed]], _T]
    ) -> Iterator[tuple[list[int], _T]]:
        groups: dict[Hashable, list[int]] = {}
        for index, (_, node) in enumerate(placed):
            groups.setdefault(shape(node), []).append(index)
        for members in groups.values():
            node_tokens = placed[members[0]][1].length
            done = 0
            while done < len(members):
                batch = members[done : done + max(1, self.batch_tokens // node_tokens)]
                try:
                    result = run([placed[i] for i in batch])
                except RuntimeError as error:
                    if not is_out_of_memory(error):
                        raise
                    self._halve(len(batch), node_tokens, error)
                    continue
                yield batch, result
                done += len(batch)

    def _halve(self, batch_nodes: int, node_tokens: int, error: RuntimeError) -> None:
        if batch_nodes == 1:
            raise DeviceMemoryError(
                f"{self.device} has too little memory for the lower model to read one node of {node_tokens} tokens",
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
            samples.append(sample.to(self.device))  # together, so that they cross to the CPU at once
        return torch.stack(samples).cpu()


def _placed(nodes: Sequence[Sequence[Node]]) -> list[_Placed]:
    return [(chunk, node) for chunk, of_chunk in enumerate(nodes) for node in of_chunk]


def _padded_length(length: int) -> int:
    """The length to which nodes of about this length are padded: less than a quarter more."""
    step = max(1, 2 ** (length.bit_length() - 3))
    return -(-length // step) * step


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch says that a device has too little memory."""
    # The CPU's allocator and MPS raise plain RuntimeErrors.
    return isinstance(error, torch.OutOfMemoryError) or says_out_of_memory(str(error))


def says_out_of_memory(text: str) -> bool:
    """Whether what a library or a process said means that there was too little memory."""
    said = text.lower()
    return any(sign in said for sign in _OUT_OF_MEMORY)
