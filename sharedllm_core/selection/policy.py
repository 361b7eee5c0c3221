"""The interface of a selection policy (π in the paper, section 3.2), and its inputs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from ..method.best_first import Scores
from ..method.context_tree import Pair

__all__ = ["Halves", "Pooling", "Query", "SelectionPolicy", "load_policy"]

#: How hidden states are pooled into a node's selection vector: the last token's, or the mean over all tokens.
Pooling = Literal["last", "mean"]


@dataclass(frozen=True)
class Query:
    """The features of a question that policies compare nodes with.

    Attributes:
        vector: v(query) [hidden size], for policies that compare vectors.
        weights: weights of the query's token features, for policies that compare tokens; see `SelectionPolicy.weights`.
        relevance: for each chunk the score [l] of each of its tokens, for policies that search text.
    """

    vector: Tensor | None = None
    weights: dict[tuple[int, ...], float] = field(default_factory=dict)
    relevance: Sequence[np.ndarray] = ()


@dataclass(frozen=True)
class Halves:
    """Pairs of halves to choose between: one pair per chunk, all of one level.

    Attributes:
        pairs: the left and the right half, by the number of their chunk.
        chunks: token ids [l] of every chunk, not only of those with a pair.
        vectors: selection vectors [len(pairs), 2, hidden size], left then right, for policies that compare them.
    """

    pairs: Mapping[int, Pair]
    chunks: Sequence[Tensor]
    vectors: Tensor | None = None


class SelectionPolicy(ABC):
    """Decides for each pair of halves which one is split further."""

    #: Whether the policy uses the query; one that does not needs neither a query nor selection vectors.
    needs_query: ClassVar[bool]
    #: How the vectors that the policy compares are pooled; `None` for a policy that compares none.
    pooling: ClassVar[Pooling | None] = None
    #: Whether the policy uses `Query.relevance`, which only an engine can give: a model has no text.
    searches_text: ClassVar[bool] = False

    def weights(self, query_ids: Tensor, chunks: Sequence[Tensor]) -> dict[tuple[int, ...], float]:
        """Weigh the features of the query's tokens over all chunks of the past context; by default no features.

        Called once per question, so that scores are comparable between chunks.
        """
        return {}

    def scores(self, chunks: Sequence[Tensor], query: Query | None) -> Scores:
        """Return a function that scores nodes of any chunk for the query.

        Only for policies whose scores are comparable between chunks; the configuration checks this.
        """
        raise NotImplementedError(f"{type(self).__module__} compares only the halves of one node")

    @abstractmethod
    def selects_right(self, halves: Halves, query: Query | None) -> list[bool]:
        """Return for each pair, in the order of `halves.pairs`, whether the right half is selected.

        Args:
            halves: the pairs, with their token ids and selection vectors.
            query: the question's features; `None` for a policy that needs no query.
        """


def load_policy(name: str) -> SelectionPolicy:
    """Load a policy by its name in `SharedLLMConfig.policy`; the configuration checks that it exists."""
    policy = import_module(f"{__package__}.policies.{name}").Policy()
    assert isinstance(policy, SelectionPolicy), f"selection/policies/{name}.py: Policy is not a SelectionPolicy"
    return policy
