"""The half that shares more rare tokens with the query (beyond the paper).

Features are the query's tokens, and its pairs of neighbouring tokens, which tell names and numbers of several tokens
apart. A half scores the sum of the weights of the features that occur in it, each counted once. The weight is the
inverse document frequency, with blocks of 64 tokens of the whole past context for documents: what stands in most blocks
counts next to nothing.

It runs no model, and needs nothing of a cached tree but its token ids.
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

__all__ = ["Feature", "FoundWeights", "Hit", "Policy", "of_nodes", "rarity"]

_BLOCK_TOKENS = 64

Feature = tuple[int, ...]
#: Where a feature occurs: its first token, the one behind its last, and the feature.
Hit = tuple[int, int, Feature]


class Policy(SelectionPolicy):
    """`lexical`."""

    needs_query = True

    def weights(self, query_ids: Tensor, chunks: Sequence[Tensor]) -> "FoundWeights":
        """See `SelectionPolicy`: log(1 + (n − d + ½) / (d + ½)) of a feature in d of n blocks; all are above 0."""
        ids = query_ids.tolist()
        features: set[Feature] = {(one,) for one in ids} | set(pairwise(ids))
        weights = FoundWeights(dict.fromkeys(features, 0.0))
        blocks = sum(-(-len(chunk) // _BLOCK_TOKENS) for chunk in chunks)
        found: Counter[Feature] = Counter()
        for chunk in chunks:
            of_blocks = {(feature, first // _BLOCK_TOKENS) for first, _, feature in weights.hits(chunk)}
            found.update(feature for feature, _ in of_blocks)
        for feature in features:
            weights[feature] = rarity(blocks, found[feature])
        return weights

    def selects_right(self, halves: Halves, query: Query | None) -> list[bool]:
        """See `SelectionPolicy`. Ties go left."""
        score = self.scores(halves.chunks, query)
        return [right > left for left, right in (score(chunk, pair) for chunk, pair in halves.pairs.items())]

    def scores(self, chunks: Sequence[Tensor], query: Query | None) -> Scores:
        """See `SelectionPolicy`."""
        assert query is not None, "the model has checked that there is a query"
        weights = query.weights if isinstance(query.weights, FoundWeights) else FoundWeights(query.weights)

        return lambda chunk, nodes: of_nodes(weights, weights.hits(chunks[chunk]), nodes)


class FoundWeights(dict[Feature, float]):
    """Weights of features; it finds the places of each chunk where they occur, and keeps them."""

    def __init__(self, weights: Mapping[Feature, float]) -> None:
        super().__init__(weights)
        self._tokens = TokenSet(feature[0] for feature in weights if len(feature) == 1)
        self.found: dict[int, tuple[Tensor, list[Hit]]] = {}

    def hits(self, chunk: Tensor) -> list[Hit]:
        """Every place of a chunk where a feature occurs, by where it ends."""
        # By identity: the same question meets the same tensors when it weighs and when it scores. They are kept here,
        # so that no other can take such a number.
        if id(chunk) not in self.found:
            self.found[id(chunk)] = chunk, self._found(chunk)
        return self.found[id(chunk)][1]

    def _found(self, chunk: Tensor) -> list[Hit]:
        ids = chunk.cpu().numpy()
        places = self._tokens.has(ids).nonzero()[0]
        hits: list[Hit] = []
        before, last = -2, -1
        for place, token in zip(places.tolist(), ids[places].tolist(), strict=True):
            hits.append((place, place + 1, (token,)))
            if place == before + 1 and (last, token) in self:
                hits.append((before, place + 1, (last, token)))
            before, last = place, token
        return hits


def of_nodes(weights: Mapping[Feature, float], hits: Sequence[Hit], nodes: Sequence[Node]) -> list[float]:
    """What the features inside each of some nodes of a chunk weigh together; `hits` by where they end."""
    ends = [end for _, end, _ in hits]
    found: list[float] = []
    for node in nodes:
        near = hits[bisect_right(ends, node.start) : bisect_right(ends, node.end)]
        inside = {feature for first, _, feature in near if node.start <= first}
        found.append(sum(weights[feature] for feature in sorted(inside)))  # a set has no order, and sums have
    return found


def rarity(count: int, found: int) -> float:
    """The weight of a feature that is found in so many of so many parts: log(1 + (n - d + 1/2) / (d + 1/2))."""
    return log(1 + (count - found + 0.5) / (found + 0.5))
