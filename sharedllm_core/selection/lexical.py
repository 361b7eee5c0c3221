"""The half that shares more rare tokens with the query (beyond the paper).

Features are the query's tokens, and its pairs of neighbouring tokens, which tell names and numbers of several tokens
apart. A half scores the sum of the weights of the features that occur in it, each counted once. The weight is the
inverse document frequency, with blocks of 64 tokens of the whole past context for documents: what stands in most blocks
counts next to nothing.

It runs no model, and needs nothing of a cached tree but its token ids.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from math import log

import numpy as np
from torch import Tensor

from ..context_tree import Node
from ._policy import Halves, Query, SelectionPolicy

__all__ = ["Policy"]

_BLOCK_TOKENS = 64

Feature = tuple[int, ...]
#: Where a feature occurs: its first token, the one behind its last, and the feature.
_Hit = tuple[int, int, Feature]


class Policy(SelectionPolicy):
    """`lexical`."""

    needs_query = True

    def weights(self, query_ids: Tensor, chunks: Sequence[Tensor]) -> dict[Feature, float]:
        """See `SelectionPolicy`: log(1 + (n − d + ½) / (d + ½)) of a feature in d of n blocks; all are above 0."""
        ids = query_ids.tolist()
        features: set[Feature] = {(one,) for one in ids} | set(pairwise(ids))
        blocks = sum(-(-len(chunk) // _BLOCK_TOKENS) for chunk in chunks)
        found: Counter[Feature] = Counter()
        for chunk in chunks:
            of_blocks = {(feature, first // _BLOCK_TOKENS) for first, _, feature in _hits(chunk, features)}
            found.update(feature for feature, _ in of_blocks)
        return {feature: log(1 + (blocks - found[feature] + 0.5) / (found[feature] + 0.5)) for feature in features}

    def selects_right(self, pairs: Sequence[tuple[Node, Node]], halves: Halves, query: Query | None) -> list[bool]:
        """See `SelectionPolicy`. Ties go left."""
        score = self.scores(halves, query)
        return [score(right) > score(left) for left, right in pairs]

    def scores(self, halves: Halves, query: Query | None) -> Callable[[Node], float]:
        """See `SelectionPolicy`."""
        assert query is not None, "the model has checked that there is a query"
        weights = query.weights
        hits: dict[int, list[_Hit]] = {}

        def score(node: Node) -> float:
            if node.chunk not in hits:
                hits[node.chunk] = _hits(halves.token_ids(node.chunk), weights)
            inside = {f for first, end, f in hits[node.chunk] if node.start <= first and end <= node.end}
            return sum(weights[feature] for feature in sorted(inside))  # sums do not depend on the order of a set

        return score


def _hits(chunk: Tensor, features: Collection[Feature]) -> list[_Hit]:
    """Every place of a chunk where a feature occurs."""
    ids = chunk.cpu().numpy()
    tokens = np.fromiter((feature[0] for feature in features if len(feature) == 1), dtype=np.int64)
    hits: list[_Hit] = []
    before = -2
    for place in np.isin(ids, tokens).nonzero()[0].tolist():
        one = (int(ids[place]),)
        hits.append((place, place + 1, one))
        if place == before + 1 and (pair := (int(ids[before]), *one)) in features:
            hits.append((before, place + 1, pair))
        before = place
    return hits
