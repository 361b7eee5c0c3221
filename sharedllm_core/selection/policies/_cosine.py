"""Cosines of selection vectors with the query's, shared by the policies that compare vectors."""

from collections.abc import Sequence

import torch
from torch.nn.functional import cosine_similarity

from ...method.context_tree import Node
from ..policy import Halves, Query

__all__ = ["closer_is_right"]


def closer_is_right(pairs: Sequence[tuple[Node, Node]], halves: Halves, query: Query | None) -> list[bool]:
    """For each pair, whether the right half's vector has the larger cosine with the query's. Ties go left."""
    assert query is not None and query.vector is not None, "the model has checked that there is a query"  # noqa: PT018
    vectors = halves.vectors([half for pair in pairs for half in pair])
    wide = torch.promote_types(vectors.dtype, torch.float32)
    cosines = cosine_similarity(vectors.to(wide), query.vector.to(vectors.device, wide)[None], dim=-1)
    left, right = cosines.view(-1, 2).unbind(dim=1)
    return [bool(wins) for wins in (right > left).tolist()]
