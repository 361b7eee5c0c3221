"""The interface of a selection policy (π in the paper, section 3.2), and what a policy may look at."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import ClassVar, Literal

from torch import Tensor

from ..method.best_first import Scores
from ..method.context_tree import Pair

__all__ = ["Halves", "Pooling", "Query", "SelectionPolicy", "load_policy"]

#: Which hidden states of a node make its selection vector: the last token's, or the mean over all tokens.
Pooling = Literal["last", "mean"]


@dataclass(frozen=True)
class Query:
    """The question, as policies compare nodes with it.

    Attributes:
        vector: v(query) [hidden size], for policies that compare vectors.
        weights: of the query's features, for policies that compare tokens; see `SelectionPolicy.weights`.
    """

    vector: Tensor | None = None
    weights: dict[tuple[int, ...], float] = field(default_factory=dict)


@dataclass(frozen=True)
class Halves:
    """Halves to choose between: one pair for each of some chunks, all of one level.

    Attributes:
        pairs: the left and the right half, by the number of their chunk.
        chunks: token ids [l] of every chunk, not only of those with a pair.
        vectors: selection vectors [len(pairs), 2, hidden size], left then right, for policies that compare them.
    """

    pairs: Mapping[int, Pair]
    chunks: Sequence[Tensor]
    vectors: Tensor | None = None


class SelectionPolicy(ABC):
    """Decides, for pairs of halves, which one is split further."""

    #: Whether the policy looks at the query; one that does not needs neither a query nor selection vectors.
    needs_query: ClassVar[bool]
    #: How the vectors that the policy compares are pooled; `None` for a policy that compares none.
    pooling: ClassVar[Pooling | None] = None

    def weights(self, query_ids: Tensor, chunks: Sequence[Tensor]) -> dict[tuple[int, ...], float]:
        """Weigh the features of the query's tokens over all chunks of the past context; by default no features.

        Called once per question, so that all chunks are compared by one measure.
        """
        return {}

    def scores(self, chunks: Sequence[Tensor], query: Query | None) -> Scores:
        """Return a function that scores nodes of any chunk for the query.

        Only for policies whose scores are comparable between chunks; the configuration has checked that this is one.
        """
        raise NotImplementedError(f"{type(self).__module__} compares only halves of one node")

    @abstractmethod
    def selects_right(self, halves: Halves, query: Query | None) -> list[bool]:
        """Return for each pair, in the order of `halves.pairs`, whether the right half is selected.

        Args:
            halves: the pairs, and what they can be compared by.
            query: what they are compared with; `None` for a policy that needs no query.
        """


def load_policy(name: str) -> SelectionPolicy:
    """Load the policy that `SharedLLMConfig.policy` names; the configuration has checked that it exists."""
    policy = import_module(f"{__package__}.policies.{name}").Policy()
    assert isinstance(policy, SelectionPolicy), f"selection/policies/{name}.py: Policy is no SelectionPolicy"
    return policy
