"""From the scores of states to spans of documents."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_core import Document, PastContext
from sharedllm_core.engine.evidence import evidence_spans, token_scores
from sharedllm_core.method.context_tree import num_states, retained_nodes, whole_chunk
from sharedllm_core.text.library import make_library
from sharedllm_core.text.tokenization import TextTokenizer
from tests import tiny_engine

TOKENIZER = TextTokenizer(tiny_engine.tokenizer())
METHOD = tiny_engine.METHOD


def library(*texts):
    documents = [Document(text, id=f"document {number}") for number, text in enumerate(texts)]
    return make_library(documents, TOKENIZER, METHOD)


def past_of(made, right=True):
    """The retained nodes of a library, without states: evidence needs only where they are."""
    roots = [whole_chunk(len(chunk.ids)) for chunk in made.chunks]
    retained = retained_nodes(roots, METHOD.tree_depth, lambda pairs: [right for _ in pairs])
    counts = tuple(tuple(num_states(node.length, node.level, METHOD) for node in of) for of in retained)
    return PastContext(tuple(map(tuple, retained)), counts, made.chunk_positions, (), (), None)


@given(st.lists(st.integers(1, 90), min_size=1, max_size=4), st.booleans(), st.integers(0, 10**6))
def test_scores_of_states_are_shared_out_among_their_tokens_and_none_is_lost(lengths, right, seed):
    made = library(*(tiny_engine.words(length, seed=i) for i, length in enumerate(lengths)))
    past = past_of(made, right)
    scores = torch.randn(past.num_states, generator=torch.Generator().manual_seed(seed))
    per_document = token_scores(made, past, scores)
    assert [len(of) for of in per_document] == [len(TOKENIZER.encode(document.text).ids) for document in made]
    assert all((of >= 0).all() for of in per_document)
    assert abs(sum(float(of.sum()) for of in per_document) - float((scores > 0).any())) < 1e-4


@given(st.integers(0, 10**6), st.booleans())
def test_a_state_that_draws_all_attention_is_named_by_a_span_around_its_tokens(seed, right):
    made = library(tiny_engine.words(120, seed=1), tiny_engine.words(80, seed=2))
    past = past_of(made, right)
    place = seed % past.num_states
    per_document = token_scores(made, past, torch.zeros(past.num_states).index_fill(0, torch.tensor(place), 1.0))
    (span,) = evidence_spans(made, per_document, 5)
    number = next(i for i, of in enumerate(per_document) if of.any())
    offsets = TOKENIZER.encode(made.documents[number].text).offsets[per_document[number] > 0]
    assert span.document_id == made.documents[number].id
    assert span.start <= int(offsets[:, 0].min()) + 1  # a token may begin with the space before a sentence
    assert span.end >= int(offsets[:, 1].max())
    assert span.text == made.documents[number].text[span.start : span.end]
    assert abs(span.score - 1) < 1e-3


def test_spans_are_whole_sentences_and_the_strongest_come_first():
    text = "The lease began in May. The notice period is ninety days. Rent is paid monthly."
    made = library(text, "Nothing of note. Keys were returned to the manager.")
    tokens = [TOKENIZER.encode(document.text) for document in made]
    scores = [torch.zeros(len(of.ids)) for of in tokens]
    at = [next(i for i, (a, b) in enumerate(tokens[n].offsets.tolist()) if a <= made.documents[n].text.find(w) < b)
          for n, w in ((0, "ninety"), (1, "returned"))]  # fmt: skip
    scores[0][at[0]], scores[1][at[1]] = 0.7, 0.3
    spans = evidence_spans(made, scores, 5)
    assert [span.text for span in spans] == ["The notice period is ninety days.", "Keys were returned to the manager."]
    assert [span.score for span in spans] == [0.7, 0.3]
    assert evidence_spans(made, scores, 1) == spans[:1]


@pytest.mark.parametrize(
    ("text", "place", "sentence"),
    [
        ("Keys were returned. He pays fees, e.g. for water. Rent is due.", "water", "He pays fees, e.g. for water."),
        ("Keys were returned. He pays fees, e.g. for water. Rent is due.", "pays", "He pays fees, e.g. for water."),
        ('He said "Rent is due." Keys were returned.', "Rent", 'He said "Rent is due."'),
        ("鍵は返却された。通知期間は九十日です。家賃は五月。", "九", "通知期間は九十日です。"),
    ],
)
def test_evidence_ends_where_its_sentence_does(text, place, sentence):
    made = library(text)
    offsets = TOKENIZER.encode(text).offsets
    scores = (offsets[:, 0] <= text.index(place)) & (text.index(place) < offsets[:, 1])
    (span,) = evidence_spans(made, [scores.float()], 5)
    assert span.text == sentence


def test_attention_to_white_space_alone_is_no_evidence():
    made = library(" \n\n ")
    assert evidence_spans(made, [torch.ones(sum(len(chunk.ids) for chunk in made.chunks))], 5) == ()


def test_a_text_without_sentences_is_cut_around_the_place():
    made = library("word " * 2000)
    scores = [torch.zeros(len(made.documents[0].text) // 5 * 2)[: sum(len(c.ids) for c in made.chunks)]]
    scores[0][len(scores[0]) // 2] = 1.0
    (span,) = evidence_spans(made, scores, 5)
    assert 300 < span.end - span.start < 500


def test_without_attention_there_is_no_evidence():
    made = library(tiny_engine.words(20))
    assert evidence_spans(made, [torch.zeros(len(made.chunks[0].ids))], 5) == ()
