"""Search by meaning: any kind of embedding, fused with the words, computed once for each document."""

import gc
from weakref import ref

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings
from llama_index.core.base.embeddings.base import BaseEmbedding
from transformers import AutoTokenizer

from sharedllm_core import Document, InputError
from sharedllm_core.engine.kinds import PLAIN_METHOD
from sharedllm_core.text.embedding import Embedder
from sharedllm_core.text.library import make_library
from sharedllm_core.text.passages import find_passages
from sharedllm_core.text.tokenization import TextTokenizer
from tests import tiny_engine
from tests.real_models import smollm2_folder

TOPICS = {"car": 0, "vehicle": 0, "lorry": 0, "doctor": 1, "physician": 1, "roof": 2, "tiles": 2}


def embed(texts):
    """One axis for each topic, and one that all texts share."""
    return [
        [*(sum(text.lower().count(w) for w, t in TOPICS.items() if t == topic) for topic in range(3)), 0.1]
        for text in texts
    ]


class LangChainEmbeddings(Embeddings):
    def embed_documents(self, texts):
        return embed(texts)

    def embed_query(self, text):
        return embed([text])[0]


class LlamaIndexEmbedding(BaseEmbedding):
    def _get_text_embedding(self, text):
        return embed([text])[0]

    def _get_query_embedding(self, query):
        return embed([query])[0]

    async def _aget_query_embedding(self, query):
        return embed([query])[0]


KINDS = {"function": embed, "LangChain": LangChainEmbeddings(), "LlamaIndex": LlamaIndexEmbedding()}
DOCUMENTS = [
    Document("The lorry is parked behind the mill at night, and washed on Sundays by the miller's son.", id="lorry"),
    Document("Our physician comes on Tuesdays and sees everyone who waits in the hall before noon.", id="physician"),
    Document("New tiles were laid in May by two men from the coast who stayed for a week or more.", id="tiles"),
]


@pytest.fixture(scope="module")
def tokenizer():
    return TextTokenizer(AutoTokenizer.from_pretrained(smollm2_folder()))


@pytest.fixture
def library(tokenizer):
    return make_library(DOCUMENTS, tokenizer, PLAIN_METHOD)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("question", "expected"), [("Any doctor here?", "physician"), ("A vehicle?", "lorry")])
def test_a_question_finds_what_it_means_without_sharing_a_word(library, tokenizer, kind, question, expected):
    (passage,) = find_passages(question, library, tokenizer, 24, Embedder(KINDS[kind]))
    assert passage.document_id == expected


def test_words_still_count(library, tokenizer):
    (passage,) = find_passages("What did the men from the coast lay?", library, tokenizer, 24, Embedder(embed))
    assert passage.document_id == "tiles"


def test_vectors_of_a_document_are_computed_once_while_a_library_has_it(library, tokenizer):
    embedded = []
    embedder = Embedder(lambda texts: embedded.extend(texts) or embed(texts))
    embedder.index(library)
    count = len(embedded)
    assert count == library.word_index.num_segments
    embedder.scores("Who?", library)
    more = make_library([*DOCUMENTS, Document("A new roof.", id="new")], tokenizer, PLAIN_METHOD)
    embedder.index(more)
    assert embedded[count:] == ["Who?", "A new roof."]


def test_vectors_are_freed_with_their_library(tokenizer):
    embedder = Embedder(embed)
    library = make_library([Document("Some text about a roof.", id="a")], tokenizer, PLAIN_METHOD)
    embedder.index(library)
    freed = ref(library)
    del library
    gc.collect()
    assert freed() is None
    assert not list(embedder._of_documents)


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        ("text-embedding-3", "embedding='str' embeds no texts"),
        (lambda texts: [[1.0]], r"an array \(1, 1\), for 3 texts"),
        (lambda texts: [1.0 for _ in texts], r"an array \(3,\), for 3 texts"),
        (lambda texts: [[np.nan] for _ in texts], "one vector of finite numbers"),
        (lambda texts: [["a"] for _ in texts], "returned no vectors"),
    ],
)
def test_what_is_no_embedding_is_refused(tokenizer, embedding, message):
    library = make_library([Document("\n\n".join(d.text for d in DOCUMENTS), id="a")], tokenizer, PLAIN_METHOD)
    with pytest.raises(InputError, match=message):
        Embedder(embedding).index(library)


def test_an_engine_quotes_what_a_question_means_and_engines_derived_from_it_share_the_vectors(tmp_path):
    embedded = []
    engine = tiny_engine.make_engine(
        tiny_engine.make_checkpoint(tmp_path),
        reading="quoted",
        embedding=lambda texts: embedded.extend(texts) or embed(texts),
    )
    library = engine.read(DOCUMENTS)
    count = len(embedded)
    assert count == 3
    derived = engine.with_cache(tiny_engine.memory_cache())
    for one in (engine, derived):
        (passage,) = one.passages("Any doctor here?", library, max_tokens=120)
        assert passage.document_id == "physician"
        answer = one.ask("Any doctor here?", library, quote_tokens=120, max_new_tokens=2)
        assert [span.document_id for span in answer.evidence] == ["physician"]
    assert not any("physician" in text for text in embedded[count:]), "documents are embedded once"
