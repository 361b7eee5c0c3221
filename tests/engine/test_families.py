"""Models of many families read documents and answer through the engine, by quoted passages."""

import pytest
import torch

from sharedllm_core import Document, SharedLLMEngine
from sharedllm_core.decoding.padding import supports_padding
from sharedllm_core.model.window import window_tokens
from tests import tiny, tiny_engine
from tests.plain_families import FAMILIES, MORE_FAMILIES, make_plain

QUESTION = "What is the notice period of the harbour lease?"
# Of three lengths, so that a batch of them is padded.
QUESTIONS = [QUESTION, "Who signed the contract of the warehouse with the manager of the north building?", "Deposit?"]
ASKED = {"max_new_tokens": 6}
QUOTE_TOKENS = 160
# Without kept prompts, so that every token of a prompt enters the model.
OPTIONS = {"cache": tiny_engine.memory_cache(), "quote_tokens": QUOTE_TOKENS, "kept_prompt_bytes": 0}


def lease(days):
    """Documents that differ in one number, and only one of which is about the question."""
    filler = [Document(f"Meadow {number} grows clover and barley. " * 12, id=f"meadow {number}") for number in range(4)]
    fact = f"The tenant pays monthly. The notice period of the harbour lease is {days} days. The keys are returned."
    return [*filler[:2], Document(fact, id="lease"), *filler[2:]]


@pytest.fixture(scope="module", params=[*FAMILIES, *MORE_FAMILIES])
def engine(request, tmp_path_factory):
    # Random weights of this size would make the states of these two forget a passage before the question.
    scale = None if request.param in {"mamba", "rwkv"} else 0.25
    folder = make_plain(request.param, tmp_path_factory.mktemp("family"), scale=scale, window=512)
    with SharedLLMEngine.from_pretrained(folder, **OPTIONS) as engine:
        yield engine


@pytest.fixture(scope="module")
def library(engine):
    return engine.read(lease("seventy"))


class ModelInput:
    """Records the first input ids of a run of the model, and the logits of its last position."""

    def __init__(self, model):
        self.ids = self.logits = None
        self._hook = model.register_forward_hook(self._record, with_kwargs=True)

    def _record(self, _, args, kwargs, output):
        if self.ids is None:
            self.ids = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
            self.logits = output.logits[:, -1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._hook.remove()


def test_an_answer_says_what_was_quoted_and_its_passages_are_exact(engine, library):
    answer = engine.ask(QUESTION, library, **ASKED)
    reading = answer.reading
    assert engine.reading == reading.mode == "quoted"
    assert window_tokens(engine.model.config) == 512
    assert 0 < reading.quoted_tokens <= QUOTE_TOKENS
    assert reading.quoted_tokens + reading.unread_tokens == reading.total_tokens == library.num_tokens
    assert reading.unread_tokens > 0
    assert 0 < answer.usage.completion_tokens <= 6
    texts = {document.id: document.text for document in library}
    assert answer.evidence[0].document_id == "lease"
    for span in answer.evidence:
        assert span.text == texts[span.document_id][span.start : span.end]
    assert engine.ask(QUESTION, library, **ASKED) == answer


def test_the_model_is_given_the_quoted_text_and_its_logits_depend_on_it(engine, library):
    with ModelInput(engine.model) as seen:
        engine.ask(QUESTION, library, **ASKED)
    passages = engine.passages(QUESTION, library)
    text = engine.tokenizer.decode(seen.ids[0])
    assert all(passage.text in text for passage in passages)
    assert text.index("seventy days") < text.index(QUESTION)
    with ModelInput(engine.model) as other:
        engine.ask(QUESTION, lease("eighty"), **ASKED)
    assert other.ids.shape == seen.ids.shape
    changed = (other.ids != seen.ids).nonzero()
    assert 0 < len(changed) <= 6, "more than the number changed"
    assert not torch.allclose(other.logits, seen.logits, rtol=1e-4, atol=0)


def test_streamed_text_is_the_answer(engine, library):
    stream = engine.stream(QUESTION, library, **ASKED)
    pieces = list(stream)
    assert stream.answer == engine.ask(QUESTION, library, **ASKED)
    assert "".join(pieces) == stream.answer.text


@pytest.mark.parametrize("with_documents", [True, False])
def test_a_batch_of_several_lengths_is_its_questions_alone(engine, library, with_documents):
    documents = library if with_documents else None
    alone = [engine.ask(question, documents, **ASKED) for question in QUESTIONS]
    assert len({answer.usage.running_text_tokens for answer in alone}) == len(QUESTIONS)
    assert engine.ask_batch(QUESTIONS, documents, **ASKED) == alone


def test_the_logits_of_a_padded_question_are_those_of_it_alone(engine):
    with ModelInput(engine.model) as batch:
        engine.ask_batch(QUESTIONS, max_new_tokens=1)
    assert len(batch.ids) == (len(QUESTIONS) if supports_padding(engine.model) else 1)
    for number in range(len(batch.ids)):
        with ModelInput(engine.model) as alone:
            engine.ask(QUESTIONS[number], max_new_tokens=1)
        assert tiny.relative(batch.logits[number], alone.logits[0]) < 1e-4, QUESTIONS[number]
