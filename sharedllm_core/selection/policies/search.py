"""Select the half in which the text search finds more of the question (beyond the paper).

The search compares words of text: case, accents and inflection folded, with what stands around a segment and with
documents that the best segments name; see `text/search.py`. It scores segments of a few sentences, and a node scores as
its best token does. The same search finds the passages of quoted reading.

Runs no model. Only an engine can use it: a model has token ids, and no text.
"""

from collections.abc import Sequence

from torch import Tensor

from ...method.best_first import Scores
from ...method.context_tree import Node
from ..policy import Halves, Query, SelectionPolicy

__all__ = ["Policy"]


class Policy(SelectionPolicy):
    """`search`."""

    needs_query = True
    searches_text = True

    def selects_right(self, halves: Halves, query: Query | None) -> list[bool]:
        """See `SelectionPolicy`. Ties go left."""
        score = self.scores(halves.chunks, query)
        return [right > left for left, right in (score(chunk, pair) for chunk, pair in halves.pairs.items())]

    def scores(self, chunks: Sequence[Tensor], query: Query | None) -> Scores:
        """See `SelectionPolicy`."""
        assert query is not None, "the model checks that there is a query"
        relevance = query.relevance
        assert len(relevance) == len(chunks), "read_query checks that the search's scores are given"

        def scores(chunk: int, nodes: Sequence[Node]) -> list[float]:
            return [float(relevance[chunk][node.start : node.end].max()) for node in nodes]

        return scores
