"""Windows around sentences, in place of the sentences, are written once."""

import re

import pytest
from llama_index.core import SummaryIndex
from llama_index.core.node_parser import SentenceWindowNodeParser
from llama_index.core.postprocessor import MetadataReplacementPostProcessor
from llama_index.core.schema import Document, NodeWithScore

from sharedllm_integrations.llama_index import SharedLLMQueryEngine
from sharedllm_integrations.llama_index.rebuild.whole_documents import whole_documents

SENTENCES = [f"Clause {number} says that the fee of {number * 7} pounds is due." for number in range(40)]
TEXT = " ".join(SENTENCES)


def without_white_space(text):
    return [sentence.strip() for sentence in re.findall(r"[^.]+\.\s*", text)]


PARSERS = {
    "white space kept": SentenceWindowNodeParser.from_defaults(window_size=3),
    "white space dropped": SentenceWindowNodeParser.from_defaults(window_size=3, sentence_splitter=without_white_space),
    "other names": SentenceWindowNodeParser.from_defaults(
        window_metadata_key="around", original_text_metadata_key="own"
    ),
}


def windows(parser="white space kept", chosen=None, text=TEXT):
    """Nodes whose text was replaced by their window."""
    nodes = PARSERS[parser].get_nodes_from_documents([Document(text=text, id_="contract")])
    key = "around" if parser == "other names" else "window"
    replace = MetadataReplacementPostProcessor(target_metadata_key=key)
    found = replace.postprocess_nodes([NodeWithScore(node=node) for node in nodes])
    return [found[number].node for number in (range(len(found)) if chosen is None else chosen)]


def sentences_in(content):
    return [int(number) for number in re.findall(r"Clause (\d+) says", content)]


@pytest.mark.parametrize("parser", PARSERS)
def test_windows_of_all_sentences_are_the_original_text(parser):
    [document] = whole_documents(reversed(windows(parser)))
    assert document.content == TEXT
    assert document.confirmed
    assert document.notes == {}
    assert len(document.parts) == len(SENTENCES)


@pytest.mark.parametrize("parser", PARSERS)
def test_windows_of_some_sentences_hold_each_sentence_once_and_in_order(parser):
    [document] = whole_documents(windows(parser, [30, 11, 10]))
    assert sentences_in(document.content) == [*range(7, 15), *range(27, 34)]
    for number in (7, 14, 30):
        assert SENTENCES[number] in document.content
    assert len(document.notes["missing"]) == 3, "before, between and after the windows"


def test_every_node_is_found_in_the_joined_text():
    given = windows(chosen=[10, 11, 30])
    [document] = whole_documents(given)
    assert {part.node_id for part in document.parts} == {node.node_id for node in given}
    for part in document.parts:
        [node] = [node for node in given if node.node_id == part.node_id]
        assert document.content[part.start : part.end] == node.text


def test_a_single_window_is_read_as_it_is():
    [node] = windows(chosen=[5])
    [document] = whole_documents([node])
    assert document.content == node.text


def test_sentences_that_repeat_stand_as_often_as_in_the_document():
    text = "Yes. No. " * 20 + "The end."
    [document] = whole_documents(windows(text=text))
    assert document.content == text


def test_a_query_engine_with_the_postprocessor_reads_the_text_once(engine, llm):
    nodes = PARSERS["white space kept"].get_nodes_from_documents([Document(text=TEXT, id_="contract")])
    made = SharedLLMQueryEngine(
        SummaryIndex(nodes).as_retriever(),
        llm=llm,
        node_postprocessors=[MetadataReplacementPostProcessor(target_metadata_key="window")],
    )
    response = made.query("Which fee is due?")
    assert response.metadata["usage"]["past_context_tokens"] == len(engine.tokenizer.encode(TEXT).ids)
