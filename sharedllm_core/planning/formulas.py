"""Operations and bytes: one formula each.

An operation is a multiplication or an addition of a matrix product, so that a token that passes a matrix costs twice
its elements. Norms, RoPE, softmax and sampling are not counted. Causal attention is counted without the pairs that are
masked, as fused kernels compute it; `skips_masked=False` counts whole squares, as eager attention does.
"""

from ..method.config import SharedLLMConfig
from .shapes import ModelShape
from .trees import TreeCounts

__all__ = [
    "cache_bytes",
    "decoding_operations",
    "injection_operations",
    "int8_cache_bytes",
    "kv_bytes",
    "lower_model_operations",
    "lower_weight_bytes",
    "prefill_operations",
    "state_bytes",
    "vector_operations",
]

_ID_BYTES = 4
_SCALE_BYTES = 4  # a float32

# ---------------------------------------------------------------------------------------------- operations


def attention_operations(shape: ModelShape, pairs: int) -> int:
    """Scores and mixtures of one layer for `pairs` of a query and a key: 2 · 2 · heads · head size each."""
    return 4 * shape.query_width * pairs


def causal_pairs(tokens: int, *, seen: int = 0, skips_masked: bool = True) -> int:
    """Pairs of a query and a key when `tokens` look back on each other and on `seen` tokens before them."""
    among = tokens * (tokens + 1) // 2 if skips_masked else tokens**2
    return tokens * seen + among


def lower_model_operations(
    shape: ModelShape, method: SharedLLMConfig, counts: TreeCounts, *, skips_masked: bool = True
) -> int:
    """The lower model on all nodes of `counts`, with their selection vectors.

    A node passes M − 1 whole layers, attending to itself alone. In each of the M layers the keys and values of kept
    tokens are computed once more, before RoPE; in the last one nothing else is.
    """
    operations = 0
    for (length, states), times in counts.nodes:
        layer = 2 * length * shape.layer_matrix_elements
        layer += attention_operations(shape, causal_pairs(length, skips_masked=skips_masked))
        kept = 2 * states * 2 * shape.hidden * shape.kv_width
        operations += times * ((method.injection_layers - 1) * layer + method.injection_layers * kept)
    return operations + sum(times * vector_operations(shape, length) for length, times in counts.vectors)


def vector_operations(shape: ModelShape, length: int) -> int:
    """The selection vector of a node: the first layer's keys and values of all tokens, all else of the last alone."""
    keys_values = 2 * length * 2 * shape.hidden * shape.kv_width
    rest = 2 * (shape.layer_matrix_elements - 2 * shape.hidden * shape.kv_width)
    return keys_values + rest + attention_operations(shape, length)


def prefill_operations(shape: ModelShape, tokens: int, *, seen: int = 0, skips_masked: bool = True) -> int:
    """The base model on `tokens` that look back on `seen` tokens whose keys and values are kept; one row of logits."""
    layer = 2 * tokens * shape.layer_matrix_elements
    layer += attention_operations(shape, causal_pairs(tokens, seen=seen, skips_masked=skips_masked))
    return shape.layers * layer + 2 * shape.embedding_parameters


def injection_operations(shape: ModelShape, method: SharedLLMConfig, tokens: int, states: int) -> int:
    """The injection of `states` into `tokens` of running text: W_q' and W_o', and every query sees every state."""
    if not states:
        return 0
    layer = 2 * tokens * shape.injection_matrix_elements + attention_operations(shape, tokens * states)
    return method.injection_layers * layer


def decoding_operations(shape: ModelShape, seen: int) -> int:
    """The base model on one token that looks back on `seen` tokens."""
    return prefill_operations(shape, 1, seen=seen)


# ---------------------------------------------------------------------------------------------- bytes


def kv_bytes(shape: ModelShape, tokens: int) -> int:
    """Keys and values of `tokens` in all N layers: what full attention keeps."""
    return shape.layers * 2 * shape.kv_width * tokens * shape.bytes_per_parameter


def state_bytes(shape: ModelShape, method: SharedLLMConfig, states: int) -> int:
    """Keys and values of `states` in the M injection layers."""
    return method.injection_layers * 2 * shape.kv_width * states * shape.bytes_per_parameter


def vector_bytes(shape: ModelShape, vectors: int) -> int:
    """Selection vectors, each as wide as the hidden states."""
    return vectors * shape.hidden * shape.bytes_per_parameter


def cache_bytes(shape: ModelShape, method: SharedLLMConfig, counts: TreeCounts) -> int:
    """What the tree cache keeps of `counts`: token ids, states and selection vectors, without the files' headers."""
    ids_and_vectors = _ID_BYTES * counts.past_tokens + vector_bytes(shape, counts.num_vectors)
    return state_bytes(shape, method, counts.num_states) + ids_and_vectors


def int8_cache_bytes(shape: ModelShape, method: SharedLLMConfig, counts: TreeCounts) -> int:
    """The same with states of one byte per number and a float32 scale per state and head; vectors stay as they are."""
    heads = method.injection_layers * 2 * shape.kv_heads * counts.num_states
    ids_and_vectors = _ID_BYTES * counts.past_tokens + vector_bytes(shape, counts.num_vectors)
    return heads * (shape.head_size + _SCALE_BYTES) + ids_and_vectors


def lower_weight_bytes(shape: ModelShape, method: SharedLLMConfig) -> int:
    """Weights of the bottom M layers."""
    return method.injection_layers * shape.layer_parameters * shape.bytes_per_parameter
