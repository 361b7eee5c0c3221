"""Entries in formats 3 and 4, which earlier versions wrote: they are read whole, and not written any more.

Keys and values of all nodes are one tensor each; format 4 stores states that several nodes share once, with an index.
One checksum covers the entry.
"""

import json
import struct
from typing import Any

import torch
import xxhash
from torch import Tensor

from ..errors import DamagedEntryError
from ..method.context_tree import Node
from ..model.node_states import NodeStates, StateOrigin
from ..model.tree_head import TreeHead
from ._tier import Blob
from .entry_layout import RECOMPUTED, STATE_DTYPES, unreadable_is_damaged

__all__ = ["check", "decode", "decode_head", "is_earlier"]

_FORMAT_WITH_INDEX = 4
_FORMATS = {3, _FORMAT_WITH_INDEX}
_LENGTH = struct.Struct("<Q")  # a safetensors file: length of the header, header as JSON, bytes of the tensors

# Suffixes: M injection layers, K key/value heads, S states, D head size.


def is_earlier(blob: Blob) -> bool:
    """Whether these bytes begin like an entry of an earlier format."""
    try:
        return _header(memoryview(blob))[1]["format"] in _FORMATS
    except Exception:  # not the bytes of any entry
        return False


def decode(blob: Blob, key: str, origin: StateOrigin) -> NodeStates:
    """Deserialize the states of an entry.

    Args:
        blob: bytes of an earlier format; if writable, the tensors may be views of them.
        key: the key under which the entry is stored.
        origin: the model that the states belong to.

    Raises:
        DamagedEntryError: the bytes are not the entry of `key`.
    """
    with unreadable_is_damaged():
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


def decode_head(blob: Blob, key: str) -> TreeHead:
    """Return what selection needs of an entry; for arguments and errors see `decode`."""
    with unreadable_is_damaged():
        tree, tensors = _read(blob, key)
        return TreeHead(
            tensors["token_ids"],
            _nodes(tree["nodes"]),
            tuple(tree["states_per_node"]),
            _nodes(tree["vector_nodes"]),
            tensors["vectors"],
        )


def check(blob: Blob, key: str) -> None:
    """Verify an entry's checksum and key.

    Raises:
        DamagedEntryError: the bytes are not those that were stored under `key`.
    """
    with unreadable_is_damaged():
        tree, tensors = _read(blob, key)
        stored = tree.pop("checksum")
        found = _checksum(tree, tensors)
    if stored != found:
        raise DamagedEntryError(f"the entry's checksum is {found} and should be {stored}", remedy=RECOMPUTED)


def _read(blob: Blob, key: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    buffer = memoryview(blob)
    if buffer.readonly:  # torch warns about tensors on read-only memory
        buffer = memoryview(bytearray(blob))
    header, tree, first = _header(buffer)
    if tree["key"] != key:
        raise DamagedEntryError(f"the entry of {tree['key']} is stored under {key}", remedy=RECOMPUTED)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype, shape = STATE_DTYPES[entry["dtype"]], entry["shape"]
        if begin == end:
            tensors[name] = torch.empty(shape, dtype=dtype)
        else:
            data = buffer[first + begin : first + end]
            tensors[name] = torch.frombuffer(data, dtype=dtype).view(shape)
    return tree, tensors


def _header(buffer: memoryview) -> tuple[dict[str, Any], dict[str, Any], int]:
    """Return the entries of the tensors by name, the description of the tree, and the first byte of the tensors."""
    (length,) = _LENGTH.unpack_from(buffer)
    first = _LENGTH.size + length
    header: dict[str, Any] = json.loads(bytes(buffer[_LENGTH.size : first]))
    return header, json.loads(header.pop("__metadata__")["tree"]), first


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


def _from_int8(name: str, tensors: dict[str, Tensor], dtype: torch.dtype) -> Tensor:
    return (tensors[name].float() * tensors[f"{name}_scale"]).to(dtype)
