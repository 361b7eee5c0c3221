"""Answer recall and questions about real documents: what is read from files, what counts, and who finds more."""

import json
import lzma

import pytest

from sharedllm_core import Document, DocumentError, InputError, SharedLLMEngine
from sharedllm_core.evaluation.answer_recall import AnswerRecall
from sharedllm_core.evaluation.baselines import make_system
from sharedllm_core.evaluation.bm25_passages import BM25Index
from sharedllm_core.evaluation.document_questions import DocumentQuestions
from sharedllm_core.evaluation.question_sets import question_items, read_question_sets
from tests import tiny_engine

from .systems import Oracle, Silent, settings, squad_file

FACT = "The lighthouse of Rauma was moved twelve metres inland after the storm."
FILLER = ["The ferry carries goods and people. It calls at four ports before noon. " * 12, "Rauma has a mill. " * 40]
QUESTIONS = [
    {"question": "How far was Rauma's lighthouse moved?", "answers": ["twelve metres"], "facts": [FACT, "mill"]},
    {"question": "Is there a mill?", "answers": ["yes"]},
    {"question": "Who runs the mill?", "answers": []},
]


DOCUMENTS = [
    {"id": "town", "title": "Rauma", "text": f"{FILLER[1]} {FACT} {FILLER[1]}"},
    {"id": "ferry", "title": "Ferry", "text": FILLER[0]},
]


def qa_file(folder, *, sets=1, documents=DOCUMENTS, questions=QUESTIONS, packed=False):
    rows = [json.dumps({"documents": documents, "questions": questions}) for _ in range(sets)]
    path = folder / ("qa.jsonl.xz" if packed else "qa.jsonl")
    text = "\n".join(rows) + "\n"
    path.write_bytes(lzma.compress(text.encode()) if packed else text.encode())
    return path


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    return tiny_engine.make_engine(tiny_engine.make_checkpoint(folder), reading="quoted")


@pytest.mark.parametrize("packed", [False, True])
def test_a_set_a_line_is_read_with_titles_and_places_of_facts(tmp_path, packed):
    (one,) = read_question_sets(qa_file(tmp_path, packed=packed))
    assert [document.title for document in one.documents] == ["Rauma", "Ferry"]
    assert [question.text for question in one.questions] == [row["question"] for row in QUESTIONS]
    assert [bool(question.expected) for question in one.questions] == [True, True, False]
    document, start, end = one.questions[0].facts[0]
    assert document == "town"
    assert one.documents[0].text[start:end] == FACT


def test_joined_sets_keep_their_documents_apart(tmp_path):
    path = qa_file(tmp_path, sets=3)
    assert len(read_question_sets(path)) == 3
    (joined,) = read_question_sets(path, joined=True)
    assert len({document.id for document in joined.documents}) == 6
    assert [question.facts[0][0] for question in joined.questions[::3]] == ["0-town", "1-town", "2-town"]


def test_questions_that_the_documents_do_not_answer_are_scored_by_whether_the_answer_says_so(tmp_path):
    chosen = settings(qa=(qa_file(tmp_path),), items=1, questions_per_item=3)
    [item] = DocumentQuestions().items(chosen)
    said = {"How far was Rauma's lighthouse moved?": "The documents do not say.", "Is there a mill?": "Yes."}
    for who_runs_it, recognised in (("It is not mentioned in the text.", 1), ("The ferry.", 0)):
        answers = [said.get(question.text, who_runs_it) for question in item.questions]
        scores = dict(zip([q.text for q in item.questions], DocumentQuestions().score(item, answers), strict=True))
        assert scores["Who runs the mill?"] == {"recognised": recognised}
        assert scores["Is there a mill?"]["refused"] == 0
        assert scores["How far was Rauma's lighthouse moved?"]["refused"] == 1
    [asked] = question_items(chosen)
    assert all(question.expected for question in asked.questions), "there is nothing to find"


def test_articles_of_squad_are_one_set(tmp_path):
    (one,) = read_question_sets(squad_file(tmp_path))
    assert len(one.documents) > 1
    assert one.questions


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"questions": []}, "documents"),
        ({"documents": [{"id": "a"}], "questions": []}, "a document"),
        ({"documents": [], "questions": [{"question": "who?"}]}, "a question"),
        (
            {"documents": [], "questions": [{"question": "who?", "answers": ["x"], "facts": ["not there"]}]},
            "no document has the fact 'not there'",
        ),
    ],
)
def test_a_damaged_row_is_refused_with_its_line(tmp_path, row, message):
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(DocumentError, match=r"bad\.jsonl, line 1") as refused:
        read_question_sets(path)
    assert message in str(refused.value)


def test_items_are_drawn_from_all_sets_in_turn_and_the_same_by_the_same_seed(tmp_path):
    chosen = settings(qa=(qa_file(tmp_path, sets=4),), items=3, questions_per_item=1)
    items = list(question_items(chosen))
    assert len({item.id for item in items}) == 3
    assert all(len(item.questions) == 1 for item in items)
    assert len({id(item.documents) for item in items}) == 3
    again = [[question.text for question in item.questions] for item in question_items(chosen)]
    assert [[question.text for question in item.questions] for item in items] == again


def test_answer_recall_compares_what_each_way_to_choose_opens(tmp_path, engine):
    chosen = settings(qa=(qa_file(tmp_path),))
    system = make_system("sharedllm", engine)
    assert AnswerRecall().applies_to(system)
    (item,) = AnswerRecall().items(chosen)
    results = AnswerRecall().measure(system, item)
    by_budget = {result.labels["length"]: result.scores for result in results if "length" in result.labels}
    assert sorted(by_budget) == [512, 1024, 2048, 4096], "the question whose answer is yes is left out"
    for way in ("passages", "search", "two_looks", "lexical", "BM25"):
        assert by_budget[4096][way] == 1.0
        assert by_budget[4096][f"{way} all facts"] == 1.0
        assert sum(f"{way} index seconds" in result.scores for result in results) == 1
        assert by_budget[1024][f"{way} seconds"] > 0


def test_recall_is_nothing_where_no_document_has_the_answer(tmp_path, engine):
    questions = [{"question": "How far was the lighthouse moved?", "answers": ["ninety leagues"]}]
    (item,) = AnswerRecall().items(settings(qa=(qa_file(tmp_path, questions=questions),)))
    results = AnswerRecall().measure(make_system("sharedllm", engine), item)
    scores = [
        value
        for result in results
        for name, value in result.scores.items()
        if name in ("passages", "search", "two_looks", "lexical", "BM25")
    ]
    assert len(scores) == 20
    assert set(scores) == {0.0}


def test_other_systems_have_no_answer_recall():
    assert not AnswerRecall().applies_to(Silent())
    with pytest.raises(InputError, match="needs a system with an engine"):
        AnswerRecall().measure(Silent(), None)


def test_bm25_ranks_by_stems_without_stopwords_and_titles_count():
    filler = [
        Document("Ferries call at ports before noon, and what they carry is weighed.", id=f"{n}") for n in range(4)
    ]
    town = Document("It moved lighthouses inland.", id="town", metadata={"title": "Rauma"})
    index = BM25Index([*filler, town])
    assert index.ranked("Where was the lighthouse moving?")[0].document == 4
    assert index.ranked("rauma")[0].text == "Rauma It moved lighthouses inland."
    assert [passage.document for passage in index.ranked("zebra")] == [0, 1, 2, 3, 4]


def test_passages_of_bm25_are_of_100_words_and_cross_no_document():
    index = BM25Index([Document(" ".join(map(str, range(250))), id="a"), Document("b", id="b")])
    assert [len(passage.text.split()) for passage in index.passages] == [100, 100, 50, 1]


@pytest.mark.parametrize("name", ["sharedllm", "bm25_passages"])
def test_a_budget_bounds_what_stands_in_the_window(tmp_path, engine, name, monkeypatch):
    documents = [{"id": f"{n}", "title": f"{n}", "text": f"{FACT} {FILLER[n % 2][:40]}"} for n in range(9)]
    questions = [{"question": f"How far was the lighthouse of {name} moved?", "answers": ["x"]} for name in "ab"]
    (item,) = DocumentQuestions().items(settings(qa=(qa_file(tmp_path, documents=documents, questions=questions),)))
    system = make_system(name, engine, budget_tokens=200)
    asked, ask_batch = [], SharedLLMEngine.ask_batch
    monkeypatch.setattr(
        SharedLLMEngine, "ask_batch", lambda *args, **kwargs: asked.append(ask_batch(*args, **kwargs)) or asked[-1]
    )
    results = DocumentQuestions().measure(system, item)
    assert len(results) == 2
    answers = [answer for batch in asked for answer in batch]
    assert len(answers) == 2
    assert all(0 < answer.reading.quoted_tokens <= 200 for answer in answers)


def test_f1_and_contained_are_1_for_the_oracle_and_0_for_silence(tmp_path):
    chosen = settings(qa=(qa_file(tmp_path, questions=QUESTIONS[:2]),))
    (item,) = DocumentQuestions().items(chosen)
    for system, score in ((Oracle(DocumentQuestions(), chosen), 1.0), (Silent(), 0.0)):
        for result in DocumentQuestions().measure(system, item):
            assert result.scores == dict.fromkeys(("f1", "exact match", "contained"), score) | {"refused": 0.0}
