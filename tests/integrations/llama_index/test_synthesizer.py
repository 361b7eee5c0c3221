"""`SharedLLMSynthesizer`: whole documents from nodes, in LlamaIndex's query engines and by itself."""

import asyncio

import pytest
from llama_index.core import ChatPromptTemplate, PromptHelper, PromptTemplate, Settings, SummaryIndex, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.base.response.schema import AsyncStreamingResponse, PydanticResponse, StreamingResponse
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import Document, ImageNode, NodeWithScore, QueryBundle, TextNode
from pydantic import BaseModel

from sharedllm_core import Document as OurDocument
from sharedllm_core import InputError, WindowError
from sharedllm_integrations.llama_index import SharedLLM, SharedLLMSynthesizer
from tests import tiny_engine
from tests.tiny_engine import BOTH_READINGS

QUESTION = "What is the notice period?"
SPLITTER = SentenceSplitter(chunk_size=120, chunk_overlap=30)


class Lease(BaseModel):
    """A lease."""

    tenant: str
    months: int


def documents(count=3, words=300):
    return [
        Document(text=tiny_engine.words(words, seed=seed), id_=f"lease {seed}", metadata={"number": seed})
        for seed in range(count)
    ]


def nodes_of(texts, **options):
    splitter = SentenceSplitter(chunk_size=120, chunk_overlap=30, **options)
    return [NodeWithScore(node=node, score=0.5) for node in splitter.get_nodes_from_documents(texts)]


def as_read(texts):
    """Documents as the model has to see them: once each, metadata once."""
    return [OurDocument(f"number: {one.metadata['number']}\n\n{one.text}", id=one.doc_id) for one in texts]


@pytest.fixture
def synthesizer(llm):
    return SharedLLMSynthesizer(llm)


@BOTH_READINGS
def test_the_answer_is_the_engines_own_to_the_whole_documents(engine, synthesizer):
    texts = documents()
    nodes = nodes_of(texts)
    assert len(nodes) > 6
    expected = engine.ask(QUESTION, as_read(texts), max_new_tokens=12)
    response = synthesizer.synthesize(QUESTION, nodes)
    assert str(response) == expected.text
    assert response.metadata["usage"]["past_context_tokens"] == expected.usage.past_context_tokens
    shuffled = synthesizer.synthesize(QueryBundle(QUESTION), [*nodes[:4][::-1], *nodes[4:]])
    assert str(shuffled) == expected.text


@BOTH_READINGS
async def test_async_and_streamed_answers_are_the_same(synthesizer):
    nodes = nodes_of(documents())
    text = str(synthesizer.synthesize(QUESTION, nodes))
    assert str(await synthesizer.asynthesize(QUESTION, nodes)) == text
    synthesizer._streaming = True
    response = synthesizer.synthesize(QUESTION, nodes)
    assert isinstance(response, StreamingResponse)
    pieces = list(response.response_gen)
    assert ("".join(pieces), len(pieces) > 1) == (text, True)
    assert response.metadata["usage"]["completion_tokens"] == 12
    aresponse = await synthesizer.asynthesize(QUESTION, nodes)
    assert isinstance(aresponse, AsyncStreamingResponse)
    assert "".join([piece async for piece in aresponse.async_response_gen()]) == text
    assert [one.score for one in aresponse.source_nodes] == [one.score for one in response.source_nodes]
    synthesizer._streaming = False
    assert str(synthesizer.synthesize(QUESTION, nodes)) == text


def test_streams_are_real_ones(llm):
    slow = SharedLLMSynthesizer(llm.model_copy(update={"max_tokens": 1500}), streaming=True)
    response = slow.synthesize(QUESTION, nodes_of(documents(1)))
    assert next(response.response_gen) is not None
    response.response_gen.close()


@BOTH_READINGS
@pytest.mark.parametrize("streaming", [False, True])
def test_source_nodes_are_ranked_by_evidence_and_say_where_it_is(engine, llm, streaming):
    texts = documents()
    nodes = nodes_of(texts)
    response = SharedLLMSynthesizer(llm, streaming=streaming).synthesize(QUESTION, nodes)
    str(response)
    sources = response.source_nodes
    assert {one.node.node_id for one in sources} == {one.node.node_id for one in nodes}
    scores = [one.score for one in sources]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0
    read = {one.id: one.text for one in as_read(texts)}
    strongest = engine.ask(QUESTION, as_read(texts), max_new_tokens=12).evidence[0]
    assert response.metadata["evidence"][0]["score"] == pytest.approx(strongest.score, rel=1e-3)
    for one in sources:
        for span in one.node.metadata.get("evidence", []):
            said = one.node.text[span["start"] : span["end"]]
            assert said
            assert any(said in read[of["document_id"]][of["start"] : of["end"]] for of in response.metadata["evidence"])
    assert all("evidence" not in one.node.metadata for one in nodes), "the index's own nodes stay as they are"
    assert "evidence" not in sources[0].node.get_content("llm")


def test_additional_source_nodes_come_last(synthesizer):
    more = NodeWithScore(node=TextNode(text="A note.", id_="more"))
    response = synthesizer.synthesize(QUESTION, nodes_of(documents(1)), additional_source_nodes=[more])
    assert response.source_nodes[-1] is more


def test_output_classes_and_structured_models_give_objects(llm):
    wide = llm.model_copy(update={"max_tokens": 120})
    nodes = nodes_of(documents(1))
    for made in (SharedLLMSynthesizer(wide, output_cls=Lease), SharedLLMSynthesizer(wide.as_structured_llm(Lease))):
        response = made.synthesize(QUESTION, nodes)
        assert isinstance(response, PydanticResponse)
        assert isinstance(response.response, Lease)
        assert response.source_nodes[0].score > 0
    streamed = SharedLLMSynthesizer(wide, output_cls=Lease, streaming=True).synthesize(QUESTION, nodes)
    assert Lease.model_validate_json(str(streamed)) == response.response


# ---------------------------------------------------------------------------------------------- nothing, and too much


async def test_without_documents_it_says_so(llm, events):
    empty = SharedLLMSynthesizer(llm)
    assert str(empty.synthesize(QUESTION, [])) == "There are no documents to answer from."
    assert str(await empty.asynthesize(QUESTION, [])) == "There are no documents to answer from."
    empty._streaming = True
    assert str(empty.synthesize(QUESTION, [])) == "There are no documents to answer from."
    aresponse = await empty.asynthesize(QUESTION, [])
    assert [piece async for piece in aresponse.response_gen] == ["There are no documents to answer from."]
    assert events.names("Synthesize") == ["SynthesizeStartEvent", "SynthesizeEndEvent"] * 4
    assert not events.names("LLM")


async def test_preloaded_documents_are_answered_from_also_by_an_empty_index(engine, llm):
    expected = engine.ask(QUESTION, as_read(documents()), max_new_tokens=12)
    made = SharedLLMSynthesizer(llm, documents=documents())
    assert str(made.synthesize(QUESTION, [])) == expected.text
    assert str(await made.asynthesize(QUESTION, [])) == expected.text
    Settings.llm = llm
    index = SummaryIndex.from_documents([])
    response = index.as_query_engine(response_synthesizer=made).query(QUESTION)
    assert str(response) == expected.text
    assert [one.node.text for one in response.source_nodes] == [one.text for one in expected.evidence]


def test_preloaded_documents_and_nodes_are_read_once_each(engine, llm):
    made = SharedLLMSynthesizer(llm, documents=documents(2))
    response = made.synthesize(QUESTION, nodes_of(documents(3)))
    used = engine.ask(QUESTION, as_read(documents(3)), max_new_tokens=12).usage
    assert response.metadata["usage"]["past_context_tokens"] == used.past_context_tokens


def test_more_documents_than_fit_are_refused_with_the_numbers(llm):
    small = SharedLLMSynthesizer(llm.model_copy(update={"context_window": 500}))
    with pytest.raises(WindowError, match=r"the 3 documents have [\d,]+ tokens, and context_window is 500; choose"):
        small.synthesize(QUESTION, nodes_of(documents()))


def test_no_prompt_helper_packs_anew_or_cuts_off(engine, llm):
    Settings.prompt_helper = PromptHelper(context_window=64, num_output=60)
    texts = documents()
    response = SharedLLMSynthesizer(llm).synthesize(QUESTION, nodes_of(texts))
    used = engine.ask(QUESTION, as_read(texts), max_new_tokens=12).usage
    assert response.metadata["usage"]["past_context_tokens"] == used.past_context_tokens


def test_nodes_that_cannot_be_read_are_refused(synthesizer):
    with pytest.raises(InputError, match="holds an image"):
        synthesizer.synthesize(QUESTION, [NodeWithScore(node=ImageNode(image_path="a.png"))])
    with pytest.raises(InputError, match="the 1 nodes hold no text"):
        synthesizer.synthesize(QUESTION, [NodeWithScore(node=TextNode(text=""))])


def test_what_is_missing_of_a_document_is_said(synthesizer):
    nodes = nodes_of(documents(1))
    assert "documents" not in synthesizer.synthesize(QUESTION, nodes).metadata
    told = synthesizer.synthesize(QUESTION, [nodes[0], nodes[-1]]).metadata["documents"]
    [missing] = told["lease 0"]["missing"]
    assert missing["characters"] == nodes[-1].node.start_char_idx - nodes[0].node.end_char_idx


# ---------------------------------------------------------------------------------------------- prompts, events, models


def test_prompts_can_be_read_and_replaced(llm, events):
    made = SharedLLMSynthesizer(llm)
    assert made.get_prompts()["text_qa_template"].get_template() == "{query_str}"
    templates = [
        PromptTemplate("Be brief.\n{context_str}\nQuestion: {query_str}"),
        ChatPromptTemplate([ChatMessage(role="system", content="Be brief."), ChatMessage(content="{query_str}")]),
        PromptTemplate("Say: {q}", template_var_mappings={"query_str": "q"}),
    ]
    sent = []
    for template in templates:
        made.update_prompts({"text_qa_template": template})
        assert made.get_prompts()["text_qa_template"].get_template() == template.get_template()
        made.synthesize(QUESTION, nodes_of(documents(1)))
        sent.append([event.messages for event in events.seen if type(event).__name__ == "LLMChatStartEvent"][-1])
    assert sent[0][0].content == f"Be brief.\n[the documents]\nQuestion: {QUESTION}"
    assert [message.role.value for message in sent[1]] == ["system", "user"]
    assert sent[2][0].content == f"Say: {QUESTION}"
    system = SharedLLMSynthesizer(llm.model_copy(update={"system_prompt": "Be kind."}))
    assert system._messages(QUESTION)[0].content == "Be kind."


@pytest.mark.parametrize("streaming", [False, True])
async def test_one_pair_of_events_for_each_step(llm, events, streaming):
    debug = LlamaDebugHandler(print_trace_on_end=False)
    made = SharedLLMSynthesizer(llm, streaming=streaming, callback_manager=CallbackManager([debug]))
    nodes = nodes_of(documents(1))
    str(made.synthesize(QUESTION, nodes))
    response = await made.asynthesize(QUESTION, nodes)
    if streaming:
        _ = [piece async for piece in response.async_response_gen()]
    assert events.names("Synthesize") == ["SynthesizeStartEvent", "SynthesizeEndEvent"] * 2
    told = [name for name in events.names("LLMChat") if "InProgress" not in name]
    assert told == ["LLMChatStartEvent", "LLMChatEndEvent"] * 2
    assert len(debug.get_llm_inputs_outputs()) == 2
    assert len(debug.get_event_pairs("synthesize")) == 2


def test_strings_alone_are_documents_too(engine, llm):
    texts = [tiny_engine.words(100, seed=seed) for seed in range(2)]
    expected = engine.ask(QUESTION, [OurDocument(text) for text in texts], max_new_tokens=12).text
    assert SharedLLMSynthesizer(llm).get_response(QUESTION, texts) == expected
    assert "".join(SharedLLMSynthesizer(llm, streaming=True).get_response(QUESTION, texts)) == expected


async def test_no_strings_are_no_documents(llm, events):
    empty, streaming = SharedLLMSynthesizer(llm), SharedLLMSynthesizer(llm, streaming=True)
    said = [
        empty.get_response(QUESTION, []),
        await empty.aget_response(QUESTION, [""]),
        "".join(streaming.get_response(QUESTION, [])),
        "".join([piece async for piece in await streaming.aget_response(QUESTION, [])]),
    ]
    assert said == ["There are no documents to answer from."] * 4
    assert not events.names("LLM")


async def test_leaving_an_async_stream_stops_the_model(llm):
    slow = SharedLLMSynthesizer(llm.model_copy(update={"max_tokens": 1500}), streaming=True)
    response = await slow.asynthesize(QUESTION, nodes_of(documents(1)))
    await anext(response.response_gen)
    await response.response_gen.aclose()
    assert await asyncio.wait_for(llm.achat([ChatMessage(content=QUESTION)], max_tokens=1), 5)


def test_what_is_missing_of_preloaded_nodes_is_said(llm):
    nodes = nodes_of(documents(1))
    made = SharedLLMSynthesizer(llm, documents=[nodes[0], nodes[-1]])
    assert made.synthesize(QUESTION, []).metadata["documents"]["lease 0"]["missing"]


async def test_strings_alone_also_with_await(llm):
    texts = [tiny_engine.words(100)]
    expected = SharedLLMSynthesizer(llm).get_response(QUESTION, texts)
    assert await SharedLLMSynthesizer(llm).aget_response(QUESTION, texts) == expected
    streamed = await SharedLLMSynthesizer(llm, streaming=True).aget_response(QUESTION, texts)
    assert "".join([piece async for piece in streamed]) == expected


def test_other_models_are_refused_and_no_default_is_looked_for():
    with pytest.raises(InputError, match="llm is a MockLLM, which cannot read whole documents"):
        SharedLLMSynthesizer(MockLLM())
    assert isinstance(SharedLLMSynthesizer().llm, SharedLLM)
    Settings.llm = MockLLM()
    with pytest.raises(InputError, match=r"Settings\.llm is a MockLLM"):
        SharedLLMSynthesizer()
    Settings.llm = SharedLLM(model="reader", max_tokens=3)
    assert SharedLLMSynthesizer().llm is Settings.llm


@BOTH_READINGS
@pytest.mark.parametrize("kind", ["summary", "vectors"])
def test_query_engines_of_llama_index_take_it(engine, llm, kind):
    Settings.llm = llm
    texts = documents(2)
    if kind == "summary":
        retrieves = SummaryIndex.from_documents(texts, transformations=[SPLITTER])
    else:
        retrieves = VectorStoreIndex.from_documents(texts, transformations=[SPLITTER], embed_model=MockEmbedding(8))
    query_engine = retrieves.as_query_engine(
        response_synthesizer=SharedLLMSynthesizer(llm), **({"similarity_top_k": 99} if kind == "vectors" else {})
    )
    expected = {engine.ask(QUESTION, read, max_new_tokens=12).text for read in (as_read(texts), as_read(texts)[::-1])}
    assert str(query_engine.query(QUESTION)) in expected
