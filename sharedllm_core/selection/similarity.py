"""The half that is more similar to the query, by the cosine of selection vectors (the paper's policy for questions)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ..context_tree import Node
from ._policy import SelectionPolicy

__all__ = ["Policy"]


class Policy(SelectionPolicy):
    """`similarity`."""

    needs_query = True

    def selects_right(
        self,
        pairs: Sequence[tuple[Node, Node]],
        selection_vectors: Callable[[Sequence[Node]], Tensor],
        query_vector: Tensor | None,
    ) -> list[bool]:
        """See `SelectionPolicy`. Ties go left."""
        assert query_vector is not None, "the model has checked that there is a query"
        vectors = selection_vectors([half for pair in pairs for half in pair])
        wide = torch.promote_types(vectors.dtype, torch.float32)
        cosines = cosine_similarity(vectors.to(wide), query_vector.to(vectors.device, wide)[None], dim=-1)
        left, right = cosines.view(-1, 2).unbind(dim=1)
        return [bool(wins) for wins in (right > left).tolist()]
