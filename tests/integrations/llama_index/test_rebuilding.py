"""Documents rebuilt from nodes are the originals wherever a node covers them, and say the rest."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.node_parser import (
    HierarchicalNodeParser,
    MarkdownNodeParser,
    SentenceSplitter,
    SentenceWindowNodeParser,
    TokenTextSplitter,
    get_leaf_nodes,
)
from llama_index.core.schema import (
    Document,
    ImageNode,
    MediaResource,
    Node,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)

from sharedllm_core import InputError
from sharedllm_integrations.llama_index.rebuild import stitching as module
from sharedllm_integrations.llama_index.rebuild.joining import rebuild
from sharedllm_integrations.llama_index.rebuild.placing import Piece
from sharedllm_integrations.llama_index.rebuild.whole_documents import whole_documents
from tests import tiny_engine


def short_tokens(text):
    """A tokenizer that is fast."""
    return re.findall(r"\w{1,4}|\W", text)


def splitter(size=100, overlap=25, **options):
    return SentenceSplitter(chunk_size=size, chunk_overlap=overlap, tokenizer=short_tokens, **options)


PARSERS = {
    "sentences, overlapping": splitter(),
    "sentences, much overlap": splitter(100, 75),
    "sentences, no overlap": splitter(100, 0),
    "default sizes": SentenceSplitter(tokenizer=short_tokens),
    "sentence windows": SentenceWindowNodeParser.from_defaults(),
    "markdown": MarkdownNodeParser(),
    "tokens": TokenTextSplitter(chunk_size=80, chunk_overlap=20, tokenizer=short_tokens),
    "no neighbours": splitter(include_prev_next_rel=False),
}

SENTENCE = st.sampled_from(
    [
        "Yes.",
        "No.",
        "The notice period is ninety days.",
        "Casino. No.",
        "The rent is due, paid monthly; not later.",
        "a",
    ]
)
PARAGRAPHS = st.lists(
    st.tuples(
        st.sampled_from(["", "# One\n", "## Two\n", "Say so. "]),
        st.lists(SENTENCE, min_size=1, max_size=12),
        st.sampled_from(["\n\n", "\n", "\n\n\n", "  \n\n"]),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=12,
)


def text_from(paragraphs, unique):
    """A text; where it is unique no sentence occurs twice."""
    lines = []
    for head, sentences, end, seed in paragraphs:
        if unique:
            rng = random.Random(seed + len(lines))
            sentences = [f"{len(lines)} {rng.random()} {sentence}" for sentence in sentences]  # noqa: PLW2901
            head = head and f"{head.strip()} {len(lines)}\n"  # noqa: PLW2901
        lines.append(head + " ".join(sentences) + end)
    return "".join(lines)


def nodes_of(parser, text, seed=0):
    nodes = parser.get_nodes_from_documents([Document(text=text, id_="d", metadata={"file": "a.txt"})])
    random.Random(seed).shuffle(nodes)
    return nodes


def assert_covered(document, text):
    """All but white space that no node holds is as in the original, at its place."""
    blanks = {at for low, high in document.blanks for at in range(low, high)}
    leading = len(text) - len(text.lstrip())
    assert not document.missing
    rebuilt = document.content
    shift = 0 if text.startswith(rebuilt[: leading + 1]) or leading in blanks or 0 in blanks else leading
    for at, character in enumerate(rebuilt):
        assert character == text[at + shift] or (at in blanks and text[at + shift].isspace())
    assert not text[len(rebuilt) + shift :].strip()


@pytest.mark.parametrize("parser", PARSERS.values(), ids=list(PARSERS))
@given(paragraphs=PARAGRAPHS, seed=st.integers(0, 99))
@settings(max_examples=40)
def test_text_is_rebuilt_from_nodes_in_any_order(parser, paragraphs, seed):
    text = text_from(paragraphs, unique=True)
    [document] = whole_documents(nodes_of(parser, text, seed))
    assert document.certain
    assert_covered(document, text)


@pytest.mark.parametrize("parser", PARSERS.values(), ids=list(PARSERS))
@given(paragraphs=PARAGRAPHS, seed=st.integers(0, 99))
@settings(max_examples=60)
def test_repetitive_text_is_rebuilt_or_the_document_says_that_it_is_a_choice(parser, paragraphs, seed):
    text = text_from(paragraphs, unique=False)
    [document] = whole_documents(nodes_of(parser, text, seed))
    if document.confirmed:
        assert document.content.split() == text.split()
    if document.certain:
        assert_covered(document, text)
    assert document.content.replace("\n", " ").split()[0] == text.split()[0]


@pytest.mark.parametrize("sentence", ["The cat sat. ", "Yes. ", "aaaaaaaaa ", "One two, three; four. Five six. "])
@pytest.mark.parametrize("parser", ["sentences, overlapping", "sentences, no overlap", "sentence windows", "tokens"])
def test_one_sentence_a_thousand_times_is_rebuilt_a_thousand_times(sentence, parser):
    text = sentence * 1000
    [document] = whole_documents(nodes_of(PARSERS[parser], text))
    assert document.confirmed
    assert document.content == text


def test_what_took_many_tries_is_not_tried_again_for_the_next_question(monkeypatch):
    text = "The cat sat. Yes. No. " * 900
    nodes = nodes_of(PARSERS["sentences, overlapping"], text)
    [document] = whole_documents(nodes)
    assert document.confirmed
    hashed = []
    known = module._hash
    monkeypatch.setattr(module, "_hash", lambda text: hashed.append(len(text)) or known(text))
    again = [TextNode.from_dict(node.to_dict()) for node in nodes[::-1]]
    assert whole_documents(again) == [document]
    assert sum(hashed) < 50 * len(text)
    changed = nodes_of(PARSERS["sentences, overlapping"], text + "And more.")
    assert whole_documents(changed)[0].content == text + "And more."


def test_the_default_ingestion_is_rebuilt_exactly():
    text = "\n\n".join(tiny_engine.words(120, seed=seed) for seed in range(150)) + "\n"
    nodes = nodes_of(SentenceSplitter(), text)
    assert len(nodes) > 15
    assert sum(len(node.text) for node in nodes) > 1.1 * len(text), "a naive join says things twice"
    [document] = whole_documents(nodes)
    assert document.content == text
    assert document.confirmed


@pytest.mark.parametrize("given", ["all", "leaves", "roots"])
@given(paragraphs=PARAGRAPHS, unique=st.booleans())
@settings(max_examples=30)
def test_hierarchies_are_rebuilt_from_every_level(given, paragraphs, unique):
    text = text_from(paragraphs, unique)
    parser = HierarchicalNodeParser.from_defaults(
        node_parser_ids=["a", "b", "c"], node_parser_map={"a": splitter(240), "b": splitter(120), "c": splitter(60, 15)}
    )
    nodes = nodes_of(parser, text)
    if given == "leaves":  # those of one parent know each other; which parent is next nobody knows
        nodes = get_leaf_nodes(parser.get_nodes_from_documents([Document(text=text, id_="d")]))
    elif given == "roots":
        nodes = [node for node in nodes if node.parent_node is None]
    [document] = whole_documents(nodes)
    assert not document.missing
    if document.confirmed or (unique and given != "leaves"):
        assert document.content.split() == text.split()
    else:
        assert not (unique and document.certain)
        assert set(document.content.split()) == set(text.split())
    assert {part.node_id for part in document.parts} == {node.node_id for node in nodes}


def hierarchy(text, overlap=0, sizes=(240, 120, 60)):
    """Nodes by their level, the outermost first."""
    parsers = {str(size): splitter(size, overlap) for size in sizes}
    parser = HierarchicalNodeParser.from_defaults(node_parser_ids=list(parsers), node_parser_map=parsers)
    levels = [parser.get_nodes_from_documents([Document(text=text, id_="d")])]
    found = []
    while levels[0]:
        at = {node.node_id for level in found for node in level}
        own = [node for node in levels[0] if node.parent_node is None or node.parent_node.node_id in at]
        found.append(own)
        levels[0] = [node for node in levels[0] if node not in own]
    return found


def by_parents(nodes):
    """Nodes in groups of one parent each."""
    groups = {}
    for node in nodes:
        groups.setdefault(node.parent_node.node_id, []).append(node)
    return list(groups.values())


def numbered(count):
    return " ".join(f"Clause {number} says {tiny_engine.words(6, seed=number)}." for number in range(count))


@pytest.mark.parametrize(("count", "overlap"), [(10, 0), (150, 40)], ids=["few parents", "many that overlap"])
def test_leaves_in_any_order_without_their_parents_are_put_in_order_by_the_hash(count, overlap):
    text = numbered(count)
    families = by_parents(hierarchy(text, overlap)[-1])
    assert len(families) > (8 if overlap else 2)
    for seed in range(3):
        random.Random(seed).shuffle(families)
        [document] = whole_documents([node for family in families for node in family])
        assert (document.content, document.confirmed, document.certain) == (text, True, True)
        nodes = {node.node_id: node.text for family in families for node in family}
        assert {part.node_id for part in document.parts} == set(nodes)
        assert all(text[part.start : part.end] == nodes[part.node_id] for part in document.parts)


@pytest.mark.parametrize("level", [1, 2], ids=["roots", "middle"])
def test_parts_stand_where_the_neighbours_of_their_parent_say(level):
    levels = hierarchy(numbered(60), sizes=(400, 120, 60) if level == 1 else (4000, 400, 120))
    above, below = levels[level - 1], by_parents(levels[level])
    for step in (2, 3):
        merged = [node for number, node in enumerate(above) if number % step]
        names = {node.node_id for node in merged}
        parts = [node for group in below if group[0].parent_node.node_id not in names for node in group]
        nodes = [*parts, *merged]
        random.Random(step).shuffle(nodes)
        for node in nodes:  # without a hash nothing but neighbours can tell
            node.relationships[NodeRelationship.SOURCE].hash = None
        [document] = whole_documents(nodes)
        assert {part.node_id for part in document.parts} == {node.node_id for node in nodes}
        if level == 2 and step == 3:  # below the outermost level nodes do not name the one behind them
            assert not document.certain
        else:
            assert document.content.split() == numbered(60).split()
        texts = {node.node_id: node.text for node in nodes}
        assert all(document.content[part.start : part.end] == texts[part.node_id] for part in document.parts)


def test_of_parts_alone_it_is_not_claimed_that_they_are_everything():
    families = by_parents(hierarchy(numbered(60))[-1])
    for nodes in (families[0], families[2], [*families[3], *families[1]]):
        [document] = whole_documents(nodes)
        assert not document.certain
        assert document.notes["certain"] is False
    roots, middle, _ = hierarchy(numbered(60))
    after_the_first = [node for node in middle if node.parent_node.node_id == roots[1].node_id]
    assert not whole_documents([roots[0], *after_the_first])[0].certain, "whether there is more nobody knows"


def test_parts_are_where_their_nodes_stand():
    text = "\n\n".join(tiny_engine.words(80, seed=seed) for seed in range(20))
    for parser in PARSERS.values():
        nodes = {node.node_id: node for node in nodes_of(parser, text)}
        [document] = whole_documents(nodes.values())
        assert {part.node_id for part in document.parts} == set(nodes)
        assert all(document.content[part.start : part.end] == nodes[part.node_id].text for part in document.parts)


def test_what_is_missing_is_said_and_not_guessed():
    text = "\n\n".join(tiny_engine.words(80, seed=seed) for seed in range(20))
    nodes = PARSERS["sentences, no overlap"].get_nodes_from_documents([Document(text=text, id_="d")])
    kept = [nodes[3], nodes[1], nodes[4], nodes[8]]
    [document] = whole_documents(kept)
    assert document.content.split() == " ".join(nodes[i].text for i in (1, 3, 4, 8)).split()
    sizes = [one.characters for one in document.missing]
    assert sizes[0] == nodes[1].start_char_idx
    assert sizes[1] == nodes[3].start_char_idx - nodes[1].end_char_idx
    assert sizes[2] == nodes[8].start_char_idx - nodes[4].end_char_idx
    assert sizes[3] is None, "how much comes behind the last one nobody knows"
    assert "missing" in document.notes


def test_white_space_that_a_splitter_dropped_is_filled_to_its_length_and_reported():
    text = "First line.\n\n\n\n\nSecond line.  \n  Third line."
    nodes = [
        TextNode(text=part, start_char_idx=text.find(part)) for part in ("First line.", "Second line.", "Third line.")
    ]
    for node in nodes:
        node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id="d")
    [document] = whole_documents(nodes)
    assert len(document.content) == len(text)
    assert document.blanks == ((11, 16), (28, 33))
    assert document.notes["white_space"] == [[11, 16], [28, 33]]


def test_nodes_without_offsets_are_joined_by_what_they_share():
    parts = ["the tenant pays the rent on the first day", "rent on the first day of each month", "and nothing else"]
    assert rebuild([Piece(part) for part in parts]).text == (
        "the tenant pays the rent on the first day of each month\nand nothing else"
    )


def test_nodes_of_several_documents_and_of_none_are_kept_apart():
    documents = [Document(text=tiny_engine.words(200, seed=seed), id_=f"d{seed}") for seed in range(3)]
    nodes = [*splitter().get_nodes_from_documents(documents), TextNode(text="A note.", id_="note")]
    random.Random(1).shuffle(nodes)
    found = {document.id: document.content for document in whole_documents(nodes)}
    assert found == {"note": "A note.", **{document.doc_id: document.text for document in documents}}


def test_a_document_that_is_there_is_preferred_to_its_nodes():
    text = "Yes. No. Yes. " * 30
    whole = Document(text=text, id_="d", metadata={"a": 1})
    nodes = splitter().get_nodes_from_documents([whole])[:2]
    [document] = whole_documents(nodes, {"d": whole}.get)
    assert (document.content, document.confirmed) == (text, True)
    assert whole_documents([*nodes, whole])[0].content == text
    assert {part.node_id for part in document.parts} == {node.node_id for node in nodes}


def test_metadata_stands_once_and_without_what_is_excluded():
    whole = Document(
        text=tiny_engine.words(200),
        id_="d",
        metadata={"title": "Lease", "page": "x"},
        excluded_llm_metadata_keys=["page"],
    )
    for parser in (PARSERS["sentences, overlapping"], PARSERS["sentence windows"], PARSERS["markdown"]):
        [document] = whole_documents(parser.get_nodes_from_documents([whole]))
        assert document.text == f"title: Lease\n\n{document.content}"
        assert document.metadata["page"] == "x"
    custom = whole.model_copy(
        update={"metadata_template": "<{key}={value}>", "text_template": "{content}\n[{metadata_str}]"}
    )
    [document] = whole_documents(splitter().get_nodes_from_documents([custom]))
    assert document.text == f"{document.content}\n[<title=Lease>]"
    bare = Document(text="Nothing more.", id_="e")
    assert whole_documents([bare])[0].text == "Nothing more."


def test_the_same_node_twice_is_read_once():
    nodes = splitter().get_nodes_from_documents([Document(text=tiny_engine.words(200), id_="d")])
    assert whole_documents([*nodes, *nodes])[0].content == tiny_engine.words(200)


class Odd(TextNode.__mro__[1]):  # a node of a kind of its own
    @classmethod
    def get_type(cls):
        return "odd"

    def get_content(self, metadata_mode=None):
        return "odd"

    def get_content_blocks(self, metadata_mode=None):
        return []

    def set_content(self, value):
        pass

    @property
    def hash(self):
        return ""


FAULTS = {
    "ImageNode": [ImageNode(image_url="https://example.org/a.png")],
    r"\(Document\)": [Document(image_resource=MediaResource(data=b"R0lGODlhAQABAAAAACw=")), TextNode(text="beside it")],
    "and no text": [Node(image_resource=MediaResource(data=b"R0lGODlhAQABAAAAACw="))],
    "not known to hold text": [Odd()],
    "the 2 nodes hold no text": [TextNode(text=""), Document(text="")],
}


@pytest.mark.parametrize(("said", "nodes"), FAULTS.items(), ids=list(FAULTS))
def test_nodes_that_hold_no_text_are_refused_by_name(said, nodes):
    with pytest.raises(InputError, match=said):
        whole_documents(nodes)


def test_an_empty_node_beside_others_and_a_described_image_are_no_error():
    nodes = [TextNode(text=""), ImageNode(text="a picture of a key", image_url="https://example.org/a.png")]
    assert [document.content for document in whole_documents(nodes)] == ["a picture of a key"]
