"""The lower model: the upper model's own bottom M layers, run on nodes of past context (paper, section 3.1).

It has no weights of its own. Nodes are run alone, positions from 0, in batches of equal length; with
`node_encoding="shared"` whole chunks are, and the states of all their nodes are taken from that run. Where nodes are
split at the ends of sentences, lengths are all different: there batches are of about equal length, and shorter nodes
are filled up on the right with what nobody sees. A batch holds at most `batch_tokens` tokens: what the lower model
needs beyond the states that are kept does not grow with the past context. When the device runs out of memory,
`batch_tokens` is halved and the batch is tried again.

Two things are not computed because nobody reads them: the last of the M layers gives only keys and values, so its
attention and MLP never run; a selection vector is a last token's, so the first layer's queries and MLP run for that
token alone.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from ..errors import DeviceMemoryError
from ..method.config import SharedLLMConfig
from ..method.context_tree import Node, kept_tokens, num_states, whole_chunk
from ..selection.policy import Pooling, load_policy
from .base_families import sliding_window
from .node_attention import node_attention
from .node_states import StateOrigin
from .rotary import rotate

__all__ = ["LowerModel", "PastTokens", "StateBatch", "is_out_of_memory", "says_out_of_memory"]

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

    def of_nodes(self, nodes: Sequence[Node]) -> Tensor:
        """Ids [N, L] of nodes; shorter ones than the longest repeat their last token."""
        device = self._ids.device
        first_N = torch.tensor([self._starts[node.chunk] + node.start for node in nodes], device=device)
        last_N = torch.tensor([node.length - 1 for node in nodes], device=device)
        place_L = torch.arange(max(node.length for node in nodes), device=device)
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
        self.method = method
        self._batch_tokens: int | None = None

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

    def states(self, tokens: PastTokens, nodes: Sequence[Node]) -> Iterator[tuple[list[int], StateBatch]]:
        """The kept states of `nodes`, batch by batch: which of the nodes, and their states."""
        if self.method.node_encoding == "shared":
            return self._states_of_chunks(tokens, nodes)

        def shape(node: Node) -> Hashable:
            if self.method.split_after:
                return _filled_up(node.length)
            return node.length, num_states(node.length, node.level, self.method)

        def run(batch: list[Node]) -> StateBatch:
            kept = [self._kept(node) for node in batch]
            return self._states(tokens.of_nodes(batch), [node.length for node in batch], kept)

        return self._in_batches(nodes, shape, run)

    def _states_of_chunks(self, tokens: PastTokens, nodes: Sequence[Node]) -> Iterator[tuple[list[int], StateBatch]]:
        """The same from one run of each chunk that the nodes belong to."""
        of_chunk: dict[int, list[int]] = {}
        for index, node in enumerate(nodes):
            of_chunk.setdefault(node.chunk, []).append(index)
        chunks = [whole_chunk(number, tokens.lengths[number]) for number in of_chunk]

        def run(batch: list[Node]) -> StateBatch:
            own = [[nodes[index] for index in of_chunk[chunk.chunk]] for chunk in batch]
            kept = [[node.start + at for node in of_one for at in self._kept(node)] for of_one in own]
            return self._states(tokens.of_nodes(batch), [chunk.length for chunk in batch], kept)

        for numbers, states in self._in_batches(chunks, lambda chunk: _filled_up(chunk.length), run):
            yield [index for number in numbers for index in of_chunk[chunks[number].chunk]], states

    def selection_vectors(self, tokens: PastTokens, nodes: Sequence[Node]) -> Tensor:
        """v(x) of each node [len(nodes), E]: its last token, or mean, after the first layer and the final norm."""
        rows: list[Tensor | None] = [None] * len(nodes)
        pool = {"last": self._last_vectors, "mean": self._mean_vectors}[self.pooling]
        batches = self._in_batches(nodes, lambda node: node.length, lambda batch: pool(tokens.of_nodes(batch)))
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
        states = StateBatch([], [])
        for number, layer in enumerate(self.layers):
            hidden_NLE = hidden_NLE.to(_device(layer))
            index = torch.tensor(places, device=hidden_NLE.device)
            kept_SE = layer.input_layernorm(hidden_NLE.flatten(0, 1).index_select(0, index))
            states.keys.append(_keys(layer.self_attn, kept_SE).transpose(0, 1))
            states.values.append(_heads(layer.self_attn, layer.self_attn.v_proj(kept_SE)).transpose(0, 1))
            if number + 1 < self.method.injection_layers:
                attention = self._attention(number, hidden_NLE, lengths)
                hidden_NLE = layer(hidden_NLE, position_embeddings=rotation, **attention)
        return states

    def _last_vectors(self, ids_NL: Tensor) -> Tensor:
        layer = self.backbone.layers[0]
        attention = layer.self_attn
        hidden_NLE = self.backbone.embed_tokens(ids_NL).to(_device(layer))
        length = ids_NL.shape[1]
        cos, sin = self.backbone.rotary_emb(hidden_NLE, torch.arange(length, device=hidden_NLE.device)[None])
        normed_NLE = layer.input_layernorm(hidden_NLE)
        last_NE = hidden_NLE[:, -1]
        query_NKGD = _queries(attention, normed_NLE[:, -1])
        query_NKGD = rotate(query_NKGD, cos[0, -1], sin[0, -1])
        key_NKLD = rotate(_keys(attention, normed_NLE).transpose(1, 2), cos[0], sin[0])
        value_NKLD = _heads(attention, attention.v_proj(normed_NLE)).transpose(1, 2)
        if (window := sliding_window(self.backbone.config, 0)) is not None:
            key_NKLD, value_NKLD = key_NKLD[:, :, -window:], value_NKLD[:, :, -window:]
        mixed_NKGD = scaled_dot_product_attention(query_NKGD, key_NKLD, value_NKLD, scale=attention.scaling)
        last_NE = last_NE + attention.o_proj(mixed_NKGD.flatten(1))
        last_NE = last_NE + layer.mlp(layer.post_attention_layernorm(last_NE))
        norm = self.backbone.norm
        vectors: Tensor = norm(last_NE.to(norm.weight.device))
        return vectors

    def _mean_vectors(self, ids_NL: Tensor) -> Tensor:
        layer = self.backbone.layers[0]
        hidden_NLE = self.backbone.embed_tokens(ids_NL).to(_device(layer))
        positions = torch.arange(ids_NL.shape[1], device=hidden_NLE.device)[None]
        rotation = self.backbone.rotary_emb(hidden_NLE, positions)
        attention = self._attention(0, hidden_NLE, [ids_NL.shape[1]])
        hidden_NLE = layer(hidden_NLE, position_embeddings=rotation, **attention)
        norm = self.backbone.norm
        normed_NLE: Tensor = norm(hidden_NLE.to(norm.weight.device))
        return normed_NLE.mean(dim=1)

    def _attention(self, layer: int, hidden_NLE: Tensor, lengths: Sequence[int]) -> dict[str, Any]:
        full = self.method.lower_attention == "full"
        return node_attention(self.backbone.config, layer, hidden_NLE, lengths, full=full)

    # ---------------------------------------------------------------------------------------------- batching

    def _in_batches(
        self, nodes: Sequence[Node], shape: Callable[[Node], Hashable], run: Callable[[list[Node]], _T]
    ) -> Iterator[tuple[list[int], _T]]:
        groups: dict[Hashable, list[int]] = {}
        for index, node in enumerate(nodes):
            groups.setdefault(shape(node), []).append(index)
        for members in groups.values():
            done = 0
            while done < len(members):
                batch = members[done : done + max(1, self.batch_tokens // nodes[members[0]].length)]
                try:
                    result = run([nodes[i] for i in batch])
                except RuntimeError as error:
                    if not is_out_of_memory(error):
                        raise
                    self._halve(len(batch), nodes[members[0]].length, error)
                    continue
                yield batch, result
                done += len(batch)

    def _halve(self, batch_nodes: int, node_tokens: int, error: RuntimeError) -> None:
        if batch_nodes == 1:
            raise DeviceMemoryError(
                f"{self.device} has too little memory for the lower model to read one node of {node_tokens} tokens; "
                "free memory, use smaller chunk_tokens, or another device"
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


def _filled_up(length: int) -> int:
    """The length to which nodes of about this length are filled up: less than a quarter more."""
    step = max(1, 2 ** (length.bit_length() - 3))
    return -(-length // step) * step


def _device(layer: nn.Module) -> torch.device:
    return next(layer.parameters()).device


def _heads(attention: Any, projected: Tensor) -> Tensor:
    """[…, heads · D] → […, heads, D]."""
    return projected.unflatten(-1, (-1, attention.head_dim))


def _keys(attention: Any, normed: Tensor) -> Tensor:
    """Keys before RoPE, […, K, D]."""
    keys = _heads(attention, attention.k_proj(normed))
    return attention.k_norm(keys) if hasattr(attention, "k_norm") else keys


def _queries(attention: Any, normed_NE: Tensor) -> Tensor:
    """Queries before RoPE of one token per node, [N, K, G, D]."""
    queries = _heads(attention, attention.q_proj(normed_NE))
    queries = attention.q_norm(queries) if hasattr(attention, "q_norm") else queries
    return queries.unflatten(1, (-1, attention.num_key_value_groups))


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch says that a device has too little memory."""
    # The CPU's allocator and MPS raise plain RuntimeErrors.
    return isinstance(error, torch.OutOfMemoryError) or says_out_of_memory(str(error))


def says_out_of_memory(text: str) -> bool:
    """Whether what a library or a process said means that there was too little memory."""
    said = text.lower()
    return any(sign in said for sign in _OUT_OF_MEMORY)
