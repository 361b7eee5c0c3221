"""Every measurement gives everything to whoever knows the answers, and nothing to whoever does not."""

import json
import math
from dataclasses import replace

import pytest
import torch

from sharedllm_core import ConfigError, Document, DocumentError, InputError, SharedLLMEngine
from sharedllm_core.evaluation.baselines import make_system
from sharedllm_core.evaluation.baselines.shared_llm import SharedLLM
from sharedllm_core.evaluation.infinitebench import InfiniteBench
from sharedllm_core.evaluation.leaf_recall import LeafRecall
from sharedllm_core.evaluation.longbench import LongBench
from sharedllm_core.evaluation.lookup import Lookup
from sharedllm_core.evaluation.matching import exact_match, has_whole, share_of_all, some_found, word_f1
from sharedllm_core.evaluation.measurements import MEASUREMENTS, check_inputs, choose_measurements
from sharedllm_core.evaluation.needle import Needle
from sharedllm_core.evaluation.perplexity import Perplexity
from sharedllm_core.evaluation.ruler import Ruler
from sharedllm_core.evaluation.squad import Squad, read_articles
from sharedllm_core.method.context_tree import retained_nodes, whole_chunk
from tests import tiny_engine
from tests.evaluation.systems import (
    TOKENIZER,
    VOCABULARY,
    Citing,
    Oracle,
    Silent,
    Wrong,
    long_texts,
    settings,
    squad_file,
)
from tests.lookup_model import LOOKUP_MODEL

LONGBENCH = {
    "hotpotqa": (["the lease", "a lease"], None),
    "trec": (["Number of something"], ["Number of something", "Number", "Date", "Other entity"]),
    "passage_retrieval_en": (["Paragraph 7"], None),
    "passage_count": (["12"], None),
}
INFINITE = {
    "passkey": (["71432"], []),
    "kv_retrieval": ("deadbeef-01", []),
    "longbook_qa_eng": (["the harbour"], []),
    "longbook_choice_eng": (["lease"], ["deposit", "lease", "ledger", "rent"]),
    "longdialogue_qa_eng": (["MARY", "MARY ANN"], []),
    "code_run": (-14, []),
}


def longbench_file(folder):
    path = folder / "longbench.jsonl"
    rows = [
        {
            "input": f"What is {name}?",
            "context": tiny_engine.words(100),
            "answers": answers,
            "length": 5_000,
            "dataset": name,
            "language": "en",
            "all_classes": classes,
            "_id": f"row-{name}",
        }
        for name, (answers, classes) in LONGBENCH.items()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def infinitebench_files(folder):
    paths = []
    for name, (answer, options) in INFINITE.items():
        paths.append(folder / f"{name}.jsonl")
        row = {
            "id": 3,
            "context": tiny_engine.words(90),
            "input": f"What is {name}?",
            "answer": answer,
            "options": options,
        }
        paths[-1].write_text(json.dumps(row) + "\n")
    return paths


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    return settings(
        items=4,
        texts=(long_texts(folder),),
        squad=squad_file(folder),
        qa=(squad_file(folder),),
        longbench=(longbench_file(folder),),
        infinitebench=tuple(infinitebench_files(folder)),
    )


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return tiny_engine.make_engine(tiny_engine.make_checkpoint(tmp_path_factory.mktemp("engine")))


def all_scores(measurement, system, chosen):
    results = [result for item in measurement.items(chosen) for result in measurement.measure(system, item)]
    assert results
    return [value for result in results for value in result.scores.values()]


ASKING = [Needle(), Lookup(), Ruler(), Squad(), LongBench(), InfiniteBench()]


@pytest.mark.parametrize("measurement", ASKING, ids=lambda m: m.name)
def test_who_reads_the_answer_scores_everything(measurement, chosen):
    oracle = Oracle(measurement, chosen, joined=measurement.name == "ruler")
    assert set(all_scores(measurement, oracle, chosen)) == {1.0}


@pytest.mark.parametrize("measurement", ASKING, ids=lambda m: m.name)
@pytest.mark.parametrize("system", [Silent(), Wrong()], ids=lambda s: s.name)
def test_who_says_nothing_or_something_else_scores_nothing(measurement, system, chosen):
    assert set(all_scores(measurement, system, chosen)) == {0.0}


def evidence_scores(system, chosen):
    results = [result for item in Lookup().items(chosen) for result in Lookup().measure(system, item)]
    return [result.scores["evidence"] for result in results if "evidence" in result.scores]


@pytest.mark.parametrize(("widened", "moved", "score"), [(0, 0, 1.0), (60, 0, 1.0), (0, 10_000, 0.0), (300, 0, 0.0)])
def test_evidence_counts_where_a_short_span_overlaps_the_fact(widened, moved, score):
    chosen = settings(items=8)
    found = evidence_scores(Citing(Lookup(), chosen, widened, moved), chosen)
    assert set(found) == {score}
    assert len(found) == sum(bool(question.facts) for item in Lookup().items(chosen) for question in item.questions)


def test_evidence_is_scored_of_right_answers_and_of_systems_that_give_it():
    chosen = settings(items=8)
    wrong = Citing(Lookup(), chosen)
    wrong.known = dict.fromkeys(wrong.known, "zzz 0")
    for system in (wrong, Oracle(Lookup(), chosen)):
        assert not evidence_scores(system, chosen)


def test_this_library_names_the_sentence_that_its_answer_stands_in():
    ports = {"Grey Heron": "Malbry", "Iron Stork": "Ithencote", "Salt Widow": "Dornesse"}
    facts = [f"The home port of the ship {ship} is {port}." for ship, port in ports.items()]
    document = Document(" ".join(facts), id="ships")
    system = SharedLLM(SharedLLMEngine.from_pretrained(LOOKUP_MODEL))
    asked = "What is the home port of the ship Iron Stork?"
    ((answer, (span,)),) = system.cited_answers([document], [asked], 16)
    assert answer == "Ithencote"
    assert document.text[span.start : span.end] == span.text == facts[1]


def test_a_certain_reader_has_perplexity_1_and_an_ignorant_one_that_of_the_vocabulary(chosen):
    assert set(all_scores(Perplexity(), Oracle(Perplexity(), chosen), chosen)) == {0.0}
    ignorant = all_scores(Perplexity(), Silent(), chosen)
    assert [math.exp(loss) for loss in ignorant] == pytest.approx([VOCABULARY] * len(ignorant))


def test_perplexity_is_of_the_same_tokens_at_every_length_and_of_what_follows(chosen):
    items = list(Perplexity().items(chosen))
    assert len(items) == chosen.items * len(chosen.lengths)
    texts = [TOKENIZER.encode(json.loads(line)["text"]).ids for line in chosen.texts[0].read_text().splitlines()]
    for short, long in zip(items[::2], items[1::2], strict=True):
        assert torch.equal(short.target_ids, long.target_ids)
        assert torch.equal(long.past_ids[-600:], short.past_ids)
        whole = torch.cat([long.past_ids, long.target_ids])
        assert any(torch.equal(part, whole) for text in texts for part in text.unfold(0, len(whole), 1))
    assert {(len(item.past_ids), len(item.target_ids)) for item in items} == {(600, 100), (1_200, 100)}
    assert len({tuple(item.target_ids.tolist()) for item in items}) == chosen.items


def test_there_are_as_many_targets_as_asked_for_where_most_texts_are_too_short(tmp_path):
    path = tmp_path / "texts.jsonl"
    texts = [tiny_engine.words(400, seed=n) for n in range(3)] + [tiny_engine.words(4_000)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    chosen = settings(items=4, texts=(path,))
    assert max(TOKENIZER.count(text) for text in texts[:3]) < 1_300 < min(map(len, texts))
    assert len(list(Perplexity().items(chosen))) == 4 * len(chosen.lengths)


@pytest.mark.parametrize("measurement", [Needle(), Lookup(), Ruler(), Squad(), LeafRecall()], ids=lambda m: m.name)
def test_lengths_asked_for_are_met_within_5_percent(measurement, chosen):
    for item in measurement.items(replace(chosen, lengths=(1_000, 2_000))):
        tokens = sum(TOKENIZER.count(document.text) for document in item.documents)
        assert abs(tokens - item.labels["length"]) <= 0.05 * item.labels["length"], (item.id, tokens)


@pytest.mark.parametrize("kind", MEASUREMENTS.values(), ids=MEASUREMENTS)
def test_items_are_the_same_by_seed_and_have_names_of_their_own(kind, chosen):
    def shown(given):
        return [
            (item.id, [d.text for d in item.documents], item.questions, str(item.past_ids))
            for item in kind().items(given)
        ]

    first = shown(chosen)
    assert first == shown(chosen)
    assert len({item[0] for item in first}) == len(first)
    if kind not in (LongBench, InfiniteBench):
        assert first != shown(settings(items=4, seed=1, texts=chosen.texts, squad=chosen.squad, qa=chosen.qa))


@pytest.mark.parametrize("kind", [Needle, Lookup, Ruler, LeafRecall, Perplexity])
def test_items_are_made_one_at_a_time(kind, chosen):
    many = settings(items=10**6, texts=chosen.texts)
    assert next(kind().items(many)).labels["length"] == 600


@pytest.mark.parametrize("measurement", [Needle(), Lookup()], ids=lambda m: m.name)
def test_there_is_room_for_every_answer(measurement):
    for item in measurement.items(settings(lengths=(4_000,), items=60, questions_per_item=8, depths=(0.5,))):
        for question in item.questions:
            assert TOKENIZER.count(question.expected[0]) < item.max_new_tokens, question.expected


def test_a_needle_stands_at_its_depth(chosen):
    for item in Needle().items(chosen):
        ((document, start, _),) = item.questions[0].facts
        before = 0
        for read in item.documents:
            if read.id == document:
                break
            before += len(read.text)
        total = sum(len(read.text) for read in item.documents)
        assert (before + start) / total == pytest.approx(item.labels["depth"], abs=0.12)


# ------------------------------------------------------------------------------------------------- leaf recall


def naive_levels(engine, item, question):
    """Levels of the tokens of a question's facts, by the model's vectors and plain loops."""
    model, method = engine.model, engine.model.method

    def vector(ids):
        out = model.model(ids[None], output_hidden_states=True, use_cache=False)
        return model.model.norm(out.hidden_states[1][0, -1]).float()

    levels = []
    with torch.no_grad():
        query = vector(TOKENIZER.encode(question.text.rstrip("?.! ")).ids)
        for document in item.documents:
            text = TOKENIZER.encode(document.text)
            for chunk in text.chunks(method.chunk_tokens):

                def right(pairs, chunk=chunk):
                    near = [
                        [torch.cosine_similarity(vector(chunk.ids[n.start : n.end]), query, 0) for n in p]
                        for p in pairs.values()
                    ]
                    return [bool(b > a) for a, b in near]

                nodes = retained_nodes([whole_chunk(len(chunk.ids))], method.tree_depth, right)[0]
                for name, start, end in question.facts:
                    for at, (first, last) in enumerate(chunk.offsets.tolist()):
                        if name == document.id and first < end and last > start:
                            levels += [node.level for node in nodes if node.start <= at < node.end]
    return levels


def test_leaf_recall_is_what_a_naive_computation_finds(engine):
    measurement, system = LeafRecall(), make_system("sharedllm", engine)
    assert measurement.applies_to(system)
    recalled = []
    for item in measurement.items(settings(lengths=(600,), items=4)):
        for question, result in zip(item.questions, measurement.measure(system, item), strict=True):
            levels = naive_levels(engine, item, question)
            depth = engine.model.method.tree_depth
            assert result.scores["leaf recall"] == all(level == depth for level in levels)
            for level in range(1, depth + 1):
                assert result.scores[f"level {level}"] == pytest.approx(levels.count(level) / len(levels))
            recalled.append(result.scores[f"level {depth}"])
    assert 0 < sum(recalled) / len(recalled) < 1


def test_leaf_recall_is_everything_when_all_nodes_are_leaves_and_needs_a_tree(tmp_path):
    flat = replace(tiny_engine.METHOD, tree_depth=1, compression_ratio=2)
    engine = tiny_engine.make_engine(tiny_engine.make_checkpoint(tmp_path, flat))
    assert set(all_scores(LeafRecall(), make_system("sharedllm", engine), settings(items=1))) == {1.0}
    assert not LeafRecall().applies_to(Silent())
    with pytest.raises(InputError, match="has none"):
        all_scores(LeafRecall(), Silent(), settings(items=1))


# ---------------------------------------------------------------------------------------- how answers are compared


def test_answers_are_compared_as_squad_and_ruler_do():
    assert exact_match(" The  Lease.", "lease") == 1
    assert exact_match("leases", "lease") == 0
    assert word_f1("the red red lease", "red lease signed") == pytest.approx(2 * 2 / (3 + 3))
    assert (word_f1("", "lease"), word_f1("the", "a")) == (0, 1)
    assert share_of_all("ALPHA and gamma", ["alpha", "beta"]) == 0.5
    assert [has_whole(said, "3") for said in ("There are 3.", "3", "13", "30 of them", "AB3")] == [1, 1, 0, 0, 0]
    assert [has_whole(said, "$1,234.50") for said in ("it is US$1,234.50.", "$1,234.5", "$1,234.506")] == [1, 0, 0]
    assert (some_found("it is BETA", ["alpha", "beta"]), some_found("", ["x"])) == (1, 0)


@pytest.mark.parametrize(
    ("dataset", "answer", "score"),
    [
        ("hotpotqa", "lease signed", 2 / 3),
        ("trec", "Number of something\nDate", 1.0),
        ("trec", "Number of something, or Date", 0.5),
        ("trec", "Number", 0.0),
        ("passage_retrieval_en", "Paragraph 7 or 8", 0.5),
        ("passage_count", "There are 12.", 1.0),
    ],
)
def test_longbench_scores_by_each_set_s_metric(chosen, dataset, answer, score):
    [item] = [item for item in LongBench().items(chosen) if item.labels["dataset"] == dataset]
    assert item.labels["length"] == "4-8k words"
    assert LongBench().score(item, [answer]) == [{"score": pytest.approx(score)}]


@pytest.mark.parametrize(
    ("task", "answer", "score"),
    [
        ("passkey", "The key is 71432.", 1),
        ("passkey", "1 71432", 0),
        ("longbook_choice_eng", "B. lease", 1),
        ("longbook_choice_eng", "A", 0),
        ("longbook_choice_eng", "it is the lease", 1),
        ("longbook_choice_eng", "The answer is B.", 1),
        ("longbook_choice_eng", "Answer: (B)", 1),
        ("longbook_choice_eng", "The correct option is C", 0),
        ("longbook_choice_eng", "lease or ledger", 0),
        ("longdialogue_qa_eng", "Mary, I think", 1),
        ("code_run", "-14", 1),
        ("code_run", "14", 0),
    ],
)
def test_infinitebench_scores_by_each_task_s_metric(chosen, task, answer, score):
    [item] = [item for item in InfiniteBench().items(chosen) if item.labels["task"] == task]
    assert InfiniteBench().score(item, [answer]) == [{"score": score}]


# ------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is no file"),
        ("", "is empty"),
        ('{"text": "a"}\nno json\n', "line 2: no JSON"),
        ('["text"]\n', "line 1: a list"),
        ('{"txt": "a"}\n', "line 1: there is no 'text'"),
        ('{"text": 5}\n', "line 1: 'text' is a int"),
    ],
)
def test_files_of_texts_that_are_wrong_are_named_with_their_line(tmp_path, content, message):
    path = tmp_path / "texts.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DocumentError, match=message):
        check_inputs(texts=(path,))


def test_published_files_that_are_wrong_are_named_with_their_line(tmp_path):
    good = longbench_file(tmp_path).read_text().splitlines()
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text("\n".join([good[0], json.dumps({**json.loads(good[1]), "answers": "x"})]))
    with pytest.raises(DocumentError, match=r"wrong.jsonl, line 2: 'answers' is a str; it must be a list"):
        check_inputs(longbench=(wrong,))
    wrong.write_text(json.dumps({**json.loads(good[0]), "dataset": "gov_report"}))
    with pytest.raises(InputError, match="ROUGE-L, is not supported"):
        check_inputs(longbench=(wrong,))
    with pytest.raises(InputError, match="no task 'wrong'"):
        check_inputs(infinitebench=(wrong,))
    passkey = tmp_path / "passkey.jsonl"
    passkey.write_text('{"id": 1, "context": "a", "input": "b", "options": []}')
    with pytest.raises(DocumentError, match="line 1: there is no 'answer'"):
        check_inputs(infinitebench=(passkey,))
    squad = tmp_path / "squad.jsonl"
    squad.write_text('{"title": "a", "paragraphs": [{"context": "b"}]}')
    with pytest.raises(DocumentError, match="line 1: there is no 'qas'"):
        read_articles(squad)


def test_inputs_that_are_too_small_are_refused_with_the_numbers(tmp_path):
    long = settings(lengths=(50_000,), texts=(long_texts(tmp_path),), squad=squad_file(tmp_path))
    with pytest.raises(InputError, match="no text has 50,100 tokens"):
        next(Perplexity().items(long))
    with pytest.raises(InputError, match="too few for sets of 50,000"):
        next(Squad().items(long))


def test_one_long_article_is_not_cut_to_less_than_was_asked_for(tmp_path):
    one = settings(lengths=(1_000,), squad=squad_file(tmp_path, articles=1, paragraphs=20))
    with pytest.raises(InputError, match="all others 0 together, too few for sets of 1,000 when that one is cut"):
        next(Squad().items(one))


@pytest.mark.parametrize(
    "changes", [{"lengths": ()}, {"lengths": (100,)}, {"items": 0}, {"depths": (2.0,)}, {"target_tokens": 0}], ids=str
)
def test_sizes_out_of_range_are_refused(changes):
    with pytest.raises(ConfigError):
        settings(**changes)


def test_measurements_are_chosen_by_name_and_by_what_there_is():
    names = [measurement.name for measurement in choose_measurements(None, [])]
    assert names == ["needle", "lookup", "ruler", "leaf_recall"]
    assert [m.name for m in choose_measurements(["squad", "squad"], ["squad"])] == ["squad"]
    with pytest.raises(InputError, match="'needles' is not known; use some of perplexity, needle"):
        choose_measurements(["needles"], [])
    with pytest.raises(InputError, match="'perplexity' needs a file; give it with texts"):
        choose_measurements(["perplexity"], ["squad"])
