"""Quoted reading: a model without injection answers from the best passages of the documents."""

import asyncio
from itertools import pairwise
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from sharedllm_core import ConfigError, Constraint, Document, InputError, SharedLLMEngine
from sharedllm_core.engine.quoting import passage_evidence
from sharedllm_core.text.library import make_library
from sharedllm_core.text.passages import Passage, find_passages
from sharedllm_core.text.tokenization import TextTokenizer
from tests import tiny_engine
from tests.real_models import smollm2_folder

QUESTION = "What is the notice period of the harbour lease?"
FACT = "The notice period of the harbour lease is ninety-one days."
TOKENIZER = TextTokenizer(tiny_engine.tokenizer())
ASKED = {"max_new_tokens": 8}


def plain_engine(checkpoint, **options):
    """The tiny base model, which has no injection."""
    model = AutoModelForCausalLM.from_pretrained(checkpoint.parent / "base")
    return SharedLLMEngine(model, tiny_engine.tokenizer(), cache=tiny_engine.memory_cache(), **options)


@pytest.fixture
def plain(checkpoint):
    return plain_engine(checkpoint)


def meadow(number):
    """Sentences that share no word with the question."""
    return " ".join(f"Meadow {number} grows clover and barley near brook {line}." for line in range(12))


@pytest.fixture
def documents():
    filler = [Document(meadow(number), id=f"meadow {number}") for number in range(12)]
    lease = Document(f"{meadow(20)} The rent is paid monthly. {FACT} {meadow(21)}", id="lease")
    return [*filler[:7], lease, *filler[7:]]


# ------------------------------------------------------------------------------------------------ passages

PIECES = [*tiny_engine.WORDS[:12], "Ninety", "days.", "(b)", "\n\n", "3.14", "漢字。", "x"]
texts = st.lists(st.lists(st.sampled_from(PIECES), max_size=60).map(" ".join), min_size=1, max_size=5)


@settings(max_examples=60)
@given(texts, st.integers(1, 300), st.sampled_from(["notice period", "zebra", "rent paid days", "漢字", "?"]))
def test_passages_are_exact_parts_in_order_that_never_overlap_and_keep_within_the_budget(texts, budget, question):
    documents = [Document(text, id=f"document {number}") for number, text in enumerate(texts)]
    library = make_library(documents, TOKENIZER, tiny_engine.METHOD)
    passages = find_passages(question, library, TOKENIZER, budget)
    assert sum(TOKENIZER.count(passage.text) for passage in passages) <= budget
    places = [(passage.document_id, passage.start, passage.end) for passage in passages]
    assert places == sorted(places)
    for (document, _, end), (following, start, _) in pairwise(places):
        assert document != following or end <= start
    for passage in passages:
        assert passage.text
        assert passage.text == library.documents[int(passage.document_id.split()[1])].text[passage.start : passage.end]
    if sum(TOKENIZER.count(text) for text in texts) <= budget and library.num_tokens <= budget:
        assert "".join("".join(passage.text for passage in passages).split()) == "".join("".join(texts).split())


def test_a_budget_that_holds_everything_quotes_everything(plain, documents):
    library = plain.read(documents)
    passages = plain.passages(QUESTION, library, max_tokens=100_000)
    assert [passage.text for passage in passages] == [document.text for document in documents]


def test_the_best_passage_holds_the_fact_whatever_the_inflection_and_case(plain, documents):
    library = plain.read(documents)
    for question in (QUESTION, "NOTICE periods of Harbour leases", "ninety-one"):
        best = max(plain.passages(question, library, max_tokens=300), key=lambda passage: passage.score)
        assert best.document_id == "lease"
        assert FACT in best.text


def test_the_index_of_a_document_is_shared_by_libraries_and_adding_one_builds_only_its_own(
    plain, documents, monkeypatch
):
    from sharedllm_core.text import word_index

    library = plain.read(documents)
    built, build = [], word_index._index_document
    monkeypatch.setattr(word_index, "_index_document", lambda *of: built.append(of) or build(*of))
    plain.read([*documents, Document("A new note on the deposit.", id="note")])
    assert len(built) == 1
    assert library.word_index is library.word_index


# ------------------------------------------------------------------------------------------------ answers


def test_an_answer_says_what_was_read_and_its_evidence_are_passages(plain, documents):
    library = plain.read(documents)
    answer = plain.ask(QUESTION, library, quote_tokens=160, **ASKED)
    reading = answer.reading
    assert reading.mode == plain.reading == "quoted"
    assert 0 < reading.quoted_tokens <= 160
    assert reading.injected_tokens == reading.injected_states == 0
    assert reading.quoted_tokens + reading.unread_tokens == reading.total_tokens == library.num_tokens
    by_id = {document.id: document for document in documents}
    assert answer.evidence
    for span in answer.evidence:
        assert span.text == by_id[span.document_id].text[span.start : span.end]
    assert sum(span.score for span in answer.evidence) <= 1.001


def test_evidence_begins_with_the_passage_whose_words_the_answer_has():
    texts = ["The lease has a notice period.", FACT, "The harbour has a lease, too."]
    passages = [Passage(f"document {number}", 0, len(text), text, 1.0) for number, text in enumerate(texts)]
    assert passage_evidence(passages, "Ninety-one days", 2)[0].text == FACT
    assert len(passage_evidence(passages, "Ninety-one days", 2)) == 2
    assert [span.text for span in passage_evidence(passages, "zebra", 3)] == texts


def test_every_way_of_asking_gives_the_same_answer(plain, documents):
    library = plain.read(documents)
    expected = plain.ask(QUESTION, library, **ASKED)
    assert plain.ask_batch([QUESTION, "Who?"], library, **ASKED)[0] == expected
    stream = plain.stream(QUESTION, library, **ASKED)
    assert "".join(stream) == expected.text
    assert stream.answer == expected
    assert asyncio.run(plain.aask(QUESTION, library, **ASKED)) == expected
    assert plain.with_cache(tiny_engine.memory_cache()).ask(QUESTION, documents, **ASKED) == expected


def test_a_plain_model_keeps_to_constraints_and_calls_tools_and_stops_when_cancelled(plain, documents):
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
    called = plain.ask(QUESTION, documents, tools=[tool], tool_choice="required", max_new_tokens=60, quote_tokens=160)
    assert called.tool_calls[0].name == "look_up"
    chosen = plain.ask(QUESTION, documents, constraint=Constraint.choice(["yes", "no"]), **ASKED)
    assert chosen.text in {"yes", "no"}
    cancelled = Event()
    cancelled.set()
    assert plain.ask(QUESTION, documents, cancelled=cancelled, **ASKED).finish_reason == "cancelled"


def test_reading_a_library_runs_no_model_and_stores_nothing(plain, documents, monkeypatch):
    monkeypatch.setattr(type(plain.model), "forward", None)
    library = plain.read(documents)
    assert plain.cached_tokens(library) == plain.forget(library) == 0
    assert not plain.cache.tiers[0].stats.num_bytes


def test_passages_leave_room_for_messages_and_answer_in_the_window(plain):
    library = plain.read(tiny_engine.documents(40))
    answer = plain.ask(QUESTION, library, max_new_tokens=32)
    assert answer.usage.running_text_tokens + 32 <= tiny_engine.WINDOW
    assert answer.reading.quoted_tokens > tiny_engine.WINDOW // 2


def test_the_template_can_be_replaced_and_a_wrong_one_is_refused(checkpoint, documents):
    template = "{{ question }}\n{% for passage in passages %}<{{ passage.title }}>{{ passage.text }}\n{% endfor %}"
    engine = plain_engine(checkpoint, quote_template=template)
    messages = engine._answering.quoter._template.place([{"role": "user", "content": "Who?"}], [])
    assert messages == [{"role": "user", "content": "Who?"}]
    assert engine.ask(QUESTION, documents, quote_tokens=160, **ASKED).reading.quoted_tokens
    for wrong in ("{{ question }}", "{% for", "{{ passages }} {{ other }}"):
        with pytest.raises(InputError, match="quote_template"):
            plain_engine(checkpoint, quote_template=wrong)


def test_a_trained_injection_reads_both_ways_where_that_is_asked_for(checkpoint, documents):
    engine = tiny_engine.make_engine(checkpoint, reading="both", quote_tokens=160)
    answer = engine.ask(QUESTION, documents, **ASKED)
    reading = answer.reading
    assert reading.mode == "both"
    assert 0 < reading.quoted_tokens <= 160
    assert reading.injected_states > 0
    assert reading.quoted_tokens + reading.injected_tokens + reading.unread_tokens == reading.total_tokens
    assert tiny_engine.make_engine(checkpoint).reading == "injected"


def test_an_untrained_injection_quotes_by_default(tmp_path, documents):
    engine = tiny_engine.make_engine(tiny_engine.make_checkpoint(tmp_path, trained=False))
    assert engine.reading == "quoted"
    assert engine.ask(QUESTION, documents, quote_tokens=160, **ASKED).reading.quoted_tokens


def test_what_a_plain_model_cannot_do_is_refused_with_a_remedy(checkpoint, plain, documents):
    with pytest.raises(ConfigError, match="reading='injected' needs a model with an injection"):
        plain_engine(checkpoint, reading="injected")
    with pytest.raises(ConfigError, match="searched by words"):
        plain.with_policy("lexical")
    with pytest.raises(InputError, match=r"use engine\.passages"):
        plain.past_context(QUESTION, documents)
    with pytest.raises(InputError, match="max_tokens=0"):
        plain.passages(QUESTION, documents, max_tokens=0)


# ------------------------------------------------------------------------------------------------ a real model


@pytest.fixture(scope="module")
def smollm2():
    folder = smollm2_folder()
    return SharedLLMEngine.from_pretrained(folder, cache=tiny_engine.memory_cache())


def test_smollm2_names_a_fact_that_only_the_documents_hold(smollm2):
    fact = "The access code of the boiler room is Quartz-7719."
    filler = [Document(tiny_engine.words(200, seed), id=f"note {seed}") for seed in range(30)]
    library = smollm2.read([*filler[:15], Document(f"Building notes. {fact}", id="building"), *filler[15:]])
    answer = smollm2.ask("What is the access code of the boiler room?", library, max_new_tokens=24, quote_tokens=200)
    assert "7719" in answer.text
    assert answer.evidence[0].document_id == "building"
    assert "7719" not in smollm2.ask("What is the access code of the boiler room?", max_new_tokens=24).text


def test_the_tokenizer_of_smollm2_counts_passages_as_the_budget_does(smollm2):
    tokenizer = AutoTokenizer.from_pretrained(smollm2_folder())
    library = smollm2.read([Document(tiny_engine.words(400, seed), id=str(seed)) for seed in range(6)])
    passages = smollm2.passages("notice period of the tenant", library, max_tokens=300)
    assert 100 < sum(len(tokenizer(one.text, add_special_tokens=False)["input_ids"]) for one in passages) <= 300
