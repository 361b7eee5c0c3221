"""Answer recall: does what the selection opens hold a gold answer? No model answers.

An answer cannot be better than what stands in the window or is kept fine. For each token budget, several ways to choose
are compared: the passages that would be quoted; the finest leaves of the context trees, taken in the order in which a
policy scores them; and plain BM25 over passages of 100 words.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from .. import InputError, Library, SharedLLMEngine
from ..selection.choice import tree_of
from ..selection.policy import Query, load_policy
from ..text.passages import find_passages
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

#: Returns the texts that are opened for a question within a token budget.
_Open = Callable[[str, int], list[str]]


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
        ways: dict[str, _Open] = {}
        results = []
        for name, build in _WAYS.items():
            begin = time.perf_counter()
            ways[name] = build(engine, library)
            results.append(Result(item.labels, {f"{name} index seconds": time.perf_counter() - begin}))
        for question in item.questions:
            if _folded(question.expected[0]) not in ("yes", "no"):
                results += [
                    Result({**item.labels, "length": budget}, _recall(ways, question, library, budget))
                    for budget in _BUDGETS
                ]
        return results


def _recall(ways: Mapping[str, _Open], question: Question, library: Library, budget: int) -> Scores:
    texts = {document.id: document.text for document in library}
    answers = [_folded(answer) for answer in question.expected]
    facts = [_folded(texts[document][start:end]) for document, start, end in question.facts]
    scores: dict[str, float] = {}
    for name, open_texts in ways.items():
        begin = time.perf_counter()
        opened = open_texts(question.text, budget)
        seconds = time.perf_counter() - begin
        text = _folded(" ¶ ".join(opened))
        scores[name] = float(any(answer in text for answer in answers))
        if facts:
            scores[f"{name} all facts"] = float(all(fact in text for fact in facts))
        if budget == _TIMED_BUDGET:
            scores[f"{name} seconds"] = seconds
    return scores


def _passages(engine: SharedLLMEngine, library: Library) -> _Open:
    _ = library.word_index

    def open_texts(question: str, budget: int) -> list[str]:
        return [passage.text for passage in find_passages(question, library, engine.tokenizer, budget)]

    return open_texts


def _bm25(engine: SharedLLMEngine, library: Library) -> _Open:
    index = BM25Index(library.documents)
    counts = {passage: engine.tokenizer.count(passage.text) for passage in index.passages}

    def open_texts(question: str, budget: int) -> list[str]:
        texts = []
        for passage in index.ranked(question):
            budget -= counts[passage]
            if budget < 0:
                break
            texts.append(passage.text)
        return texts

    return open_texts


def _leaves(policy_name: str, engine: SharedLLMEngine, library: Library) -> _Open:
    method, policy = replace(engine.method, policy=policy_name), load_policy(policy_name)
    chunks = [chunk.ids for chunk in library.chunks]
    leaves = [tree_of(chunk, method).leaves for chunk in chunks]
    if policy.searches_text:
        _ = library.word_index

    def open_texts(question: str, budget: int) -> list[str]:
        relevance = token_relevance(question, library) if policy.searches_text else ()
        ids = engine.tokenizer.encode(question.rstrip("?!. ")).ids
        score = policy.scores(chunks, Query(None, policy.weights(ids, chunks), relevance))
        scored = [
            (value, number, leaf.start, leaf.end)
            for number, of_chunk in enumerate(leaves)
            for value, leaf in zip(score(number, of_chunk), of_chunk, strict=True)
        ]
        chosen = []
        for _, number, start, end in sorted(scored, key=lambda leaf: -leaf[0]):
            budget -= end - start
            if budget < 0:
                break
            chosen.append((number, start, end))
        return _texts(sorted(chosen), library)

    return open_texts


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
_WAYS: dict[str, Callable[[SharedLLMEngine, Library], _Open]] = {
    "passages": _passages,
    **{name: partial(_leaves, name) for name in _POLICIES},
    "BM25": _bm25,
}
