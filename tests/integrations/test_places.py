"""Evidence names the line, row or heading of a file, wherever in an application the file's text comes from."""

import base64

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage, DocumentBlock, TextBlock
from llama_index.core.schema import Document as LlamaDocument
from llama_index.core.schema import NodeWithScore

from sharedllm_core import InputError
from sharedllm_core.text.documents import read_documents as read_files
from sharedllm_integrations.langchain import ChatSharedLLM, evidence_documents, read_documents
from sharedllm_integrations.llama_index import SharedLLM, SharedLLMQueryEngine, SharedLLMSynthesizer
from tests import tiny_engine

CODES = [1000 + 37 * number for number in range(60)]
QUESTION = "What is the code of heron41?"


def write_text(path):
    path.write_text("\n".join(f"The code of heron{number} is {code}." for number, code in enumerate(CODES)))
    return "line", path.read_text().split("\n")


def write_table(path):
    rows = ["name;code", *(f"heron{number};{code}" for number, code in enumerate(CODES))]
    path.write_text("\n".join(rows))
    return "row", rows


WRITERS = {".txt": write_text, ".csv": write_table}


@pytest.fixture(params=WRITERS)
def file(request, tmp_path):
    return tmp_path / f"register{request.param}"


@pytest.fixture
def engine(checkpoints):
    return tiny_engine.make_engine(checkpoints["quoted"], quote_tokens=600)


def check_places(path, evidence):
    """The places of evidence hold what stands in its spans of the text, in the file itself."""
    kind, written = WRITERS[path.suffix](path)
    text = read_files(path).documents[0].text
    assert evidence
    for span in evidence:
        named, first = span["place"].split()[:2]
        assert named.removesuffix("s") == kind
        code = written[int(first) - 1].rstrip(".").split(";")[-1].split()[-1]
        assert code in text[span["start"] : span["end"]]
    assert any(str(CODES[41]) in text[span["start"] : span["end"]] for span in evidence)


# ---------------------------------------------------------------------------------------------- LangChain


def langchain_file_block(llm, path):
    block = {"type": "file", "base64": base64.b64encode(path.read_bytes()).decode(), "mime_type": "text/plain"}
    return llm.invoke([HumanMessage([block, {"type": "text", "text": QUESTION}])])


def langchain_artifact(llm, path):
    documents = read_documents(path)
    call = {"name": "look", "args": {}, "id": "1"}
    result = ToolMessage(documents[0].page_content, tool_call_id="1", artifact=documents)
    return llm.invoke([HumanMessage(QUESTION), AIMessage("", tool_calls=[call]), result])


LANGCHAIN = {
    "documents of the model": lambda llm, path: llm.with_documents(read_documents(path)).invoke(QUESTION),
    "documents of the call": lambda llm, path: llm.invoke(QUESTION, documents=read_documents(path)),
    "copies": lambda llm, path: llm.invoke(QUESTION, documents=[one.model_copy() for one in read_documents(path)]),
    "path": lambda llm, path: llm.invoke(QUESTION, documents=str(path)),
    "artifact of a tool": langchain_artifact,
}


@pytest.mark.parametrize("call", LANGCHAIN.values(), ids=list(LANGCHAIN))
def test_langchain(engine, file, call):
    WRITERS[file.suffix](file)
    llm = ChatSharedLLM(engine=engine, max_tokens=6, documents_from_prompt="always", min_document_tokens=20)
    message = call(llm, file)
    check_places(file, message.response_metadata["evidence"])
    check_places(file, [span.metadata for span in evidence_documents(message, read_documents(file))])


def test_langchain_file_blocks_name_lines(engine, tmp_path):
    path = tmp_path / "register.txt"
    write_text(path)
    message = langchain_file_block(ChatSharedLLM(engine=engine, max_tokens=6), path)
    check_places(path, message.response_metadata["evidence"])


def test_langchain_documents_that_were_changed_name_no_place(engine, tmp_path):
    write_text(tmp_path / "register.txt")
    [document] = read_documents(tmp_path / "register.txt")
    document.page_content = "Preface.\n" + document.page_content
    message = ChatSharedLLM(engine=engine, max_tokens=6).invoke(QUESTION, documents=[document])
    assert message.response_metadata["evidence"]
    assert not any(span.get("place") for span in message.response_metadata["evidence"])


# ---------------------------------------------------------------------------------------------- LlamaIndex


def with_block(llm, block):
    return llm.chat([ChatMessage(role="user", blocks=[block, TextBlock(text=QUESTION)])]).raw["evidence"]


def other_nodes():
    return [NodeWithScore(node=LlamaDocument(text=tiny_engine.words(60), id_="other"))]


def synthesized(llm, path, nodes):
    response = SharedLLMSynthesizer(llm, documents=path).synthesize(QUESTION, nodes)
    return [span for span in response.metadata["evidence"] if span["document_id"] != "other"]


LLAMA_INDEX = {
    "path": lambda llm, path: llm.complete(QUESTION, documents=path).raw["evidence"],
    "documents of the call": lambda llm, path: llm.complete(QUESTION, documents=read_files(path).documents).raw[
        "evidence"
    ],
    "documents of the model": lambda llm, path: (
        llm.with_documents(read_files(path).documents).complete(QUESTION).raw["evidence"]
    ),
    "library": lambda llm, path: llm.complete(QUESTION, documents=llm.get_engine().library(path)).raw["evidence"],
    "block with a path": lambda llm, path: with_block(llm, DocumentBlock(path=str(path))),
    "synthesizer": lambda llm, path: synthesized(llm, path, []),
    "synthesizer with nodes": lambda llm, path: synthesized(llm, path, other_nodes()),
    "query engine": lambda llm, path: (
        SharedLLMQueryEngine.from_documents(path, llm).query(QUESTION).metadata["evidence"]
    ),
}


@pytest.mark.parametrize("call", LLAMA_INDEX.values(), ids=list(LLAMA_INDEX))
def test_llama_index(engine, file, call):
    WRITERS[file.suffix](file)
    check_places(file, call(SharedLLM(engine=engine, max_tokens=6), file))


def test_llama_index_blocks_of_text_name_lines(engine, tmp_path):
    path = tmp_path / "register.txt"
    write_text(path)
    block = DocumentBlock(data=path.read_bytes(), title="register", document_mimetype="text/plain")
    check_places(path, with_block(SharedLLM(engine=engine, max_tokens=6), block))


def test_a_block_with_the_path_of_a_folder_is_refused(engine, tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(tiny_engine.words(30))
    with pytest.raises(InputError, match="leads to 2 documents; give one file in each block, or give folders as docu"):
        with_block(SharedLLM(engine=engine, max_tokens=6), DocumentBlock(path=str(tmp_path)))
