"""Leaf recall: does the finest level of the context tree hold what the question asks for?

It needs no answer: where the selection sends the fact to a coarse node, no answer can be expected to be right.
"""

from collections.abc import Iterator, Sequence

from .. import InputError, Library, PastContext, SharedLLMEngine
from ..method.context_tree import Node
from .lookup import held_out_items
from .measurement import Item, Measurement, Question, Result, Scores
from .settings import EvaluationSettings
from .system import System

__all__ = ["LeafRecall"]

_SYSTEM = "sharedllm"
_FORMS = ("single", "multi_key")  # with one fact, so that chance is the share of a chunk that the leaves hold


class LeafRecall(Measurement):
    """The share of questions whose facts lie in nodes of the finest level, and the share of their tokens per level.

    Questions that nothing answers are left out. `leaf recall` is 1 where every token of every needed fact is in a
    retained node of the deepest level. `level 1`, `level 2` … are the shares of the facts' tokens that are retained at
    that level.
    """

    name = "leaf_recall"

    def items(self, settings: EvaluationSettings) -> Iterator[Item]:
        """See `Measurement`."""
        return held_out_items(settings, _FORMS)

    def applies_to(self, system: System) -> bool:
        """See `Measurement`: to this library's own system, which has trees."""
        engine = getattr(system, "engine", None)
        return system.name == _SYSTEM and isinstance(engine, SharedLLMEngine) and engine.reading != "quoted"

    def measure(self, system: System, item: Item) -> list[Result]:
        """See `Measurement`."""
        engine = getattr(system, "engine", None)
        if not isinstance(engine, SharedLLMEngine):
            raise InputError(f"leaf recall needs a system with an engine, and {system.name!r} has none")
        library = engine.read(list(item.documents), progress=False)
        depth = engine.model.method.tree_depth
        return [
            Result(
                {**item.labels, **question.labels},
                _scores(question, library, engine.past_context(question.text, library), depth),
            )
            for question in item.questions
            if question.facts
        ]


def _scores(question: Question, library: Library, past: PastContext, depth: int) -> Scores:
    levels = [level for fact in question.facts for level in _levels_of_tokens(fact, library, past.nodes)]
    if not levels:
        raise InputError(f"no token of the documents stands for the fact of {question.text!r}")
    scores = {"leaf recall": float(all(level == depth for level in levels))}
    return scores | {f"level {level}": levels.count(level) / len(levels) for level in range(1, depth + 1)}


def _levels_of_tokens(fact: tuple[str, int, int], library: Library, nodes: Sequence[Sequence[Node]]) -> list[int]:
    """The level at which each token of a fact is retained."""
    document, start, end = fact
    levels = []
    for number, chunk in enumerate(library.chunks):
        if library.documents[chunk.document].id != document:
            continue
        first, last = chunk.text.offsets[:, 0], chunk.text.offsets[:, 1]
        inside = ((first < end) & (last > start)).nonzero().flatten().tolist()
        levels += [node.level for token in inside for node in nodes[number] if node.start <= token < node.end]
    return levels
