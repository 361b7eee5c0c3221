"""Keeps answers determined: no key or value of a task occurs anywhere but where it was put."""

from collections.abc import Iterable

from .forms import Draft

__all__ = ["Ledger"]


def _plain(text: str) -> str:
    """Text without what a reader overlooks: capitals and line breaks."""
    return " ".join(text.lower().split())


class Ledger:
    """What stands in a set of documents so far.

    Args:
        texts: the documents before anything was placed in them, and their titles.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = "\n".join(_plain(text) for text in texts)
        self._stated = ""
        self._names: set[str] = set()
        self._whole_sorts: set[str] = set()
        self._sorts: set[str] = set()

    @property
    def sorts(self) -> frozenset[str]:
        """Names of the kinds that are stated."""
        return frozenset(self._sorts)

    @property
    def whole_sorts(self) -> frozenset[str]:
        """Names of the kinds of which nothing more may be stated."""
        return frozenset(self._whole_sorts)

    def admits(self, draft: Draft) -> bool:
        """Whether the draft's names occur nowhere else, and none of the names so far in its facts."""
        facts = [_plain(fact.text) for fact in (*draft.needed, *draft.others)]
        names = [{_plain(name): times for name, times in f.names.items()} for f in (*draft.needed, *draft.others)]
        absent = {_plain(name) for name in draft.absent}
        new = absent.union(*names)
        shared = {_plain(name) for name in draft.shared}
        question = _plain(draft.question)
        return not (
            draft.sorts & self._whole_sorts
            or (draft.whole_sort and draft.whole_sort in self._sorts)
            or any(name in other for name in new for other in new if name is not other)
            or any(name in text for name in absent for text in facts)
            or any(sum(name in text for text in facts) > 1 for name in new - shared)
            or any(
                text.count(name) != times for text, own in zip(facts, names, strict=True) for name, times in own.items()
            )
            or any(_plain(fact.value) in question for fact in draft.needed)
            or any(name in text for name in self._names for text in facts)
            or any(name in self._stated or name in self._texts for name in new)
        )

    def add(self, draft: Draft) -> None:
        """Take the draft's facts down as stated."""
        for fact in (*draft.needed, *draft.others):
            self._stated += f"\n{_plain(fact.text)}"
            self._names.update(_plain(name) for name in fact.names)
        # What is asked for in vain must stay absent, and no later name may be part of it or hold it.
        self._names.update(_plain(name) for name in draft.absent)
        self._stated += "".join(f"\n{_plain(name)}" for name in draft.absent)
        self._sorts |= draft.sorts
        self._whole_sorts |= {draft.whole_sort} - {""}
