"""Answer recall: does what the selection opens hold a gold answer? No model answers.

An answer cannot be better than what stands in the window or is kept fine. For each token budget, several ways to choose
are compared: the passages that would be quoted; the finest leaves of the context trees, taken in the order in which a
policy scores them; and plain BM25 over passages of 100 words.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, takewhile
from typing import TypeVar

from .. import InputError, Library, SharedLLMEngine
from ..selection.choice import tree_of
from ..selection.policy import Query, load_policy
from ..text.passages import PassageSearch
from ..text.search import token_relevance
from .bm25_passages import BM25Index
from .measurement import Item, Measurement, Question, Result, Scores
from .question_sets import question_items
from .settings import EvaluationSettings
from .system import System

__all__ = ["AnswerRecall"]

_BUDGETS = (512, 1_024, 2_048, 4_096)
_TIMED_BUDGET = 1_024
_POLICIES = ("search", "two_looks", "lexical")  # whose scores are comparable between chunks
_SYSTEM = "sharedllm"
_T = TypeVar("_T")

#: Returns the texts that are opened within a token budget.
_Open = Callable[[int], list[str]]
#: Searches for a question.
_Search = Callable[[str], _Open]


class AnswerRecall(Measurement):
    """The share of questions with a gold answer inside what is opened, by token budget (shown as `length`).

    The metrics are named after the way to choose: `passages`, the policies, `BM25`. For questions with `facts`,
    `… all facts` is the share with all of them opened. `… seconds` are for one question at 1,024 tokens, and
    `… index seconds` for the index of each set. Answers "yes" and "no" are left out: they stand everywhere.
    """

    name = "answer_recall"
    needs = ("qa",)

    def items(self, settings: EvaluationSettings) -> Iterator[Item]:
        """See `Measurement`."""
        return question_items(settings)

    def applies_to(self, system: System) -> bool:
        """See `Measurement`: to this library's own system."""
        return system.name == _SYSTEM and isinstance(getattr(system, "engine", None), SharedLLMEngine)

    def measure(self, system: System, item: Item) -> list[Result]:
        """See `Measurement`."""
        engine = getattr(system, "engine", None)
        if not isinstance(engine, SharedLLMEngine):
            raise InputError(f"answer recall needs a system with an engine, and {system.name!r} has none")
        library = engine.library([document for document in item.documents if document.text])
        ways: dict[str, _Search] = {}
        results = []
        for name, build in _WAYS.items():
            begin = time.perf_counter()
            ways[name] = build(engine, library)
            results.append(Result(item.labels, {f"{name} index seconds": time.perf_counter() - begin}))
        for question in item.questions:
            if _folded(question.expected[0]) not in ("yes", "no"):
                scores = _recall(ways, question, library)
                results += [Result({**item.labels, "length": budget}, scores[budget]) for budget in _BUDGETS]
        return results


def _recall(ways: Mapping[str, _Search], question: Question, library: Library) -> dict[int, Scores]:
    """The scores of one question at each budget."""
    texts = {document.id: document.text for document in library}
    answers = [_folded(answer) for answer in question.expected]
    facts = [_folded(texts[document][start:end]) for document, start, end in question.facts]
    scores: dict[int, dict[str, float]] = {budget: {} for budget in _BUDGETS}
    for name, search in ways.items():
        begin = time.perf_counter()
        opened = search(question.text)
        opened(_TIMED_BUDGET)
        scores[_TIMED_BUDGET][f"{name} seconds"] = time.perf_counter() - begin
        for budget in _BUDGETS:
            text = _folded(" ¶ ".join(opened(budget)))
            scores[budget][name] = float(any(answer in text for answer in answers))
            if facts:
                scores[budget][f"{name} all facts"] = float(all(fact in text for fact in facts))
    return dict(scores)


def _passages(engine: SharedLLMEngine, library: Library) -> _Search:
    _ = library.word_index

    def search(question: str) -> _Open:
        found = PassageSearch(question, library, engine.tokenizer)
        return lambda budget: [passage.text for passage in found.within(budget)]

    return search


def _bm25(engine: SharedLLMEngine, library: Library) -> _Search:
    index = BM25Index(library.documents)
    counts = {passage: engine.tokenizer.count(passage.text) for passage in index.passages}

    def search(question: str) -> _Open:
        ranked = index.ranked(question)
        return lambda budget: [passage.text for passage in _within(budget, ranked, counts.__getitem__)]

    return search


def _leaves(policy_name: str, engine: SharedLLMEngine, library: Library) -> _Search:
    method, policy = replace(engine.method, policy=policy_name), load_policy(policy_name)
    chunks = [chunk.ids for chunk in library.chunks]
    leaves = [tree_of(chunk, method).leaves for chunk in chunks]
    if policy.searches_text:
        _ = library.word_index

    def search(question: str) -> _Open:
        relevance = token_relevance(question, library) if policy.searches_text else ()
        ids = engine.tokenizer.encode(question.rstrip("?!. ")).ids
        score = policy.scores(chunks, Query(None, policy.weights(ids, chunks), relevance))
        scored = [
            (value, (number, leaf.start, leaf.end))
            for number, of_chunk in enumerate(leaves)
            for value, leaf in zip(score(number, of_chunk), of_chunk, strict=True)
        ]
        ranked = [span for _, span in sorted(scored, key=lambda leaf: -leaf[0])]
        return lambda budget: _texts(sorted(_within(budget, ranked, lambda span: span[2] - span[1])), library)

    return search


def _within(budget: int, ranked: Sequence[_T], num_tokens: Callable[[_T], int]) -> list[_T]:
    """The best of ranked parts, as many as fit into the budget."""
    ends = accumulate(map(num_tokens, ranked))
    return [part for part, end in takewhile(lambda pair: pair[1] <= budget, zip(ranked, ends, strict=True))]


def _texts(spans: Sequence[tuple[int, int, int]], library: Library) -> list[str]:
    """The text of token spans of chunks, in order; neighbours are joined."""
    joined: list[list[int]] = []
    for number, start, end in spans:
        chunk = library.chunks[number]
        first, last = int(chunk.text.offsets[start, 0]), int(chunk.text.offsets[end - 1, 1])
        if joined and joined[-1][0] == chunk.document and first - joined[-1][2] <= 1:
            joined[-1][2] = last
        else:
            joined.append([chunk.document, first, last])
    return [library.documents[document].text[first:last] for document, first, last in joined]


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


#: The ways to choose, each by what builds its index.
_WAYS: dict[str, Callable[[SharedLLMEngine, Library], _Search]] = {
    "passages": _passages,
    **{name: partial(_leaves, name) for name in _POLICIES},
    "BM25": _bm25,
}
