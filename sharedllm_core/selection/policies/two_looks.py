"""As `lexical`, and a second look for what the best place found names in its turn (beyond the paper).

"Where was the captain of the Patient Vulture born?" has words of the sentence that names the captain, and none that
the sentence on the captain's birth must have. So runs of three tokens of the place that the question finds best are
looked for as well, outside that place: names are such runs, and where they stand again, more is said of what they
name. A half scores what it scores for the better one of the two looks, each as a share of the best place's score; the
second counts a little less.

It runs no model, and needs nothing of a cached tree but its token ids.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import pairwise

from torch import Tensor

from ...method.best_first import Scores
from ...method.context_tree import Node
from ..policy import Query
from ..token_set import TokenSet
from . import lexical
from .lexical import Feature, FoundWeights, Hit, of_nodes, rarity

__all__ = ["Policy"]

_STEP = 32  # tokens; a place is two steps long
_PLACES = 2  # that are looked at a second time
_AS_GOOD = 0.9  # share of the best place's score that the second must have
_RARE = 0.5  # share of the greatest weight; around such features of a place its names are looked for …
_AROUND = 12  # … so many tokens before and behind
_ALIKE = 0.25  # share of the best place's score; what such places say as well are wordings, and no names
_RUN = 3  # tokens
_SECOND = 0.8  # what the best half of the second look scores, when that of the first scores 1


class Policy(lexical.Policy):
    """`two_looks`."""

    def weights(self, query_ids: Tensor, chunks: Sequence[Tensor]) -> "_TwoLooks":
        """See `SelectionPolicy`: of the query's features as for `lexical`; the second look stands beside."""
        return _TwoLooks(super().weights(query_ids, chunks), chunks)

    def scores(self, chunks: Sequence[Tensor], query: Query | None) -> Scores:
        """See `SelectionPolicy`."""
        assert query is not None, "the model has checked that there is a query"
        looks = query.weights
        assert isinstance(looks, _TwoLooks), "the weights are this policy's own"
        first = super().scores(chunks, query)

        def scores(chunk: int, nodes: Sequence[Node]) -> list[float]:
            of_second = looks.second(chunk, nodes)
            return [max(one / looks.best, other) for one, other in zip(first(chunk, nodes), of_second, strict=True)]

        return scores


class _TwoLooks(FoundWeights):
    """Weights of the question's features, and of the runs of the places that it finds best.

    Attributes:
        best: the best place's score.
    """

    def __init__(self, first: FoundWeights, chunks: Sequence[Tensor]) -> None:
        super().__init__(first)
        self.found = first.found  # of the same features
        of_places = {
            (number, start): score
            for number, chunk in enumerate(chunks)
            for start, score in _of_places(self.hits(chunk), self)
        }
        self.best = max(of_places.values(), default=1.0)
        order = sorted(of_places, key=lambda place: (-of_places[place], place))[:_PLACES]
        looked_at = [place for place in order if of_places[place] >= _AS_GOOD * self.best]
        spans = [(number, *self._span(chunks[number], start)) for number, start in looked_at]
        alike = {place for place, score in of_places.items() if score >= _ALIKE * self.best}
        self._hits = self._names(chunks, spans, alike)
        counts = Counter(run for hits in self._hits for run in {run for _, _, run in hits})
        self._weights = {run: rarity(len(chunks), count) for run, count in counts.items()}
        elsewhere = (score for hits in self._hits for _, score in _of_places(hits, self._weights))
        self._best_again = max(elsewhere, default=1.0)

    def second(self, chunk: int, nodes: Sequence[Node]) -> list[float]:
        """What nodes of the chunk with a number score in the second look."""
        return [_SECOND * score / self._best_again for score in of_nodes(self._weights, self._hits[chunk], nodes)]

    def _span(self, chunk: Tensor, start: int) -> tuple[int, int]:
        """What stands around the rare features of a place."""
        inside = [hit for hit in self.hits(chunk) if start <= hit[0] < start + 2 * _STEP]
        rare = _RARE * max(self[feature] for _, _, feature in inside)
        firsts = [first for first, _, feature in inside if self[feature] >= rare]
        return max(0, min(firsts) - _AROUND), min(len(chunk), max(firsts) + 1 + _AROUND)

    def _names(
        self, chunks: Sequence[Tensor], spans: Sequence[tuple[int, int, int]], alike: Container[tuple[int, int]]
    ) -> list[list[Hit]]:
        """Where the runs of the spans stand outside them, of each chunk."""
        runs: set[Feature] = set()
        for number, start, end in spans:
            ids = chunks[number][start:end].tolist()
            runs |= {tuple(ids[place : place + _RUN]) for place in range(len(ids) - _RUN + 1)}
        # What the question says itself is found by the first look.
        runs = {run for run in runs if not all(pair in self for pair in pairwise(run))}
        tokens = TokenSet(token for run in runs for token in run)
        outside: list[list[Hit]] = []
        for number, chunk in enumerate(chunks):
            own = [(start, end) for its, start, end in spans if its == number]
            hits = _hits(chunk, runs, tokens)
            outside.append([hit for hit in hits if not any(start - _RUN < hit[0] < end for start, end in own)])
        wordings = {
            run
            for number, hits in enumerate(outside)
            for first, _, run in hits
            if (number, first // _STEP * _STEP) in alike
        }
        return [[hit for hit in hits if hit[2] not in wordings] for hits in outside]


def _hits(chunk: Tensor, runs: Container[Feature], tokens: TokenSet) -> list[Hit]:
    """Every place of a chunk where a run stands."""
    ids = chunk.cpu().numpy()
    known = tokens.has(ids)
    starts = (known[:-2] & known[1:-1] & known[2:]).nonzero()[0].tolist()
    of_starts = ((start, tuple(ids[start : start + _RUN].tolist())) for start in starts)
    return [(start, start + _RUN, run) for start, run in of_starts if run in runs]


def _of_places(hits: Sequence[Hit], weights: Mapping[Feature, float]) -> Iterable[tuple[int, float]]:
    """First token and score of every place, two steps long, that has a feature in its first step."""
    of_steps: dict[int, set[Feature]] = {}
    for first, _, feature in hits:
        of_steps.setdefault(first // _STEP, set()).add(feature)
    for step, features in of_steps.items():
        both = features | of_steps.get(step + 1, set())
        yield step * _STEP, sum(weights[feature] for feature in sorted(both))
