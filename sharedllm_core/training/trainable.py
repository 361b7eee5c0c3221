"""`TrainableSharedLLMForCausalLM`: its forward pass begins with the documents, so that any trainer can call it."""

import random
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import CausalLMOutputWithPast

from ..model.configuration import SharedLLMModelConfig
from ..model.low_rank import LowRankUpdate
from ..model.modeling import SharedLLMForCausalLM
from ..model.past_context import PastContext
from .batch import PastBatch
from .config import Trained
from .distillation import distillation_distance
from .items import NO_LOSS
from .kept_states import KeptStates
from .past import encode_batch, row_past

__all__ = ["TrainableSharedLLMForCausalLM", "set_trained", "start_injection"]


class TrainableSharedLLMForCausalLM(SharedLLMForCausalLM):
    """`SharedLLMForCausalLM` over batches of `collate`: encodes past contexts, injects them, gives the loss.

    Attributes:
        random_chunk_positions, rows_seen, own_last: see `TrainingConfig` and `row_past`.
        distillation: the share of the loss that is the distance to the teacher, for rows that have one.
        kept_states: of a frozen lower model, from earlier steps.
        known_updates: low-rank updates of the adapter that this model was loaded from; not merged, so that training
            goes on with them.
    """

    random_chunk_positions: int = 0
    rows_seen: int = 1
    own_last: bool = False
    distillation: float = 0.0

    def __init__(self, config: SharedLLMModelConfig) -> None:
        super().__init__(config)
        self.kept_states: KeptStates | None = None
        self.known_updates: dict[str, LowRankUpdate] = {}

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        chunk_ids: Tensor | None = None,
        chunk_lengths: Tensor | None = None,
        chunk_rows: Tensor | None = None,
        query_ids: Tensor | None = None,
        query_lengths: Tensor | None = None,
        compression_ratios: Tensor | None = None,
        relevance: Tensor | None = None,
        teacher_ids: Tensor | None = None,
        teacher_labels: Tensor | None = None,
        taught: Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """As the model's own; past contexts come from `chunk_ids` and the like, see `collate`.

        With `labels` there is a loss and no logits: the output head runs where there is a loss, and nowhere else.
        """
        if chunk_ids is not None:
            given = {"chunk_ids": chunk_ids, "chunk_lengths": chunk_lengths, "chunk_rows": chunk_rows}
            given |= {"query_ids": query_ids, "query_lengths": query_lengths}
            given |= {"compression_ratios": compression_ratios, "relevance": relevance}
            pasts = self._pasts(PastBatch.of({name: part for name, part in given.items() if part is not None}))
            kwargs["past_context"] = PastContext.stack(pasts) if any(past is not None for past in pasts) else None
            kwargs["use_cache"] = False
        if labels is None:
            outputs: CausalLMOutputWithPast = super().forward(
                input_ids=input_ids, attention_mask=attention_mask, **kwargs
            )
            return outputs
        read = self._read_running_text(
            kwargs.pop("past_context", None), input_ids=input_ids, attention_mask=attention_mask, **kwargs
        )
        # All logits of long prompts and large vocabularies would be the most memory of a step, and nobody reads them.
        next_BT = labels[:, 1:]
        has_loss_BT = next_BT != NO_LOSS
        logits = self.lm_head(read.last_hidden_state[:, :-1][has_loss_BT])
        loss = self.loss_function(
            logits=logits, labels=None, shift_labels=next_BT[has_loss_BT], vocab_size=self.vocab_size, **kwargs
        )
        if self.training and self.distillation and teacher_ids is not None:
            assert teacher_labels is not None
            assert taught is not None
            of_taught = taught[:, None].expand_as(has_loss_BT)[has_loss_BT]
            student, own = logits[of_taught].float(), next_BT[has_loss_BT][of_taught]
            distance = distillation_distance(student, teacher_ids[taught], teacher_labels[taught], self._teacher_logits)
            distance = distance - torch.nn.functional.cross_entropy(student, own, reduction="sum")
            loss = loss + self.distillation * distance / kwargs.get("num_items_in_batch", has_loss_BT.sum())
        return CausalLMOutputWithPast(loss=loss)

    def _teacher_logits(self, ids_BU: Tensor, wanted_BU: Tensor) -> Tensor:
        """Logits [A, V] of this model without past context, as it is used rather than trained."""
        self.eval()
        try:
            read = self._read_running_text(None, input_ids=ids_BU, attention_mask=None, use_cache=False)
            logits: Tensor = self.lm_head(read.last_hidden_state[:, :-1][wanted_BU])
            return logits
        finally:
            self.train()

    def _pasts(self, batch: PastBatch) -> list[PastContext | None]:
        noisy = self.training and self.method.draws_splits
        states = encode_batch(self.lower_model, batch, noisy=noisy, kept=self.kept_states)
        if states is None:
            return [None for _ in batch.queries]
        # From torch's generator, which checkpoints keep: a run that is resumed draws what it would have drawn.
        # An evaluation draws nothing from it, and sees what a question sees: the row's own documents.
        drawn = int(torch.randint(2**62, ())) if self.training and self._draws else 0
        chance = random.Random(drawn)  # noqa: S311
        rows_seen = self.rows_seen if self.training else 1
        num_rows = len(batch.queries)
        pasts = []
        for row in range(num_rows):
            others = [other for other in range(num_rows) if other != row]
            seen = chance.sample(others, min(rows_seen - 1, len(others)))
            past = row_past(states, row, seen, self.random_chunk_positions, chance, own_last=self.own_last)
            if past is not None:
                self._verified_pasts.add(past)  # its states are this model's own, just made
            pasts.append(past)
        return pasts

    def _take_updates(self, updates: dict[str, LowRankUpdate], state: dict[str, Tensor]) -> None:
        self.known_updates = updates

    @property
    def _draws(self) -> bool:
        return self.random_chunk_positions > 0 or self.rows_seen > 1


def set_trained(model: SharedLLMForCausalLM, trained: Trained) -> int:
    """Let gradients flow to what is trained, and to nothing else; how many parameters that is.

    Embeddings, output head and final norm stay frozen but for `all`, as in the paper.
    """
    model.requires_grad_(trained == "all")
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.requires_grad_(trained == "injection+lora")
    if trained != "all":
        model.injection.requires_grad_(True)
    if trained == "injection+upper":
        layers: Any = model.model.layers
        for layer in layers[model.method.injection_layers :]:
            layer.requires_grad_(True)
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


@torch.no_grad()
def start_injection(model: SharedLLMForCausalLM, share: float) -> None:
    """Let the output projection of each injection begin as a share of its layer's own, in place of zero."""
    layers: Any = model.model.layers
    for injection, layer in zip(model.injection, layers, strict=False):
        projection: Any = injection.o_proj
        projection.weight.copy_(share * layer.self_attn.o_proj.weight)
