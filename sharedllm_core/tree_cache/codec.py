"""Serialization of a chunk's tree: a safetensors file whose metadata holds the nodes and a checksum.

Any safetensors reader can open it. Decoding copies nothing, and the tensors are views of the bytes, unless states are
repeated in the tree: these are stored once, with an index. The checksum (128-bit
xxh3) detects corruption and truncation, not tampering: an attacker could replace the whole entry.

With `int8`, keys and values are quantized to integers from −127 to 127, with one scale per state and head.
"""

import json
import struct
from typing import Any

import torch
import xxhash
from safetensors.torch import save
from torch import Tensor

from ..errors import DamagedEntryError
from ..method.context_tree import Node
from ..model.node_states import NodeStates, StateOrigin
from .repeated_states import without_repeated

__all__ = ["RECOMPUTED", "check", "decode", "encode"]

#: What happens after a damaged entry was found; ends the error message.
RECOMPUTED = "it is computed again"

_FORMAT = 3
_FORMAT_WITH_INDEX = 4
_LENGTH = struct.Struct("<Q")  # a safetensors file: length of the header, header as JSON, bytes of the tensors
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "I32": torch.int32,
    "I8": torch.int8,
}

# Suffixes: M injection layers, K key/value heads, S states, D head size.


def encode(states: NodeStates, key: str, *, int8: bool = False) -> bytes:
    """Serialize `states` as a safetensors file.

    Args:
        states: the states of one chunk.
        key: the key of the entry. It is stored inside the bytes, so that an entry under a wrong key is detected.
        int8: quantize keys and values; lossy, about half the bytes of bfloat16.
    """
    tensors = {"vectors": states.vectors, "token_ids": states.token_ids}
    once = without_repeated(states)
    if once is not None:
        tensors["index"] = once.index
    for name, tensor in (("keys", (once or states).keys), ("values", (once or states).values)):
        tensors |= _to_int8(name, tensor) if int8 else {name: tensor}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    tree: dict[str, Any] = {
        "format": _FORMAT if once is None else _FORMAT_WITH_INDEX,
        "key": key,
        "nodes": states.nodes,
        "states_per_node": states.states_per_node,
        "vector_nodes": states.vector_nodes,
        "dtype": str(states.keys.dtype).removeprefix("torch."),
    }
    tree["checksum"] = _checksum(tree, tensors)
    # One metadata entry only: safetensors writes several in arbitrary order, and equal trees must have equal bytes.
    return save(tensors, {"tree": json.dumps(tree)})


def decode(blob: bytes | bytearray | memoryview, key: str, origin: StateOrigin) -> NodeStates:
    """Deserialize the states of an entry.

    Args:
        blob: bytes from `encode`; if writable, the tensors are views of them.
        key: the key under which the entry is stored.
        origin: the model that the states belong to.

    Raises:
        DamagedEntryError: the bytes are not the entry of `key`.
    """
    try:
        tree, tensors = _read(blob, key)
        dtype = getattr(torch, tree["dtype"])
        states: dict[str, Tensor] = {
            name: _from_int8(name, tensors, dtype) if f"{name}_scale" in tensors else tensors[name]
            for name in ("keys", "values")
        }
        if tree["format"] == _FORMAT_WITH_INDEX:
            states = {name: tensor.index_select(2, tensors["index"]) for name, tensor in states.items()}
        return NodeStates(
            token_ids=tensors["token_ids"],
            nodes=_nodes(tree["nodes"]),
            states_per_node=tuple(tree["states_per_node"]),
            vector_nodes=_nodes(tree["vector_nodes"]),
            vectors=tensors["vectors"],
            origin=origin,
            **states,
        )
    except DamagedEntryError:
        raise
    except Exception as error:  # a corrupt header may cause any error
        raise DamagedEntryError(f"the entry cannot be read as a tree ({error!r})", remedy=RECOMPUTED) from error


def check(blob: bytes | bytearray | memoryview, key: str) -> None:
    """Verify an entry's checksum and key.

    Raises:
        DamagedEntryError: the bytes are not those that were stored under `key`.
    """
    try:
        tree, tensors = _read(blob, key)
        stored = tree.pop("checksum")
        found = _checksum(tree, tensors)
    except DamagedEntryError:
        raise
    except Exception as error:
        raise DamagedEntryError(f"the entry cannot be read as a tree ({error!r})", remedy=RECOMPUTED) from error
    if stored != found:
        raise DamagedEntryError(f"the entry's checksum is {found} and should be {stored}", remedy=RECOMPUTED)


def _read(blob: bytes | bytearray | memoryview, key: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    buffer = memoryview(blob)
    if buffer.readonly:  # torch warns about tensors on read-only memory
        buffer = memoryview(bytearray(blob))
    (length,) = _LENGTH.unpack_from(buffer)
    first = _LENGTH.size + length
    header: dict[str, Any] = json.loads(bytes(buffer[_LENGTH.size : first]))
    tree: dict[str, Any] = json.loads(header.pop("__metadata__")["tree"])
    if tree["format"] not in {_FORMAT, _FORMAT_WITH_INDEX}:
        raise DamagedEntryError(
            f"the entry has format {tree['format']!r} instead of {_FORMAT} or {_FORMAT_WITH_INDEX}", remedy=RECOMPUTED
        )
    if tree["key"] != key:
        raise DamagedEntryError(f"the entry of {tree['key']} is stored under {key}", remedy=RECOMPUTED)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype, shape = _DTYPES[entry["dtype"]], entry["shape"]
        if begin == end:
            tensors[name] = torch.empty(shape, dtype=dtype)
        else:
            data = buffer[first + begin : first + end]
            tensors[name] = torch.frombuffer(data, dtype=dtype).view(shape)
    return tree, tensors


def _checksum(tree: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    digest = xxhash.xxh3_128(json.dumps(tree, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        if tensor.numel():
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return f"xxh3:{digest.hexdigest()}"


def _nodes(rows: list[list[int]]) -> tuple[Node, ...]:
    return tuple(Node(*row) for row in rows)


def _to_int8(name: str, states_MKSD: Tensor) -> dict[str, Tensor]:
    wide = states_MKSD.float()
    scale_MKS1 = wide.abs().amax(dim=-1, keepdim=True).clamp(min=1e-12) / 127
    return {name: (wide / scale_MKS1).round().to(torch.int8), f"{name}_scale": scale_MKS1}


def _from_int8(name: str, tensors: dict[str, Tensor], dtype: torch.dtype) -> Tensor:
    return (tensors[name].float() * tensors[f"{name}_scale"]).to(dtype)
