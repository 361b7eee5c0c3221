"""Cosine similarity to the query, shared by the policies that compare selection vectors."""

import torch
from torch.nn.functional import cosine_similarity

from ..policy import Halves, Query

__all__ = ["more_similar_is_right"]


def more_similar_is_right(halves: Halves, query: Query | None) -> list[bool]:
    """Return for each pair whether the right half has the higher cosine similarity to the query. Ties go left."""
    assert query is not None and query.vector is not None, "the model checks that there is a query"  # noqa: PT018
    assert halves.vectors is not None, "the policy's pooling requires vectors"
    vectors_P2E = halves.vectors
    wide = torch.promote_types(vectors_P2E.dtype, torch.float32)
    query_E = query.vector.to(vectors_P2E.device, wide)
    left, right = cosine_similarity(vectors_P2E.to(wide), query_E, dim=-1).unbind(dim=1)
    return [bool(wins) for wins in (right > left).tolist()]
