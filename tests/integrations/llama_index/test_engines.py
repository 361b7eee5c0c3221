"""Query engines, chat engines and retrievers over whole documents, of indexes and without them."""

import asyncio
import time

import pytest
from llama_index.core import (
    Settings,
    SimpleDirectoryReader,
    SimpleKeywordTableIndex,
    StorageContext,
    SummaryIndex,
    TreeIndex,
    VectorStoreIndex,
    get_response_synthesizer,
)
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.chat_engine import CondenseQuestionChatEngine
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.evaluation import CorrectnessEvaluator, FaithfulnessEvaluator, RelevancyEvaluator
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import HierarchicalNodeParser, SentenceSplitter, get_leaf_nodes
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import Document, NodeWithScore, TextNode
from llama_index.core.selectors import PydanticSingleSelector
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.tools import QueryEngineTool
from pydantic import BaseModel

from sharedllm_core import Document as OurDocument
from sharedllm_core import InputError, WindowError
from sharedllm_integrations.llama_index import (
    FullDocumentRetriever,
    SharedLLMChatEngine,
    SharedLLMQueryEngine,
    SharedLLMSynthesizer,
)
from tests import tiny_engine
from tests.tiny_engine import BOTH_READINGS

QUESTION = "What is the notice period?"
SPLITTER = SentenceSplitter(chunk_size=120, chunk_overlap=30)
SPLIT = {"transformations": [SPLITTER]}


def documents(count=3, words=300):
    return [Document(text=tiny_engine.words(words, seed=seed), id_=f"lease {seed}") for seed in range(count)]


def answer_of(engine, texts, question=QUESTION, **options):
    read = [OurDocument(one.text, id=one.doc_id) for one in texts]
    return engine.ask(question, read, max_new_tokens=12, **options)


def index_of(kind, texts):
    if kind == "summary":
        return SummaryIndex.from_documents(texts, **SPLIT)
    if kind == "whole documents":
        return SummaryIndex(nodes=texts)
    if kind == "keywords":
        return SimpleKeywordTableIndex.from_documents(texts, **SPLIT)
    if kind == "hierarchy":
        parser = HierarchicalNodeParser.from_defaults(chunk_sizes=[240, 120, 60])
        nodes = parser.get_nodes_from_documents(texts)
        storage = StorageContext.from_defaults(docstore=SimpleDocumentStore())
        storage.docstore.add_documents(nodes)
        return VectorStoreIndex(get_leaf_nodes(nodes), storage_context=storage, embed_model=MockEmbedding(8))
    return VectorStoreIndex.from_documents(texts, embed_model=MockEmbedding(8), **SPLIT)


KINDS = ["summary", "whole documents", "keywords", "vectors", "hierarchy"]


# ---------------------------------------------------------------------------------------------- query engines


@BOTH_READINGS
@pytest.mark.parametrize("kind", KINDS)
def test_every_index_is_answered_from_as_a_whole(engine, llm, kind):
    Settings.llm = llm  # which an index of keywords asks for when it is made
    texts = documents(1)
    response = SharedLLMQueryEngine.from_index(index_of(kind, texts)).query(QUESTION)
    expected = answer_of(engine, texts)
    assert str(response) == expected.text
    assert response.metadata["usage"]["past_context_tokens"] == expected.usage.past_context_tokens
    assert "documents" not in response.metadata, "nothing is missing and nothing is a guess"


async def test_documents_need_no_index(engine, llm, tmp_path):
    for one in documents():
        (tmp_path / f"{one.doc_id}.txt").write_text(one.text)
    read = SimpleDirectoryReader(tmp_path).load_data()
    made = SharedLLMQueryEngine.from_documents(read, llm)
    response = made.query(QUESTION)
    usage = response.metadata["usage"]
    assert usage["cached_tokens"] == usage["past_context_tokens"], "read beforehand"
    assert str(await made.aquery(QUESTION)) == str(response)
    names = {one.node.metadata["file_name"] for one in response.source_nodes}
    assert names == {f"{one.doc_id}.txt" for one in documents()}
    paths = SharedLLMQueryEngine.from_documents(str(tmp_path), llm, read=False).query(QUESTION)
    assert paths.source_nodes[0].node.ref_doc_id.endswith(".txt")
    assert str(paths) == engine.ask(QUESTION, str(tmp_path), max_new_tokens=12).text


@pytest.mark.parametrize("kind", ["summary", "vectors"])
def test_adding_one_document_compresses_only_that_one(llm, kind):
    texts = documents(4)
    index = index_of(kind, texts[:3])
    made = SharedLLMQueryEngine.from_index(index, llm, read=True)
    made.query(QUESTION)
    index.insert(texts[3])
    usage = made.query(QUESTION).metadata["usage"]
    assert usage["past_context_tokens"] - usage["cached_tokens"] == llm.engine.tokenizer.count(texts[3].text)
    index.delete_ref_doc(texts[0].doc_id, delete_from_docstore=True)
    usage = made.query(QUESTION).metadata["usage"]
    assert usage["past_context_tokens"] == sum(llm.engine.tokenizer.count(one.text) for one in texts[1:])
    assert usage["cached_tokens"] == usage["past_context_tokens"]


@pytest.mark.parametrize("made", [SharedLLMQueryEngine, SharedLLMChatEngine])
def test_an_index_is_read_at_once_unless_a_retriever_chooses(llm, made):
    index = index_of("vectors", documents())
    entries = lambda: llm.engine.cache.stats()["memory"].entries  # noqa: E731
    made.from_index(index, llm, retriever=index.as_retriever())
    made.from_index(index, llm, read=False)
    assert entries() == 0
    engine = made.from_index(index, llm)
    assert entries() > 0
    response = engine.query(QUESTION) if made is SharedLLMQueryEngine else engine.chat(QUESTION)
    usage = response.metadata["usage"]
    assert usage["cached_tokens"] == usage["past_context_tokens"] > 0


async def test_an_empty_index_says_so_and_one_with_preloaded_documents_answers(engine, llm):
    empty = SummaryIndex.from_documents([])
    assert "no documents" in str(SharedLLMQueryEngine.from_index(empty, llm).query(QUESTION))
    assert "no documents" in str(SharedLLMQueryEngine.from_documents([], llm).query(QUESTION))
    made = SharedLLMQueryEngine.from_index(empty, llm, documents=documents())
    assert str(await made.aquery(QUESTION)) == answer_of(engine, documents()).text


def test_a_set_that_cannot_fit_is_refused_before_it_is_read(llm):
    small = llm.model_copy(update={"context_window": 500})
    with pytest.raises(WindowError, match=r"the 3 documents have [\d,]+ tokens, and context_window is 500"):
        SharedLLMQueryEngine.from_documents(documents(), small)
    assert llm.engine.cache.stats()["memory"].entries == 0


def test_streaming_and_options_reach_the_synthesizer(llm):
    made = SharedLLMQueryEngine.from_documents(documents(1), llm, streaming=True)
    assert len(list(made.query(QUESTION).response_gen)) > 1
    assert "response_synthesizer:text_qa_template" in made.get_prompts()


def test_a_plain_engine_with_a_retriever_is_one_too(engine, llm):
    index = index_of("summary", documents(1))
    expected = answer_of(engine, documents(1)).text
    made = SharedLLMQueryEngine.from_args(index.as_retriever(), llm)
    assert str(made.query(QUESTION)) == expected
    own = RetrieverQueryEngine(index.as_retriever(), SharedLLMSynthesizer(llm))
    assert str(own.query(QUESTION)) == expected
    tool = QueryEngineTool.from_defaults(made, name="leases", description="Leases.")
    assert tool.call(QUESTION).content == expected


def test_an_index_of_a_tree_reads_documents_and_no_summaries(engine, llm):
    Settings.llm = llm
    nodes = [TextNode(text=one.text, id_=one.doc_id) for one in documents(2, 60)]
    index = TreeIndex(nodes, num_children=2, build_tree=False)
    made = SharedLLMQueryEngine.from_index(index, llm).query(QUESTION)
    assert (
        made.metadata["usage"]["past_context_tokens"] == answer_of(engine, documents(2, 60)).usage.past_context_tokens
    )


async def test_eight_questions_at_once_leave_the_event_loop_free(llm):
    texts = documents(8, 600)
    made = SharedLLMQueryEngine.from_index(index_of("vectors", texts), llm.model_copy(update={"max_tokens": 60}))
    questions = [f"{QUESTION} of lease {number}?" for number in range(8)]
    expected = [str(made.query(question)) for question in questions]
    waits = []

    async def ticking():
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            waits.append(time.perf_counter() - began)

    ticker = asyncio.create_task(ticking())
    began = time.perf_counter()
    answers = await asyncio.gather(*(made.aquery(question) for question in questions))
    total = time.perf_counter() - began
    ticker.cancel()
    assert [str(answer) for answer in answers] == expected
    # A share of the whole: how long a single tick takes says more about the machine than about the code.
    assert max(waits, default=total) < total / 2, "the loop waited while questions were answered"
    assert len(waits) > 20


# ---------------------------------------------------------------------------------------------- choosing documents


class Chooses(BaseRetriever):
    """Finds one node of each of some documents."""

    def __init__(self, index, names):
        super().__init__()
        self.nodes = {node.ref_doc_id: node for node in index.docstore.docs.values()}
        self.names = names

    def _retrieve(self, query_bundle):
        return [NodeWithScore(node=self.nodes[name], score=1.0) for name in self.names]


@pytest.mark.parametrize("source", ["index", "docstore", "documents"])
async def test_a_retriever_chooses_documents_and_all_of_each_is_read(engine, llm, source):
    texts = documents(4)
    index = index_of("vectors", texts)
    kept = {"index": index, "docstore": index.docstore, "documents": texts}[source]
    retriever = FullDocumentRetriever(Chooses(index, ["lease 2", "lease 0"]), kept)
    made = SharedLLMQueryEngine(retriever, llm=llm)
    expected = answer_of(engine, [texts[2], texts[0]])
    assert str(made.query(QUESTION)) == expected.text
    assert str(await made.aquery(QUESTION)) == expected.text
    one = FullDocumentRetriever(Chooses(index, ["lease 2", "lease 0"]), kept, max_documents=1)
    assert {node.node.ref_doc_id or node.node.node_id for node in one.retrieve(QUESTION)} == {"lease 2"}


def test_an_index_is_asked_through_its_own_retriever(engine, llm):
    texts = documents(4)
    index = index_of("vectors", texts)
    made = SharedLLMQueryEngine.from_index(index, llm, retriever=index.as_retriever(similarity_top_k=1))
    response = made.query(QUESTION)
    [name] = {one.node.ref_doc_id for one in response.source_nodes}
    expected = answer_of(engine, [one for one in texts if one.doc_id == name])
    assert response.metadata["usage"]["past_context_tokens"] == expected.usage.past_context_tokens


def test_chosen_documents_that_are_not_kept_are_read_as_far_as_they_were_found(llm):
    index = index_of("vectors", documents(1))
    retriever = FullDocumentRetriever(Chooses(index, ["lease 0"]), [])
    response = SharedLLMQueryEngine(retriever, llm=llm).query(QUESTION)
    assert response.metadata["documents"]["lease 0"]["missing"]


def test_a_source_that_keeps_nothing_is_refused():
    with pytest.raises(InputError, match="str keeps no nodes"):
        FullDocumentRetriever(Chooses(index_of("vectors", []), []), "contracts/")


def test_what_would_be_ignored_is_refused(llm):
    index = index_of("vectors", documents(1))
    with pytest.raises(InputError, match="max_documents=0 chooses nothing"):
        FullDocumentRetriever(index.as_retriever(), index, max_documents=0)
    with pytest.raises(InputError, match=r"\['streaming', 'llm'\]|\['llm', 'streaming'\] are of the synthesizer"):
        SharedLLMQueryEngine(index.as_retriever(), SharedLLMSynthesizer(llm), llm=llm, streaming=True)
    with pytest.raises(InputError, match="StructuredLLM, which cannot read whole documents"):
        SharedLLMChatEngine(index.as_retriever(), llm.as_structured_llm(Lease))
    with pytest.raises(TypeError, match="output_cls"):
        SharedLLMChatEngine(index.as_retriever(), llm, output_cls=Lease)
    other = SharedLLMQueryEngine(index.as_retriever(), get_response_synthesizer(llm=llm))
    with pytest.raises(InputError, match="reads nothing beforehand"):
        other.read()


class Lease(BaseModel):
    """A lease."""

    tenant: str


def test_two_cuts_of_one_document_in_one_docstore_do_not_double_it(engine, llm):
    texts = documents(1)
    docstore = SimpleDocumentStore()
    for size in (120, 70):
        docstore.add_documents(SentenceSplitter(chunk_size=size, chunk_overlap=20).get_nodes_from_documents(texts))
    retriever = FullDocumentRetriever(SummaryIndex(list(docstore.docs.values())[:1]).as_retriever(), docstore)
    response = SharedLLMQueryEngine(retriever, llm=llm).query(QUESTION)
    assert response.metadata["usage"]["past_context_tokens"] == answer_of(engine, texts).usage.past_context_tokens


# ---------------------------------------------------------------------------------------------- chat engines


async def test_a_conversation_is_answered_from_documents_and_earlier_turns(engine, llm):
    texts = documents(2)
    made = SharedLLMChatEngine.from_documents(texts, llm, system_prompt="Be brief.")
    first = made.chat(QUESTION)
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}]
    assert str(first) == answer_of(engine, texts, said).text
    second = await made.achat("Who signed it?")
    said += [{"role": "assistant", "content": str(first)}, {"role": "user", "content": "Who signed it?"}]
    assert str(second) == answer_of(engine, texts, said).text
    assert second.source_nodes[0].score > 0
    assert second.metadata["usage"]["cached_tokens"] == second.metadata["usage"]["past_context_tokens"]
    assert [message.content for message in made.chat_history] == [QUESTION, str(first), "Who signed it?", str(second)]
    made.reset()
    assert made.chat_history == []
    assert str(made.chat(QUESTION, chat_history=[])) == str(first)


@BOTH_READINGS
async def test_chats_are_streamed_and_remembered(llm, events):
    made = SharedLLMChatEngine.from_index(index_of("summary", documents(1)), llm)
    whole = str(made.chat(QUESTION))
    made.reset()
    streamed = made.stream_chat(QUESTION)
    assert "".join(streamed.response_gen) == whole
    assert streamed.source_nodes[0].score > 0
    assert [message.content for message in made.chat_history] == [QUESTION, whole]
    made.reset()
    astreamed = await made.astream_chat(QUESTION)
    assert "".join([piece async for piece in astreamed.async_response_gen()]) == whole
    assert [message.content for message in made.chat_history] == [QUESTION, whole]
    assert events.names("StreamChatEnd") == ["StreamChatEndEvent"] * 2
    assert len(events.names("LLMChatStart")) == 3


async def test_an_abandoned_stream_keeps_the_message_as_those_of_llama_index_do(llm):
    made = SharedLLMChatEngine.from_documents(documents(1), llm)
    stream = made.stream_chat(QUESTION).chat_stream
    next(stream)
    stream.close()
    assert [(message.role, message.content) for message in made.chat_history] == [("user", QUESTION)]
    astream = (await made.astream_chat("Who signed it?")).achat_stream
    await anext(astream)
    await astream.aclose()
    assert [message.content for message in made.chat_history] == [QUESTION, "Who signed it?"]
    answer = str(made.chat("Why?"))
    assert [message.content for message in made.chat_history][2:] == ["Why?", answer], "the conversation goes on"


@pytest.mark.parametrize("engine_class", [SharedLLMQueryEngine, SharedLLMChatEngine])
def test_a_callback_manager_that_is_set_after_the_model_counts_tokens(llm, engine_class):
    counter = TokenCountingHandler(tokenizer=llm.tokenizer)
    Settings.llm = llm
    Settings.callback_manager = CallbackManager([counter])
    made = engine_class.from_documents(documents(1))
    (made.query if engine_class is SharedLLMQueryEngine else made.chat)(QUESTION)
    assert len(counter.llm_token_counts) == 1
    assert counter.prompt_llm_token_count >= len(llm.tokenizer(QUESTION))
    assert 0 < counter.completion_llm_token_count <= 12


def test_a_selector_chooses_by_a_grammar_and_reads_no_documents(llm, events):
    selector = PydanticSingleSelector.from_defaults(llm=llm.model_copy(update={"max_tokens": 100}))
    chosen = selector.select(["leases", "prices"], QUESTION)
    assert len(chosen.selections) == 1
    assert isinstance(chosen.ind, int)
    assert events.names("Retriev") == []


def test_history_beyond_the_window_is_read_as_a_document(llm):
    made = SharedLLMChatEngine.from_documents(documents(1), llm)
    history = [
        ChatMessage(role=role, content=tiny_engine.words(150, seed=seed))
        for seed in range(8)
        for role in ("user", "assistant")
    ]
    before = made.chat(QUESTION).metadata["usage"]["past_context_tokens"]
    response = made.chat(QUESTION, chat_history=history)
    assert response.metadata["usage"]["past_context_tokens"] > before + 500
    assert len(made.chat_history) == len(history) + 2, "nothing is dropped"


def test_a_memory_of_ones_own_decides_what_it_gives(llm):
    class Forgets(ChatMemoryBuffer):
        def get(self, input=None, **more):  # noqa: A002
            return []

    made = SharedLLMChatEngine.from_documents(documents(1), llm, memory=Forgets.from_defaults(token_limit=100))
    counts = [made.chat("Why?").metadata["usage"]["prompt_tokens"] for _ in range(2)]
    assert counts[0] == counts[1]


def test_condensing_a_question_reads_no_documents(llm, events):
    query_engine = SharedLLMQueryEngine.from_documents(documents(1), llm)
    condensing = CondenseQuestionChatEngine.from_defaults(query_engine, llm=llm)
    condensing.chat(QUESTION, chat_history=[ChatMessage(content="Hello."), ChatMessage("Hm.", role="assistant")])
    ends = [event for event in events.seen if type(event).__name__ == "LLMChatEndEvent"]
    past = [event.response.raw["usage"]["past_context_tokens"] for event in ends]
    assert past[0] == 0
    assert past[-1] > 0


# ---------------------------------------------------------------------------------------------- others of LlamaIndex


@pytest.mark.parametrize("evaluator", [FaithfulnessEvaluator, RelevancyEvaluator, CorrectnessEvaluator])
async def test_evaluators_run_with_it(llm, evaluator):
    Settings.llm = llm
    response = SharedLLMQueryEngine.from_documents(documents(1), llm).query(QUESTION)
    if evaluator is CorrectnessEvaluator:
        made = evaluator(llm=llm, parser_function=lambda text: (3.0, text))
        result = await made.aevaluate(query=QUESTION, response=str(response), reference="Ninety days.")
        assert result.score == 3.0
    else:
        result = await evaluator(llm=llm).aevaluate_response(QUESTION, response)
        assert isinstance(result.passing, bool)
