"""The kinds of fact: a YAML file for each subject, in the format of `read_kinds`."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from ._kind import FactKind
from .kind_files import read_kinds

__all__ = ["KINDS", "SUBJECTS", "FactKind", "read_kinds"]

#: The files, in the order of their kinds: with another one, the same seed would give other tasks.
SUBJECTS = (
    "people",
    "codes",
    "dates",
    "prices",
    "clauses",
    "settings",
    "tables",
    "lists",
    "code",
    "places",
    "measures",
    "events",
)


class _Kinds(Mapping[str, FactKind]):
    """The kinds of the files by name. They are read at their first use, so that an import takes no time for it."""

    @cached_property
    def _by_name(self) -> dict[str, FactKind]:
        folder = Path(__file__).parent
        return {kind.name: kind for subject in SUBJECTS for kind in read_kinds(folder / f"{subject}.yaml")}

    def __getitem__(self, name: str) -> FactKind:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


#: Every kind of fact by its name.
KINDS: Mapping[str, FactKind] = _Kinds()
