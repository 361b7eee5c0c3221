"""The kinds of fact, by subject."""

from . import clauses, code, codes, dates, events, lists, measures, people, places, prices, settings, tables
from ._kind import FactKind

__all__ = ["KINDS", "FactKind"]

_SUBJECTS = (people, codes, dates, prices, clauses, settings, tables, lists, code, places, measures, events)

#: Every kind of fact by its name.
KINDS: dict[str, FactKind] = {kind.name: kind for subject in _SUBJECTS for kind in subject.KINDS}
