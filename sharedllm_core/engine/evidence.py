"""Evidence: the spans of documents that an answer rests on.

The score of a state is the attention that it gets, in the injection layers, from the tokens that lead to the answer,
minus what it gets when nothing has been asked: softmax always sums to one, and fine nodes hold more states, so that a
part of the attention says nothing. A state stands for the tokens since the one kept before it, because it has seen them
and the one before has not.
"""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise

import torch
from torch import Tensor

from ..generation.answer import Evidence
from ..method.context_tree import kept_tokens
from ..model.injection import Injection
from ..model.modeling import SharedLLMForCausalLM
from ..model.past_context import PastContext, View
from ..model.rotary import rotate
from ..text.library import Library

__all__ = ["evidence_spans", "state_scores", "token_scores"]

# Suffixes: T running-text tokens, H query heads, K key/value heads, G = H/K, D head size, S retained states, Q queries.

_MOST_TOKENS = 32  # of a long answer, evenly chosen: enough to see what it rests on
_BLOCK_WEIGHTS = 2**24  # attention weights held at once
_PEAK = 0.1  # of the strongest token's score, from which on a token belongs to a span
_GAP_TOKENS = 4  # spans that are closer are one
_MOST_WIDENED = 200  # characters that a span is widened by, on each side, to the bounds of its sentence
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+|\n+")


def state_scores(
    model: SharedLLMForCausalLM, prompt_T: Tensor, answer_T: Tensor, unasked_T: Tensor, past: PastContext
) -> Tensor:
    """The score of each state [S] of a past context: what question and answer drew to it.

    Args:
        model: the model that answered.
        prompt_T: ids of the running text.
        answer_T: ids of the answer, at least one.
        unasked_T: ids of a running text with an empty question.
        past: what was injected.
    """
    leading = torch.arange(len(prompt_T) - 1, len(prompt_T) + len(answer_T) - 1)  # from each, one token was written
    if len(leading) > _MOST_TOKENS:
        leading = leading[torch.linspace(0, len(leading) - 1, _MOST_TOKENS).round().long()]
    asked_S = _attention(model, torch.cat((prompt_T, answer_T[:-1].to(prompt_T))), leading, past)
    unasked_S = _attention(model, unasked_T, torch.tensor([len(unasked_T) - 1]), past)
    return asked_S - unasked_S


@torch.no_grad()
def _attention(model: SharedLLMForCausalLM, ids_T: Tensor, positions: Tensor, past: PastContext) -> Tensor:
    """Attention to each state [S] from `positions` of a running text: the mean over them, heads and layers, float32."""
    total_S = torch.zeros(past.num_states, device=past.keys[0].device)

    def look(injection: Injection, arguments: tuple[Tensor], named: dict[str, list[View]]) -> None:
        (view,) = named["views"]
        query_THD = injection.queries(arguments[0])[0, positions.to(arguments[0].device)]
        query_THD = rotate(query_THD.flatten(0, 1), view.cos.to(query_THD.device), view.sin.to(query_THD.device)).view(
            query_THD.shape
        )
        scaling = injection.scaling * view.sharpness
        total_S.add_(_weights(query_THD, past.keys[injection.layer_idx], scaling).to(total_S.device))

    injections = [module for module in model.injection if isinstance(module, Injection)]
    with ExitStack() as hooks:
        for injection in injections:
            hooks.callback(injection.register_forward_pre_hook(look, with_kwargs=True).remove)
        device = model.get_input_embeddings().weight.device
        model(ids_T[None].to(device), past_context=past, logits_to_keep=1, use_cache=False)
    return total_S.cpu() / len(injections)


def _weights(query_THD: Tensor, key_KSD: Tensor, scaling: float) -> Tensor:
    """The mean attention to each state [S] from queries; as many at once as memory allows."""
    heads, states, _ = key_KSD.shape
    query_KQD = query_THD.unflatten(1, (heads, -1)).permute(1, 0, 2, 3).flatten(1, 2).float()
    key_KDS = key_KSD.float().transpose(1, 2)
    total_S = torch.zeros(states, device=key_KSD.device)
    for block_KQD in query_KQD.to(key_KSD.device).split(max(1, _BLOCK_WEIGHTS // (heads * states)), dim=1):
        total_S += (block_KQD @ key_KDS * scaling).softmax(dim=-1).sum(dim=(0, 1))
    return total_S / (heads * query_KQD.shape[1])


def token_scores(library: Library, past: PastContext, score_S: Tensor) -> list[Tensor]:
    """For each document the score of each of its tokens.

    A state's score is spread evenly over the tokens since the one kept before it. Together the tokens that drew more
    than they would have unasked have 1; the others have 0.
    """
    positive_S = score_S.clamp(min=0)
    positive_S /= positive_S.sum().clamp(min=1e-12)
    per_chunk = [torch.zeros(len(chunk.ids)) for chunk in library.chunks]
    at = 0
    sample_at = "interval_end" if past.origin is None else past.origin.method.sample_at
    for of_chunk, nodes, counts in zip(per_chunk, past.nodes, past.states_per_node, strict=True):
        for node, count in zip(nodes, counts, strict=True):
            kept = kept_tokens(node.length, count, sample_at)
            for (before, token), score in zip(pairwise([-1, *kept]), positive_S[at : at + count].tolist(), strict=True):
                of_chunk[node.start + before + 1 : node.start + token + 1] = score / (token - before)
            at += count
    documents: list[list[Tensor]] = [[] for _ in library.documents]
    for chunk, scores in zip(library.chunks, per_chunk, strict=True):
        documents[chunk.document].append(scores)
    return [torch.cat(parts) if parts else torch.zeros(0) for parts in documents]


def evidence_spans(library: Library, scores: Sequence[Tensor], most: int) -> tuple[Evidence, ...]:
    """The strongest spans of a library, at most so many, by the scores of the tokens of its documents.

    A span is a run of tokens that stand out, widened to the sentence they are in. Its score is the sum of its tokens'.
    """
    strongest = max((float(of_document.max()) for of_document in scores if len(of_document)), default=0.0)
    if strongest <= 0:
        return ()
    offsets = _offsets(library)
    spans: list[Evidence] = []
    for number, (document, of_document) in enumerate(zip(library.documents, scores, strict=True)):
        for first, last in _widened(document.text, offsets[number], _runs(of_document, _PEAK * strongest)):
            start, end = int(offsets[number][first, 0]), int(offsets[number][last - 1, 1])
            start, end = _trimmed(document.text, start, end)
            score = float(of_document[first:last].sum())
            spans.append(Evidence(document.id, start, end, document.text[start:end], round(score, 4)))
    return tuple(sorted(spans, key=lambda span: -span.score)[:most])


def _offsets(library: Library) -> list[Tensor]:
    """For each document the characters [n, 2] of its tokens."""
    parts: list[list[Tensor]] = [[] for _ in library.documents]
    for chunk in library.chunks:
        parts[chunk.document].append(chunk.text.offsets)
    return [torch.cat(of) if of else torch.zeros(0, 2, dtype=torch.long) for of in parts]


def _runs(scores: Tensor, threshold: float) -> list[tuple[int, int]]:
    """Runs of tokens, first and one past the last, whose score reaches the threshold; small gaps are bridged."""
    runs: list[tuple[int, int]] = []
    for token in (scores >= threshold).nonzero().flatten().tolist():
        if runs and token - runs[-1][1] < _GAP_TOKENS:
            runs[-1] = (runs[-1][0], token + 1)
        else:
            runs.append((token, token + 1))
    return runs


def _widened(text: str, offset_T2: Tensor, runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Runs widened to the tokens of the sentences that they touch; those that meet become one."""
    starts, ends = offset_T2[:, 0].contiguous(), offset_T2[:, 1].contiguous()
    widened: list[tuple[int, int]] = []
    for run in runs:
        start, end = int(starts[run[0]]), int(ends[run[1] - 1])
        around = max(0, start - _MOST_WIDENED)
        breaks = [match.end() for match in _SENTENCE_ENDS.finditer(text, around, start)]
        start = breaks[-1] if breaks else around
        after = _SENTENCE_ENDS.search(text, max(start, end - 1), end + _MOST_WIDENED)
        end = after.start() if after else min(len(text), end + _MOST_WIDENED)
        first = min(run[0], int(torch.searchsorted(ends, start, right=True)))
        last = max(run[1], int(torch.searchsorted(starts, end)))
        if widened and first < widened[-1][1]:
            widened[-1] = (widened[-1][0], max(last, widened[-1][1]))
        else:
            widened.append((first, last))
    return widened


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A span without the white space around it."""
    inner = text[start:end]
    return start + len(inner) - len(inner.lstrip()), end - (len(inner) - len(inner.rstrip()))
