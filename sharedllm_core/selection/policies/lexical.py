"""Select the half that shares more rare tokens with the query (beyond the paper).

Features are the query's tokens and its bigrams, which distinguish names and numbers of several tokens. A half scores
the sum of the weights of the features that occur in it, each counted once. The weight is the inverse document
frequency, where documents are blocks of 64 tokens of the whole past context: features in most blocks have almost no
weight.

Runs no model, and needs only the token ids of a cached tree.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log

from torch import Tensor

from ...method.best_first import Scores
from ...method.context_tree import Node
from ..policy import Halves, Query, SelectionPolicy
from ..token_set import TokenSet

__all__ = ["Feature", "FeatureIndex", "Hit", "Policy", "idf", "score_nodes"]

_BLOCK_TOKENS = 64

Feature = tuple[int, ...]
#: An occurrence of a feature in a chunk: first token, end (exclusive), and the feature.
Hit = tuple[int, int, Feature]


class Policy(SelectionPolicy):
    """`lexical`."""

    needs_query = True

    def weights(self, query_ids: Tensor, chunks: Sequence[Tensor]) -> "FeatureIndex":
        """See `SelectionPolicy`: log(1 + (n − d + ½) / (d + ½)) of a feature in d of n blocks; all are above 0."""
        ids = query_ids.tolist()
        features: set[Feature] = {(token,) for token in ids} | set(pairwise(ids))
        weights = FeatureIndex(dict.fromkeys(features, 0.0))
        num_blocks = sum(-(-len(chunk) // _BLOCK_TOKENS) for chunk in chunks)
        frequency: Counter[Feature] = Counter()
        for chunk in chunks:
            in_blocks = {(feature, first // _BLOCK_TOKENS) for first, _, feature in weights.hits(chunk)}
            frequency.update(feature for feature, _ in in_blocks)
        for feature in features:
            weights[feature] = idf(num_blocks, frequency[feature])
        return weights

    def selects_right(self, halves: Halves, query: Query | None) -> list[bool]:
        """See `SelectionPolicy`. Ties go left."""
        score = self.scores(halves.chunks, query)
        return [right > left for left, right in (score(chunk, pair) for chunk, pair in halves.pairs.items())]

    def scores(self, chunks: Sequence[Tensor], query: Query | None) -> Scores:
        """See `SelectionPolicy`."""
        assert query is not None, "the model checks that there is a query"
        weights = query.weights if isinstance(query.weights, FeatureIndex) else FeatureIndex(query.weights)

        return lambda chunk, nodes: score_nodes(weights, weights.hits(chunks[chunk]), nodes)


class FeatureIndex(dict[Feature, float]):
    """Weights of features, with an index of their occurrences in each chunk that is built at first use."""

    def __init__(self, weights: Mapping[Feature, float]) -> None:
        super().__init__(weights)
        self._tokens = TokenSet(feature[0] for feature in weights if len(feature) == 1)
        self.hits_by_id: dict[int, tuple[Tensor, list[Hit]]] = {}

    def hits(self, chunk: Tensor) -> list[Hit]:
        """Return all occurrences of features in a chunk, ascending by their end."""
        # Keyed by identity: weighing and scoring of one question use the same tensors. The index keeps a reference to
        # each, so that its id is not reused.
        if id(chunk) not in self.hits_by_id:
            self.hits_by_id[id(chunk)] = chunk, self._find_hits(chunk)
        return self.hits_by_id[id(chunk)][1]

    def _find_hits(self, chunk: Tensor) -> list[Hit]:
        ids = chunk.cpu().numpy()
        positions = self._tokens.has(ids).nonzero()[0]
        hits: list[Hit] = []
        last_position, last_token = -2, -1
        for position, token in zip(positions.tolist(), ids[positions].tolist(), strict=True):
            hits.append((position, position + 1, (token,)))
            if position == last_position + 1 and (last_token, token) in self:
                hits.append((last_position, position + 1, (last_token, token)))
            last_position, last_token = position, token
        return hits


def score_nodes(weights: Mapping[Feature, float], hits: Sequence[Hit], nodes: Sequence[Node]) -> list[float]:
    """Sum the weights of the distinct features inside each node of a chunk.

    Args:
        weights: of the features.
        hits: the chunk's occurrences of features, ascending by their end.
        nodes: nodes of the chunk.
    """
    ends = [end for _, end, _ in hits]
    scores: list[float] = []
    for node in nodes:
        candidates = hits[bisect_right(ends, node.start) : bisect_right(ends, node.end)]
        inside = {feature for first, _, feature in candidates if node.start <= first}
        scores.append(sum(weights[feature] for feature in sorted(inside)))  # sorted, so that rounding is reproducible
    return scores


def idf(num_documents: int, frequency: int) -> float:
    """Inverse document frequency of a feature that occurs in d of n documents: log(1 + (n - d + 1/2) / (d + 1/2))."""
    return log(1 + (num_documents - frequency + 0.5) / (frequency + 0.5))
