"""Distillation: a row learns the answers that the same model gives with the text in its window."""

from collections.abc import Callable

import torch
from torch import Tensor

from .items import NO_LOSS

__all__ = ["distillation_distance"]

# Suffixes: B rows, U tokens of teachers' running texts, A tokens of answers, K best tokens, V vocabulary.

_BEST = 32  # the teacher's probabilities beyond these tokens are left out


def distillation_distance(
    student_AV: Tensor, teacher_ids_BU: Tensor, teacher_labels_BU: Tensor, logits_at: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Return the cross-entropy between the teacher's best tokens and the student, summed over the answers' tokens.

    Args:
        student_AV: logits of the answers' tokens of all rows that have a teacher, in order.
        teacher_ids_BU, teacher_labels_BU: running texts of the teacher, in the same order of rows.
        logits_at: the teacher: takes ids and a mask [B, U − 1] of the tokens whose next one is wanted.
    """
    wanted_BU = teacher_labels_BU[:, 1:] != NO_LOSS
    with torch.no_grad():
        best = logits_at(teacher_ids_BU, wanted_BU).float().topk(_BEST)
        weights_AK = best.values.softmax(-1)
    log_probabilities_AV = student_AV.float().log_softmax(-1)
    return -(weights_AK * log_probabilities_AV.gather(-1, best.indices)).sum()
