"""The interface of a selection policy, and what it may look at."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import ClassVar, Literal

from torch import Tensor

from ..method.best_first import Scores
from ..method.context_tree import Node

__all__ = ["Halves", "Pooling", "Query", "SelectionPolicy", "load_policy"]

#: Of which tokens of a node its selection vector is made: the last, or the mean of all.
Pooling = Literal["last", "mean"]


@dataclass(frozen=True)
class Query:
    """What a question gives a policy to compare with.

    Attributes:
        vector: v(query) [hidden size], for policies that compare vectors.
        weights: by feature of the query's tokens, for policies that compare tokens; see `SelectionPolicy.weights`.
    """

    vector: Tensor | None = None
    weights: dict[tuple[int, ...], float] = field(default_factory=dict)


@dataclass(frozen=True)
class Halves:
    """What past context gives a policy to compare.

    Attributes:
        vectors: gives v(x) of nodes, [number of nodes, hidden size].
        token_ids: gives the ids [l] of the chunk with a number.
    """

    vectors: Callable[[Sequence[Node]], Tensor]
    token_ids: Callable[[int], Tensor]


class SelectionPolicy(ABC):
    """Decides, for pairs of halves, which one is split further."""

    #: Whether the policy looks at the query; one that does not needs no query and no selection vectors.
    needs_query: ClassVar[bool]
    #: Of what the vectors are made that the policy compares; `None` where it compares none.
    pooling: ClassVar[Pooling | None] = None

    def weights(self, query_ids: Tensor, chunks: Sequence[Tensor]) -> dict[tuple[int, ...], float]:
        """How much each feature of the query's tokens counts, given all chunks of the past context; by default none.

        It is asked once per question, so that all chunks are compared by one measure.
        """
        return {}

    def scores(self, halves: Halves, query: Query | None) -> Scores:
        """How much nodes of any chunk have to say to the query.

        Only for policies whose scores can be compared between chunks; the configuration has checked that this is one.
        """
        raise NotImplementedError(f"{type(self).__module__} compares only halves of one node")

    @abstractmethod
    def selects_right(self, pairs: Sequence[tuple[Node, Node]], halves: Halves, query: Query | None) -> list[bool]:
        """For each (left, right) pair, whether the right half is selected.

        Args:
            pairs: halves of one node each; of one level, and of any number of chunks.
            halves: what they can be compared by.
            query: what they are compared with; `None` for a policy that needs no query.
        """


def load_policy(name: str) -> SelectionPolicy:
    """The policy that `SharedLLMConfig.policy` names; the configuration has checked that there is one."""
    policy = import_module(f"{__package__}.policies.{name}").Policy()
    assert isinstance(policy, SelectionPolicy), f"selection/policies/{name}.py: Policy is no SelectionPolicy"
    return policy
