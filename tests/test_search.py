"""The search for passages: what it opens, within which budget, and what an index costs."""

import gc
from weakref import ref

import pytest
from transformers import AutoTokenizer

from sharedllm_core import Document
from sharedllm_core.engine.kinds import PLAIN_METHOD
from sharedllm_core.text import word_index
from sharedllm_core.text.library import make_library
from sharedllm_core.text.passages import find_passages
from sharedllm_core.text.tokenization import TextTokenizer
from sharedllm_core.text.word_index import WordIndex
from tests.real_models import smollm2_folder

FILLER = [
    Document(
        f"The report of season {number} lists harvests, prices and weather in district {number}. "
        f"Growers of {name} met in spring. They asked for better roads and cheaper seed.",
        id=f"report-{number}",
        metadata={"title": f"Growers of {name}"},
    )
    for number, name in enumerate(["barley", "hops", "flax", "plums", "beets", "rye", "oats", "maize"] * 6)
]
NOVEL = Document(
    "The Glass Orchard is the first novel of Mara Ilves. It was published by Two Lanterns in the autumn.",
    id="novel",
    metadata={"title": "The Glass Orchard"},
)
PUBLISHER = Document(
    "Two Lanterns is a small house in a former mill. Its office stands at the harbour of Tallinn.",
    id="publisher",
    metadata={"title": "Two Lanterns (company)"},
)


@pytest.fixture(scope="module")
def tokenizer():
    return TextTokenizer(AutoTokenizer.from_pretrained(smollm2_folder()))


def library_of(tokenizer, documents):
    return make_library(documents, tokenizer, PLAIN_METHOD)


def found(tokenizer, question, documents, max_tokens):
    return find_passages(question, library_of(tokenizer, documents), tokenizer, max_tokens)


def test_a_document_that_the_best_passage_names_by_its_title_is_opened_next(tokenizer):
    documents = [*FILLER[:24], NOVEL, *FILLER[24:], PUBLISHER]
    question = "In which town does the press that published the first novel of Mara Ilves have its seat?"
    count = tokenizer.count(NOVEL.text) + tokenizer.count(PUBLISHER.text)
    passages = found(tokenizer, question, documents, count + 10)
    assert {passage.document_id for passage in passages} == {"novel", "publisher"}


def test_a_title_of_common_words_names_no_document(tokenizer):
    common = Document("A note about tram lines.", id="common", metadata={"title": "Growers"})
    documents = [*FILLER, NOVEL, common]
    budget = tokenizer.count(NOVEL.text) + 2 * tokenizer.count(FILLER[0].text)
    passages = found(tokenizer, "What did the growers of hops of season 9 ask for?", documents, budget)
    assert "common" not in {passage.document_id for passage in passages}


def test_a_budget_below_the_best_segment_opens_single_sentences_of_it(tokenizer):
    text = "The lease begins in May. The deposit is ninety marks, paid in advance. Keys are handed over at noon."
    documents = [Document(text, id="lease"), *FILLER]
    sentence = "The deposit is ninety marks, paid in advance."
    question = "How high is the deposit in the lease?"
    passages = found(tokenizer, question, documents, tokenizer.count(sentence) + 2)
    assert passages
    assert all(passage.text in text for passage in passages)
    assert tokenizer.count_all([passage.text for passage in passages]) <= tokenizer.count(sentence) + 2


def test_an_index_costs_less_than_eight_bytes_a_token(tokenizer):
    library = library_of(tokenizer, FILLER)
    assert library.word_index.num_bytes < 8 * library.num_tokens


def test_documents_that_another_index_holds_are_not_indexed_again(tokenizer, monkeypatch):
    library = library_of(tokenizer, FILLER)
    first = library.word_index
    indexed, index_document = [], word_index._index_document
    monkeypatch.setattr(word_index, "_index_document", lambda *one: indexed.append(one) or index_document(*one))
    documents = [NOVEL, *FILLER[::-1]]
    larger = WordIndex([document.text for document in documents], [document.title for document in documents])
    assert [text for text, _ in indexed] == [NOVEL.text]
    del library, first
    monkeypatch.undo()
    fresh = WordIndex([f"{document.text} " for document in documents], [document.title for document in documents])
    question = "What did growers of flax ask for in spring?"
    assert larger.scores(question).tolist() == fresh.scores(question).tolist()


def test_an_index_that_nobody_uses_is_freed():
    index = WordIndex(["Some words that only this text has."], [""])
    freed = ref(index)
    del index
    gc.collect()
    assert freed() is None


def test_words_that_stand_often_in_one_region_count_together():
    lines = [
        f"Line {number} tells of ordinary things, at length and in no particular order." * 2 for number in range(60)
    ]
    lines[40] = "The harbour was built of granite, as the old harbour had been of oak. " * 2
    lines[41] = "Ships came in by night, and pilots guided them along the pier. " * 2
    lines[42] = "The master kept the books of the harbour, in which each ship was named. " * 2
    lines[10] = "The harbour is mentioned here as well, in a line of its own. " * 2
    scores = WordIndex(["\n\n".join(lines)], ["town"]).scores("Who keeps the books of the harbour?").tolist()
    assert max(range(60), key=scores.__getitem__) == 42
    assert scores[41] > scores[10]
