"""The layout of an entry: a safetensors file with a small head and one part per node.

    length of the header, 8 bytes    ┐
    header as JSON                   │ head: everything that selection needs
    vectors, token_ids               │
    head_checksum                    ┘ of all bytes before it
    keys.0, values.0                 ┐
    keys.1, values.1                 │ parts: the KV states of one node in all layers, with a checksum each in the head
    …                                ┘

Any safetensors reader can open it. A question reads the head and the parts of the nodes that it retains, each in one
range of bytes. The checksums (128-bit xxh3) detect corruption and truncation, not tampering: an attacker could replace
the whole entry.
"""

import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import xxhash
from torch import Tensor

from ..errors import DamagedEntryError
from ..method.context_tree import Node
from ..model.tree_head import TreeHead
from ._tier import Blob
from .entry_head import ByteRange, EntryHead

__all__ = ["RECOMPUTED", "STATE_DTYPES", "check_part", "parse_head", "unreadable_is_damaged", "write_entry"]

#: What happens after a damaged entry was found; ends the error message.
RECOMPUTED = "it is computed again"

FORMAT = 5
_LENGTH = struct.Struct("<Q")
_HEAD_CHECKSUM = "head_checksum"
_CHECKSUM_BYTES = 16
_MOST_HEAD_BYTES = 2**26  # far more than any head has; damaged bytes may name any length
#: The dtypes of states, scales and numbers, as safetensors calls them.
STATE_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "I32": torch.int32,
    "I8": torch.int8,
}
_DTYPES = STATE_DTYPES | {"U8": torch.uint8}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}

# Suffixes: M injection layers, K key/value heads, S states, D head size.


def write_entry(
    key: str,
    tree: TreeHead,
    dtype: torch.dtype,
    shape: Sequence[int],
    *,
    int8: bool,
    stored_in: Sequence[int],
    parts: Mapping[int, Mapping[str, Tensor]],
) -> bytes:
    """Return the bytes of an entry; all tensors are contiguous and on the CPU.

    Args:
        key: the key of the entry.
        tree, dtype, shape, int8, stored_in: see `EntryHead`.
        parts: by the number of the node the tensors of its part by their names, in the order of
            `EntryHead.part_layout`.
    """
    contents = {number: b"".join(_bytes(tensor) for tensor in part.values()) for number, part in parts.items()}
    description = {
        "format": FORMAT,
        "key": key,
        "nodes": tree.nodes,
        "states_per_node": tree.states_per_node,
        "vector_nodes": tree.vector_nodes,
        "dtype": str(dtype).removeprefix("torch."),
        "shape": list(shape),
        "int8": int8,
        "stored_in": list(stored_in),
        "checksums": {number: _checksum(content) for number, content in contents.items()},
    }
    in_head = {"vectors": tree.vectors, "token_ids": tree.token_ids}
    tensors = in_head | {_HEAD_CHECKSUM: torch.empty(_CHECKSUM_BYTES, dtype=torch.uint8)}
    tensors |= {f"{name}.{number}": tensor for number, part in parts.items() for name, tensor in part.items()}
    header: dict[str, Any] = {"__metadata__": {"tree": json.dumps(description)}}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the safetensors library aligns tensors so, too
    head = b"".join([_LENGTH.pack(len(text)), text, *(_bytes(tensor) for tensor in in_head.values())])
    return b"".join([head, xxhash.xxh3_128_digest(head), *contents.values()])


def parse_head(beginning: Blob, read: Callable[[Sequence[ByteRange]], Sequence[Blob]], key: str) -> EntryHead:
    """Parse and verify the head of an entry.

    Args:
        beginning: the first bytes of the entry; if they are not the whole head, the rest is read.
        read: reads ranges of the entry's bytes.
        key: the key under which the entry is stored.

    Raises:
        DamagedEntryError: the bytes are not the head of the entry of `key`, or have an earlier format.
    """
    with unreadable_is_damaged():
        head = memoryview(beginning)
        (length,) = _LENGTH.unpack_from(head)
        first = _LENGTH.size + length
        head = _extended(head, first, read)
        header: dict[str, Any] = json.loads(bytes(head[_LENGTH.size : first]))
        tree: dict[str, Any] = json.loads(header.pop("__metadata__")["tree"])
        if tree["format"] != FORMAT:
            raise DamagedEntryError(f"the entry has format {tree['format']!r} and not {FORMAT}", remedy=RECOMPUTED)
        begin, end = (first + offset for offset in header[_HEAD_CHECKSUM]["data_offsets"])
        head = _extended(head, end, read)
        if xxhash.xxh3_128_digest(head[:begin]) != bytes(head[begin:end]):
            raise DamagedEntryError("the checksum of the entry's head is wrong", remedy=RECOMPUTED)
        if tree["key"] != key:
            raise DamagedEntryError(f"the entry of {tree['key']} is stored under {key}", remedy=RECOMPUTED)
        token_ids, vectors = (_tensor(head, first, header[name]) for name in ("token_ids", "vectors"))
        return EntryHead(
            TreeHead(
                token_ids,
                _nodes(tree["nodes"]),
                tuple(tree["states_per_node"]),
                _nodes(tree["vector_nodes"]),
                vectors,
            ),
            getattr(torch, tree["dtype"]),
            tuple(tree["shape"]),
            int8=tree["int8"],
            stored_in=tuple(tree["stored_in"]),
            checksums={int(number): checksum for number, checksum in tree["checksums"].items()},
            first_part=end,
        )


def check_part(head: EntryHead, number: int, content: Blob) -> None:
    """Verify the bytes of a node's part.

    Raises:
        DamagedEntryError: they are not those that were stored.
    """
    begin, end = head.ranges[number]
    if len(content) != end - begin:
        raise DamagedEntryError(f"a part has {len(content)} bytes instead of {end - begin}", remedy=RECOMPUTED)
    if (found := _checksum(content)) != head.checksums[number]:
        raise DamagedEntryError(
            f"the part's checksum is {found} and should be {head.checksums[number]}", remedy=RECOMPUTED
        )


@contextmanager
def unreadable_is_damaged() -> Iterator[None]:
    """Turn errors of parsing into `DamagedEntryError`; corrupt bytes may cause any error. I/O errors pass."""
    try:
        yield
    except OSError:  # a DamagedEntryError, too
        raise
    except Exception as error:
        raise DamagedEntryError(f"the entry cannot be read as a tree ({error!r})", remedy=RECOMPUTED) from error


def _extended(head: memoryview, end: int, read: Callable[[Sequence[ByteRange]], Sequence[Blob]]) -> memoryview:
    """Return the entry's first bytes, at least until `end`."""
    if len(head) < end <= _MOST_HEAD_BYTES:
        [rest] = read([(len(head), end)])
        head = memoryview(bytes(head) + bytes(rest))
    if len(head) < end:
        raise DamagedEntryError(f"the entry ends after {len(head)} bytes", remedy=RECOMPUTED)
    return head


def _tensor(head: memoryview, first: int, entry: Mapping[str, Any]) -> Tensor:
    begin, end = entry["data_offsets"]
    tensor = torch.empty(entry["shape"], dtype=_DTYPES[entry["dtype"]])
    if tensor.numel():
        content = np.frombuffer(head[first + begin : first + end], np.uint8)
        tensor.reshape(-1).view(torch.uint8).numpy()[:] = content
    return tensor


def _bytes(tensor: Tensor) -> Any:
    return tensor.reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else b""


def _checksum(content: Any) -> str:
    return f"xxh3:{xxhash.xxh3_128_hexdigest(content)}"


def _nodes(rows: list[list[int]]) -> tuple[Node, ...]:
    return tuple(Node(*row) for row in rows)
