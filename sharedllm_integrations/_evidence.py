"""What an answer rests on, as plain values.

Whatever an answer holds ends up in traces. So spans of documents are named (document, characters, score); their text is
with them only where the caller had put it into the prompt anyway, or asked for it.
"""

from collections.abc import Container, Sequence
from typing import Any

from sharedllm_core import Evidence

__all__ = ["evidence_metadata"]


def evidence_metadata(evidence: Sequence[Evidence], shown: Container[str] | None) -> list[dict[str, Any]]:
    """Plain values, for the metadata of an answer.

    Args:
        evidence: of an answer.
        shown: ids of documents whose text may be in the answer's metadata; `None` for all.
    """
    return [
        {"document_id": one.document_id, "start": one.start, "end": one.end, "score": one.score}
        | ({"text": one.text} if shown is None or one.document_id in shown else {})
        for one in evidence
    ]
