"""How the documents of a training row are read: their states are injected, passages are quoted, or both."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from ..errors import ConfigError
from ..method.checks import check_number, check_whole

__all__ = ["RowReading", "draw_reading", "readings_from"]


@dataclass(frozen=True)
class RowReading:
    """One way of reading; rows draw among several, so that one model serves all of them.

    Attributes:
        inject: whether the row sees states of its documents.
        quote_tokens: the most tokens of passages in the running text; 0 for none.
        compression_ratio: β of this row; `None` for that of the method.
        share: how often it is drawn, relative to the others.

    Raises:
        ConfigError: a number out of range, or neither injection nor quotes.
    """

    inject: bool = True
    quote_tokens: int = 0
    compression_ratio: float | None = None
    share: float = 1.0

    def __post_init__(self) -> None:
        check_whole("quote_tokens", self.quote_tokens, at_least=0)
        check_number("share", self.share, above=0)
        if self.compression_ratio is not None:
            check_number("compression_ratio", self.compression_ratio, at_least=1)
        if not self.inject and not self.quote_tokens:
            raise ConfigError("a reading neither injects nor quotes", remedy="give quote_tokens, or inject: true")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The reading of plain values, as YAML gives them.

        Raises:
            ConfigError: a field that is not known.
        """
        known = [entry.name for entry in fields(cls)]
        if not isinstance(values, Mapping) or (unknown := sorted(str(name) for name in set(values) - set(known))):
            what = f"unknown fields {unknown}" if isinstance(values, Mapping) else f"{values!r} is no object"
            raise ConfigError(f"readings: {what}", remedy=f"known are {known}")
        return cls(**values)


def readings_from(values: Sequence[Any]) -> tuple[RowReading, ...]:
    """The readings of a configuration file.

    Raises:
        ConfigError: no list, or see `RowReading`.
    """
    if not isinstance(values, list | tuple) or not values:
        raise ConfigError("readings are no list, or an empty one", remedy="write one object per way of reading")
    return tuple(one if isinstance(one, RowReading) else RowReading.from_dict(one) for one in values)


def draw_reading(readings: Sequence[RowReading], chance: random.Random) -> RowReading:
    """Draw one reading by the shares."""
    return chance.choices(readings, [one.share for one in readings])[0]
