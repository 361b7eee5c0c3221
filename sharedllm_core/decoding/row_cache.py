"""`RowCache`: the KV cache of rows that join and leave between two tokens.

All rows end in the same column, so that one step writes one column; what stands left of a shorter row is masked. The
buffers are allocated ahead for the tokens that the rows may still generate, so that a step copies no states.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

__all__ = ["RowCache"]

_ROUND = 64  # columns are allocated in multiples of this, so that rows that join later often fit

# Suffixes: B rows, K key/value heads, T columns, D head size.


class _Columns:
    """What the layers have in common: the number of rows, and the columns [start, end) that are filled."""

    def __init__(self) -> None:
        self.rows = 0
        self.start = 0
        self.end = 0

    @property
    def length(self) -> int:
        """Columns of the longest row."""
        return self.end - self.start


class _RowLayer(DynamicLayer):
    """The keys and values of one layer, in buffers [slots, K, T, D] of which the rows fill a part."""

    def __init__(self, columns: _Columns) -> None:
        super().__init__()
        self._columns = columns
        self.key_buffer: Tensor = torch.zeros(0)
        self.value_buffer: Tensor = torch.zeros(0)

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write the newest columns; return all of them, as views."""
        rows, start, at = self._columns.rows, self._columns.start, self._columns.end
        end = at + key_states.shape[2]
        self.key_buffer[:rows, :, at:end] = key_states
        self.value_buffer[:rows, :, at:end] = value_states
        return self.key_buffer[:rows, :, start:end], self.value_buffer[:rows, :, start:end]

    def get_seq_length(self, *args: Any, **kwargs: Any) -> int:
        """Columns before those that this step writes."""
        return self._columns.length

    def grow(self, like: tuple[Tensor, Tensor], slots: int, width: int, filled: slice, to: int) -> None:
        """Move the filled columns to larger buffers, from column `to` on."""
        old = self.key_buffer, self.value_buffer
        new = [part.new_zeros(slots, part.shape[1], width, part.shape[3]) for part in like]
        rows = self._columns.rows
        if rows:
            for source, target in zip(old, new, strict=True):
                target[:rows, :, to : to + filled.stop - filled.start] = source[:rows, :, filled]
        self.key_buffer, self.value_buffer = new


class RowCache(Cache):
    """See the module.

    Attributes:
        lengths: tokens of each row.
    """

    def __init__(self) -> None:
        super().__init__(layers=[])
        self._columns = _Columns()
        self._slots = self._width = 0
        self.lengths: list[int] = []

    @property
    def is_padded(self) -> bool:
        """Whether some row is shorter than others."""
        return len(set(self.lengths)) > 1

    def join(self, states: Cache, lengths: Sequence[int], new_tokens: int) -> None:
        """Add rows.

        Args:
            states: their keys and values, padded on the left.
            lengths: tokens of each of them.
            new_tokens: the most tokens that any row, old or new, may still generate.
        """
        added = [(layer.keys, layer.values) for layer in states.layers]
        columns, rows, longest = self._columns, len(lengths), max(lengths)
        while len(self.layers) < len(added):
            self.layers.append(_RowLayer(columns))
        self._reserve(added, rows, longest, new_tokens)
        first, last = columns.rows, columns.rows + rows
        for layer, parts in zip(self.layers, added, strict=True):
            for buffer, part in zip((layer.key_buffer, layer.value_buffer), parts, strict=True):
                buffer[first:last, :, : columns.end - longest] = 0  # a masked state must be a finite number
                buffer[first:last, :, columns.end - longest : columns.end] = part[:, :, part.shape[2] - longest :]
        columns.rows = last
        self.lengths += lengths
        self._set_start()

    def _reserve(self, like: Sequence[tuple[Tensor, Tensor]], rows: int, longest: int, new_tokens: int) -> None:
        """Make room for more rows, for a longer one, and for the tokens to come."""
        columns = self._columns
        slots = columns.rows + rows
        before = max(columns.length, longest)
        if slots <= self._slots and columns.end >= longest and columns.end + new_tokens <= self._width:
            return
        self._slots = max(slots, self._slots)
        self._width = -(-(before + new_tokens) // _ROUND) * _ROUND
        filled = slice(columns.start, columns.end)
        for layer, parts in zip(self.layers, like, strict=True):
            layer.grow(parts, self._slots, self._width, filled, before - columns.length)
        columns.start, columns.end = before - columns.length, before

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all rows but these, which are in ascending order."""
        filled = slice(self._columns.start, self._columns.end)
        for layer in self.layers:
            for target, source in enumerate(rows):
                if target != source:
                    for buffer in (layer.key_buffer, layer.value_buffer):
                        buffer[target, :, filled] = buffer[source, :, filled]
        self.lengths = [self.lengths[row] for row in rows]
        self._columns.rows = len(rows)
        self._set_start()

    def stepped(self) -> None:
        """Count the column that every layer has written."""
        self._columns.end += 1
        self.lengths = [length + 1 for length in self.lengths]

    def mask(self, device: torch.device) -> Tensor | None:
        """The attention mask [B, T + 1] of the next step; `None` where nothing is masked."""
        if not self.is_padded:
            return None
        columns = torch.arange(self._columns.length + 1, device=device)
        pads = torch.tensor([self._columns.length - length for length in self.lengths], device=device)
        return (columns >= pads[:, None]).long()

    def positions(self, device: torch.device) -> Tensor:
        """The positions [B, 1] of the next tokens."""
        return torch.tensor(self.lengths, device=device)[:, None]

    def _set_start(self) -> None:
        self._columns.start = self._columns.end - max(self.lengths, default=0)
