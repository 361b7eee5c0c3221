"""The kinds of fact, by subject."""

from dataclasses import replace

from . import clauses, code, codes, dates, events, lists, measures, people, places, prices, settings, tables
from ._kind import FactKind

__all__ = ["KINDS", "FactKind"]

_SUBJECTS = (people, codes, dates, prices, clauses, settings, tables, lists, code, places, measures, events)

#: Kinds that training never shows.
_HELD_OUT = {
    "confidentiality_clause",
    "donor",
    "flight_destination",
    "foreign_key",
    "log_file",
    "match_result",
    "melting_point",
    "position",
}

#: Every kind of fact by its name.
KINDS: dict[str, FactKind] = {
    kind.name: replace(kind, held_out=kind.name in _HELD_OUT) for subject in _SUBJECTS for kind in subject.KINDS
}
