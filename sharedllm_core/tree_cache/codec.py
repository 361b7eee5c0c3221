"""Serialization of a chunk's tree; `entry_layout` describes the bytes.

With `int8`, keys and values are quantized to integers from −127 to 127, with one scale per state and head. States that
several nodes share are stored once (see `repeated_states`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from math import prod

import numpy as np
import torch
from torch import Tensor

from ..method.context_tree import Node
from ..model.node_states import NewStates, NodeStates, StateOrigin, new_states
from ..model.tree_head import TreeHead
from . import earlier_formats
from ._tier import Blob, OpenEntry, whole_entry
from .entry_head import EntryHead
from .entry_layout import RECOMPUTED, check_part, parse_head, unreadable_is_damaged, write_entry
from .repeated_states import places_in_holder, stored_in

__all__ = ["RECOMPUTED", "check", "decode", "decode_head", "encode", "read_head", "read_nodes"]

# Suffixes: M injection layers, K key/value heads, S states, D head size.


def encode(states: NodeStates, key: str, *, int8: bool = False) -> bytes:
    """Serialize `states`.

    Args:
        states: the states of one chunk.
        key: the key of the entry. It is stored inside the bytes, so that an entry under a wrong key is detected.
        int8: quantize keys and values; lossy, about half the bytes of bfloat16.
    """
    on_cpu = replace(states, **{name: getattr(states, name).detach().cpu() for name in ("keys", "values", "vectors")})
    holders = stored_in(on_cpu)
    ends = list(accumulate(states.states_per_node))
    parts = {}
    for number in sorted(set(holders)):
        own = slice(ends[number] - states.states_per_node[number], ends[number])
        parts[number] = _part_tensors(on_cpu.keys[:, :, own], on_cpu.values[:, :, own], int8=int8)
    layers, heads, _, head_size = states.keys.shape
    tree = TreeHead(
        states.token_ids.cpu().contiguous(),
        states.nodes,
        states.states_per_node,
        states.vector_nodes,
        on_cpu.vectors.contiguous(),
    )
    shape = (layers, heads, head_size)
    return write_entry(key, tree, states.keys.dtype, shape, int8=int8, stored_in=holders, parts=parts)


def decode(blob: Blob, key: str, origin: StateOrigin) -> NodeStates:
    """Deserialize all states of an entry, without verifying the checksums of its parts; see `check`.

    Args:
        blob: bytes from `encode`, or an entry of an earlier format.
        key: the key under which the entry is stored.
        origin: the model that the states belong to.

    Raises:
        DamagedEntryError: the bytes are not the entry of `key`.
    """
    if earlier_formats.is_earlier(blob):
        return earlier_formats.decode(blob, key, origin)
    entry = whole_entry(blob)
    head = read_head(entry, key)
    return read_nodes(entry, head, head.tree.nodes, origin)


def decode_head(blob: Blob, key: str) -> TreeHead:
    """Return what selection needs of a whole entry; for arguments and errors see `decode`."""
    if earlier_formats.is_earlier(blob):
        return earlier_formats.decode_head(blob, key)
    return read_head(whole_entry(blob), key).tree


def check(blob: Blob, key: str) -> None:
    """Verify all checksums of an entry, and its key.

    Raises:
        DamagedEntryError: the bytes are not those that were stored under `key`.
    """
    if earlier_formats.is_earlier(blob):
        earlier_formats.check(blob, key)
        return
    entry = whole_entry(blob)
    head = read_head(entry, key)
    with unreadable_is_damaged():
        contents = entry.read(list(head.ranges.values()))
        for number, content in zip(head.ranges, contents, strict=True):
            check_part(head, number, content)


def read_head(entry: OpenEntry, key: str) -> EntryHead:
    """Read and verify the head of an entry.

    Raises:
        DamagedEntryError: the entry is damaged or has an earlier format.
    """
    if entry.head is None:
        entry.head = parse_head(entry.beginning, entry.read, key)
    return entry.head


def read_nodes(
    entry: OpenEntry,
    head: EntryHead,
    nodes: Sequence[Node],
    origin: StateOrigin,
    allocate: NewStates | None = None,
) -> NodeStates:
    """Read the states of some nodes by ranges of bytes, and verify these.

    Args:
        entry: an entry.
        head: its head.
        nodes: the nodes to read; those that the entry does not have are left out.
        origin: the model that the states belong to.
        allocate: makes the tensors that the states are read into; by default new ones. After an error their contents
            are undefined.

    Returns:
        The states of the nodes that the entry has, in the order of `nodes`, with all selection vectors.

    Raises:
        DamagedEntryError: a part that was read is damaged.
    """
    numbers = {node: number for number, node in enumerate(head.tree.nodes)}
    own = [numbers[node] for node in nodes if node in numbers]
    counts = tuple(head.tree.states_per_node[number] for number in own)
    layers, heads, head_size = head.shape
    keys, values = (allocate or new_states)((layers, heads, sum(counts), head_size), head.dtype)
    states = NodeStates(
        token_ids=head.tree.token_ids,
        nodes=tuple(head.tree.nodes[number] for number in own),
        states_per_node=counts,
        keys=keys,
        values=values,
        vector_nodes=head.tree.vector_nodes,
        vectors=head.tree.vectors,
        origin=origin,
    )
    holders = list(dict.fromkeys(head.stored_in[number] for number in own))
    contents = dict(zip(holders, entry.read([head.ranges[holder] for holder in holders]), strict=True))
    with unreadable_is_damaged():
        if entry.verify:
            for holder, content in contents.items():
                check_part(head, holder, content)
        for number, count, end in zip(own, counts, accumulate(counts), strict=True):
            holder = head.stored_in[number]
            places = None if holder == number else places_in_holder(head.tree.nodes[number], count, states)
            _copy_part(contents[holder], head, holder, places, states, slice(end - count, end))
    return states


def _copy_part(
    content: Blob, head: EntryHead, holder: int, places: list[int] | None, states: NodeStates, at: slice
) -> None:
    """Copy the states of one node from a part to their places in `states`.

    Args:
        content: the bytes of the part.
        head: the head of the entry.
        holder: the number of the node whose part it is.
        places: the node's states among those of the part; `None` for all.
        states: the destination.
        at: the places of the node's states there.
    """
    arrays = {
        layout.name: np.frombuffer(content, layout.dtype, prod(layout.shape), layout.begin).reshape(layout.shape)
        for layout in head.part_layout(holder)
    }
    for name, target_MKSD in (("keys", states.keys), ("values", states.values)):
        if head.int8:
            wide_MKSD = torch.from_numpy(arrays[name].astype(np.float32))
            read_MKSD = (wide_MKSD * torch.from_numpy(arrays[f"{name}_scale"].copy())).to(target_MKSD.dtype)
            target_MKSD[:, :, at] = read_MKSD if places is None else read_MKSD[:, :, places]
        else:
            bytes_MKSD = target_MKSD.view(torch.uint8).numpy()
            bytes_MKSD[:, :, at] = arrays[name] if places is None else arrays[name][:, :, places]


def _part_tensors(keys_MKSD: Tensor, values_MKSD: Tensor, *, int8: bool) -> Mapping[str, Tensor]:
    if not int8:
        return {"keys": keys_MKSD.contiguous(), "values": values_MKSD.contiguous()}
    (keys, keys_scale), (values, values_scale) = _to_int8(keys_MKSD), _to_int8(values_MKSD)
    return {"keys_scale": keys_scale, "values_scale": values_scale, "keys": keys, "values": values}


def _to_int8(states_MKSD: Tensor) -> tuple[Tensor, Tensor]:
    wide = states_MKSD.float()
    scale_MKS1 = wide.abs().amax(dim=-1, keepdim=True).clamp(min=1e-12) / 127
    return (wide / scale_MKS1).round().to(torch.int8).contiguous(), scale_MKS1.contiguous()
