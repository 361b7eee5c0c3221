"""Like `lexical`, with a second pass for the names that occur in the best match (beyond the paper).

"Where was the captain of the Patient Vulture born?" shares words with the sentence that names the captain, but not with
the sentence on the captain's birth. The second pass therefore searches for the token trigrams of the best matching
windows in the rest of the past context: names are such trigrams, and where they recur there is more information on what
they name. A half's score is the higher one of its two passes, each relative to the best window's score; the second pass
counts slightly less.

Runs no model, and needs only the token ids of a cached tree.
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
from .lexical import Feature, FeatureIndex, Hit, idf, score_nodes

__all__ = ["Policy"]

_STRIDE = 32  # tokens; a window is two strides long
_NUM_WINDOWS = 2  # best windows that the second pass starts from
_MIN_WINDOW_SHARE = 0.9  # of the best window's score that the other windows must reach
_MIN_WEIGHT_SHARE = 0.5  # of the highest weight in a window; features above it are rare ones
_MARGIN = 12  # tokens before and after the rare features that are searched for names
_SIMILAR_SHARE = 0.25  # of the best window's score; trigrams that recur in such windows are wording, not names
_NAME_TOKENS = 3
_SECOND_PASS_WEIGHT = 0.8  # score of the best window in the second pass, relative to 1 in the first


class Policy(lexical.Policy):
    """`two_looks`."""

    def weights(self, query_ids: Tensor, chunks: Sequence[Tensor]) -> "_TwoPassIndex":
        """See `SelectionPolicy`: the weights are those of `lexical`; the second pass's are kept with them."""
        return _TwoPassIndex(super().weights(query_ids, chunks), chunks)

    def scores(self, chunks: Sequence[Tensor], query: Query | None) -> Scores:
        """See `SelectionPolicy`."""
        assert query is not None, "the model checks that there is a query"
        index = query.weights
        assert isinstance(index, _TwoPassIndex), "the weights are from this policy"
        first_pass = super().scores(chunks, query)

        def scores(chunk: int, nodes: Sequence[Node]) -> list[float]:
            second_pass = index.second_pass_scores(chunk, nodes)
            return [
                max(first / index.best_score, second)
                for first, second in zip(first_pass(chunk, nodes), second_pass, strict=True)
            ]

        return scores


class _TwoPassIndex(FeatureIndex):
    """Weights of the question's features, and of the names in the best matching windows.

    Attributes:
        best_score: the best window's score in the first pass.
    """

    def __init__(self, first_pass: FeatureIndex, chunks: Sequence[Tensor]) -> None:
        super().__init__(first_pass)
        self.hits_by_id = first_pass.hits_by_id  # of the same features
        windows = {
            (number, start): score
            for number, chunk in enumerate(chunks)
            for start, score in _window_scores(self.hits(chunk), self)
        }
        self.best_score = max(windows.values(), default=1.0)
        best = sorted(windows, key=lambda window: (-windows[window], window))[:_NUM_WINDOWS]
        best = [window for window in best if windows[window] >= _MIN_WINDOW_SHARE * self.best_score]
        spans = [(number, *self._name_span(chunks[number], start)) for number, start in best]
        similar = {window for window, score in windows.items() if score >= _SIMILAR_SHARE * self.best_score}
        self._name_hits = self._find_names(chunks, spans, similar)
        frequency = Counter(name for hits in self._name_hits for name in {name for _, _, name in hits})
        self._name_weights = {name: idf(len(chunks), count) for name, count in frequency.items()}
        second_pass = (score for hits in self._name_hits for _, score in _window_scores(hits, self._name_weights))
        self._best_second_score = max(second_pass, default=1.0)

    def second_pass_scores(self, chunk: int, nodes: Sequence[Node]) -> list[float]:
        """Score nodes of a chunk, given by its number, by the names in them."""
        scores = score_nodes(self._name_weights, self._name_hits[chunk], nodes)
        return [_SECOND_PASS_WEIGHT * score / self._best_second_score for score in scores]

    def _name_span(self, chunk: Tensor, start: int) -> tuple[int, int]:
        """Return the tokens around the rare features of a window, start and end."""
        inside = [hit for hit in self.hits(chunk) if start <= hit[0] < start + 2 * _STRIDE]
        min_weight = _MIN_WEIGHT_SHARE * max(self[feature] for _, _, feature in inside)
        firsts = [first for first, _, feature in inside if self[feature] >= min_weight]
        return max(0, min(firsts) - _MARGIN), min(len(chunk), max(firsts) + 1 + _MARGIN)

    def _find_names(
        self, chunks: Sequence[Tensor], spans: Sequence[tuple[int, int, int]], similar: Container[tuple[int, int]]
    ) -> list[list[Hit]]:
        """Find, for each chunk, the occurrences of the spans' trigrams outside the spans.

        Args:
            chunks: ids of each.
            spans: number of the chunk, start and end of each span.
            similar: number of the chunk and start of windows whose trigrams are wording, not names.
        """
        names: set[Feature] = set()
        for number, start, end in spans:
            ids = chunks[number][start:end].tolist()
            names |= {tuple(ids[at : at + _NAME_TOKENS]) for at in range(len(ids) - _NAME_TOKENS + 1)}
        # The first pass finds those that the question contains.
        names = {name for name in names if not all(bigram in self for bigram in pairwise(name))}
        tokens = TokenSet(token for name in names for token in name)
        outside: list[list[Hit]] = []
        for number, chunk in enumerate(chunks):
            own_spans = [(start, end) for chunk_number, start, end in spans if chunk_number == number]
            hits = _find_trigrams(chunk, names, tokens)
            outside.append(
                [hit for hit in hits if not any(start - _NAME_TOKENS < hit[0] < end for start, end in own_spans)]
            )
        wording = {
            name
            for number, hits in enumerate(outside)
            for first, _, name in hits
            if (number, first // _STRIDE * _STRIDE) in similar
        }
        return [[hit for hit in hits if hit[2] not in wording] for hits in outside]


def _find_trigrams(chunk: Tensor, trigrams: Container[Feature], tokens: TokenSet) -> list[Hit]:
    """Find every occurrence of some trigrams in a chunk; `tokens` are all tokens in them."""
    ids = chunk.cpu().numpy()
    known = tokens.has(ids)
    starts = (known[:-2] & known[1:-1] & known[2:]).nonzero()[0].tolist()
    candidates = ((start, tuple(ids[start : start + _NAME_TOKENS].tolist())) for start in starts)
    return [(start, start + _NAME_TOKENS, trigram) for start, trigram in candidates if trigram in trigrams]


def _window_scores(hits: Sequence[Hit], weights: Mapping[Feature, float]) -> Iterable[tuple[int, float]]:
    """Yield start and score of every window, two strides long, that has a feature in its first stride."""
    features_by_stride: dict[int, set[Feature]] = {}
    for first, _, feature in hits:
        features_by_stride.setdefault(first // _STRIDE, set()).add(feature)
    for stride, features in features_by_stride.items():
        both = features | features_by_stride.get(stride + 1, set())
        yield stride * _STRIDE, sum(weights[feature] for feature in sorted(both))
