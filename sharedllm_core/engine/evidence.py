"""Evidence: the spans of the documents that an answer is based on.

The score of a state is the attention it receives in the injection layers from the positions that predict the answer,
minus the attention it receives from an empty question. The baseline is needed because softmax sums to one and fine
nodes hold more states, so part of the attention is independent of the question. A state's score belongs to the tokens
after the previously kept one up to its own, because it has attended to them and the previous state has not.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from ..generation.answer import Evidence
from ..method.context_tree import kept_tokens
from ..model.injection import Injection
from ..model.modeling import SharedLLMForCausalLM
from ..model.past_context import PastContext, View
from ..model.rotary import rotate
from ..text.documents import Document
from ..text.library import Library
from ..text.sentences import sentences_of

__all__ = ["evidence_spans", "state_scores", "token_scores", "with_place"]

# Suffixes: T running-text tokens, H query heads, K key/value heads, G = H/K, D head size, S retained states, Q queries.

_MAX_ANSWER_TOKENS = 32  # evenly spaced positions of a long answer are enough to find its evidence
_BLOCK_WEIGHTS = 2**24  # attention weights held in memory at once
_MIN_PEAK_SHARE = 0.1  # tokens that score at least this share of the highest token score belong to a span
_GAP_TOKENS = 4  # spans closer than this are merged
_MAX_WIDENING = 200  # characters by which a span is widened on each side to its sentence's bounds


def state_scores(
    model: SharedLLMForCausalLM, prompt_T: Tensor, answer_T: Tensor, empty_prompt_T: Tensor, past: PastContext
) -> Tensor:
    """Score each state of a past context by the attention that question and answer pay to it.

    Args:
        model: the model that answered.
        prompt_T: ids of the running text.
        answer_T: ids of the answer, at least one.
        empty_prompt_T: ids of the running text of an empty question.
        past: the injected past context.

    Returns:
        [S], float32 on the CPU; negative where the empty question attends more.
    """
    # The positions whose logits predicted the answer's tokens.
    positions = torch.arange(len(prompt_T) - 1, len(prompt_T) + len(answer_T) - 1)
    if len(positions) > _MAX_ANSWER_TOKENS:
        positions = positions[torch.linspace(0, len(positions) - 1, _MAX_ANSWER_TOKENS).round().long()]
    answer_S = _mean_attention(model, torch.cat((prompt_T, answer_T[:-1].to(prompt_T))), positions, past)
    baseline_S = _mean_attention(model, empty_prompt_T, torch.tensor([len(empty_prompt_T) - 1]), past)
    return answer_S - baseline_S


@torch.no_grad()
def _mean_attention(model: SharedLLMForCausalLM, ids_T: Tensor, positions: Tensor, past: PastContext) -> Tensor:
    """Compute the attention to each state [S] in float32, averaged over `positions`, heads and layers."""
    total_S = torch.zeros(past.num_states, device=past.keys[0].device)

    def add_attention(injection: Injection, args: tuple[Tensor], kwargs: dict[str, list[View]]) -> None:
        (view,) = kwargs["views"]
        query_THD = injection.queries(args[0])[0, positions.to(args[0].device)]
        query_THD = rotate(query_THD.flatten(0, 1), view.cos.to(query_THD.device), view.sin.to(query_THD.device)).view(
            query_THD.shape
        )
        scaling = injection.scaling * view.sharpness
        total_S.add_(_mean_weights(query_THD, past.keys[injection.layer_idx], scaling).to(total_S.device))

    injections = [module for module in model.injection if isinstance(module, Injection)]
    with ExitStack() as hooks:
        for injection in injections:
            hooks.callback(injection.register_forward_pre_hook(add_attention, with_kwargs=True).remove)
        device = model.get_input_embeddings().weight.device
        model(ids_T[None].to(device), past_context=past, logits_to_keep=1, use_cache=False)
    return total_S.cpu() / len(injections)


def _mean_weights(query_THD: Tensor, key_KSD: Tensor, scaling: float) -> Tensor:
    """Average the attention weights [S] over queries and heads, in blocks that bound memory."""
    heads, states, _ = key_KSD.shape
    query_KQD = query_THD.unflatten(1, (heads, -1)).permute(1, 0, 2, 3).flatten(1, 2).float()
    key_KDS = key_KSD.float().transpose(1, 2)
    total_S = torch.zeros(states, device=key_KSD.device)
    for block_KQD in query_KQD.to(key_KSD.device).split(max(1, _BLOCK_WEIGHTS // (heads * states)), dim=1):
        total_S += (block_KQD @ key_KDS * scaling).softmax(dim=-1).sum(dim=(0, 1))
    return total_S / (heads * query_KQD.shape[1])


def token_scores(library: Library, past: PastContext, score_S: Tensor) -> list[Tensor]:
    """Spread the states' scores over the tokens of each document.

    A state's score is divided evenly among the tokens after the previously kept one up to its own. Negative scores
    count as 0; the others are normalised to a sum of 1.

    Args:
        library: the documents.
        past: the past context made of them.
        score_S: see `state_scores`.

    Returns:
        For each document, one score per token.
    """
    positive_S = score_S.clamp(min=0)
    positive_S /= positive_S.sum().clamp(min=1e-12)
    per_chunk = [torch.zeros(len(chunk.ids)) for chunk in library.chunks]
    at = 0
    sample_at = "interval_end" if past.origin is None else past.origin.method.sample_at
    for chunk_scores, nodes, counts in zip(per_chunk, past.nodes, past.states_per_node, strict=True):
        for node, count in zip(nodes, counts, strict=True):
            kept = kept_tokens(node.length, count, sample_at)
            for (before, token), score in zip(pairwise([-1, *kept]), positive_S[at : at + count].tolist(), strict=True):
                chunk_scores[node.start + before + 1 : node.start + token + 1] = score / (token - before)
            at += count
    documents: list[list[Tensor]] = [[] for _ in library.documents]
    for chunk, scores in zip(library.chunks, per_chunk, strict=True):
        documents[chunk.document].append(scores)
    return [torch.cat(parts) if parts else torch.zeros(0) for parts in documents]


def evidence_spans(library: Library, scores: Sequence[Tensor], max_spans: int) -> tuple[Evidence, ...]:
    """Find the highest-scoring spans of a library.

    A span is a run of high-scoring tokens, widened to its sentence. Its score is the sum of its tokens' scores.

    Args:
        library: the documents.
        scores: for each document, one score per token; see `token_scores`.
        max_spans: the number of spans to return at most.
    """
    peak = max((float(token_score.max()) for token_score in scores if len(token_score)), default=0.0)
    if peak <= 0:
        return ()
    offsets = _offsets(library)
    spans: list[Evidence] = []
    for number, (document, token_score) in enumerate(zip(library.documents, scores, strict=True)):
        runs = _runs(token_score, _MIN_PEAK_SHARE * peak)
        for first, last in _widen_to_sentences(document.text, offsets[number], runs):
            start, end = int(offsets[number][first, 0]), int(offsets[number][last - 1, 1])
            start, end = _strip(document.text, start, end)
            score = float(token_score[first:last].sum())
            if start < end:
                spans.append(Evidence(document.id, start, end, document.text[start:end], round(score, 4)))
    by_id = {document.id: document for document in library}
    best = sorted(spans, key=lambda span: -span.score)[:max_spans]
    return tuple(with_place(span, by_id[span.document_id]) for span in best)


def with_place(span: Evidence, document: Document) -> Evidence:
    """Return a span of evidence with its place in the file of its document."""
    place, original = document.place(span.start, span.end), document.original(span.start, span.end)
    return replace(span, place=place, original=original)


def _offsets(library: Library) -> list[Tensor]:
    """Return for each document the character offsets [n, 2] of its tokens."""
    parts: list[list[Tensor]] = [[] for _ in library.documents]
    for chunk in library.chunks:
        parts[chunk.document].append(chunk.text.offsets)
    return [torch.cat(part) if part else torch.zeros(0, 2, dtype=torch.long) for part in parts]


def _runs(scores: Tensor, threshold: float) -> list[tuple[int, int]]:
    """Find runs of tokens (first, end) whose scores reach the threshold; runs with small gaps between are merged."""
    runs: list[tuple[int, int]] = []
    for token in (scores >= threshold).nonzero().flatten().tolist():
        if runs and token - runs[-1][1] < _GAP_TOKENS:
            runs[-1] = (runs[-1][0], token + 1)
        else:
            runs.append((token, token + 1))
    return runs


def _widen_to_sentences(text: str, offset_T2: Tensor, runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Widen token runs to the sentences that they touch; overlapping runs are merged."""
    if not runs:
        return []
    starts, ends = offset_T2[:, 0].contiguous(), offset_T2[:, 1].contiguous()
    sentences = sentences_of(text)
    sentence_starts, sentence_ends = [start for start, _ in sentences], [end for _, end in sentences]
    widened: list[tuple[int, int]] = []
    for run in runs:
        start, end = int(starts[run[0]]), int(ends[run[1] - 1])
        opening = bisect_right(sentence_ends, start)  # the first sentence that the run touches
        closing = bisect_left(sentence_starts, end) - 1  # the last one
        if opening <= closing:  # otherwise the run is white space between sentences
            start = min(start, max(sentence_starts[opening], start - _MAX_WIDENING))
            end = max(end, min(sentence_ends[closing], end + _MAX_WIDENING))
        first = min(run[0], int(torch.searchsorted(ends, start, right=True)))
        last = max(run[1], int(torch.searchsorted(starts, end)))
        if widened and first < widened[-1][1]:
            widened[-1] = (widened[-1][0], max(last, widened[-1][1]))
        else:
            widened.append((first, last))
    return widened


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    """Exclude white space at both ends of a span of characters."""
    inner = text[start:end]
    return start + len(inner) - len(inner.lstrip()), end - (len(inner) - len(inner.rstrip()))
