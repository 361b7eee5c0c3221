"""A task's answer is in its documents, once, where the evidence says, or it is nowhere."""

import json
import lzma
import os
import re
import string
import subprocess
import sys
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharedllm_core.errors import ConfigError, DocumentError
from sharedllm_core.training.tasks import (
    FORMS,
    KINDS,
    NO_ANSWER,
    FillerTexts,
    TaskSettings,
    generate_tasks,
    read_texts,
    write_tasks,
)
from sharedllm_core.training.tasks.borders import nearest_border
from sharedllm_core.training.tasks.forms._tools import TOOLS
from sharedllm_core.training.tasks.forms.lookup import SEVERAL_QUESTIONS
from sharedllm_core.training.tasks.forms.reasoning import COUNT_QUESTIONS
from sharedllm_core.training.tasks.forms.structured import CALL_QUESTIONS, JSON_QUESTIONS
from sharedllm_core.training.tasks.phrasing import held_out_phrasings, training_phrasings

ROOT = Path(__file__).parents[2]
WRAPPERS = (SEVERAL_QUESTIONS, COUNT_QUESTIONS, CALL_QUESTIONS, JSON_QUESTIONS)
SPLITS = (
    {"split": "train"},
    {"split": "held_out", "held_out": "phrasing"},
    {"split": "held_out", "held_out": "kind"},
)


def tasks(count, seed=0, start=0, texts=None, **options):
    chosen = TaskSettings(**{"length": 6_000, **options})
    return list(generate_tasks(texts, chosen, seed, start=start, count=count))


def evidence(task):
    text = {document["id"]: document["text"] for document in task.documents}
    return [text[spot["document"]][spot["start"] : spot["end"]] for spot in task.evidence]


def whole(task):
    return "\n".join(document["text"] for document in task.documents)


def times(needle, task):
    """How often something stands in the documents, however it is broken into lines and capitalised."""
    return " ".join(whole(task).lower().split()).count(" ".join(needle.lower().split()))


def pattern(template):
    """A regular expression for all that a template can become; the text of every field is a group."""
    seen = set()
    out = ""
    for literal, name, _, _ in string.Formatter().parse(template):
        out += re.escape(literal)
        if name:
            out += f"(?P={name})" if name in seen else f"(?P<{name}>.+?)"
            seen.add(name)
    return re.compile(out, re.DOTALL)


def read_fact(text, kind):
    """All ways in which a text can be a fact of a kind, as pairs of key and value."""
    matches = [pattern(template).fullmatch(text) for template in kind.facts]
    return {(match["key"], match["value"]) for match in matches if match}


def matches_one(text, templates):
    return any(pattern(template).fullmatch(text) for template in templates)


# The kinds of fact


def test_there_are_many_kinds_and_some_are_held_out():
    assert len(KINDS) >= 36
    assert sum(kind.held_out for kind in KINDS.values()) >= 6


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_kind_has_ten_phrasings_of_fact_and_question_and_many_names(kind):
    for phrasings, least in ((kind.facts, 10), (kind.questions, 10), (kind.phrases, 4)):
        assert len(set(phrasings)) == len(phrasings) >= least
        assert all("{key}" in text for text in phrasings)
        assert len(held_out_phrasings(phrasings)) >= (2 if least == 10 else 1)
    assert all("{value}" in text for text in kind.facts)
    assert not any("{value}" in text for text in (*kind.questions, *kind.phrases, kind.several))
    assert not kind.via or (len(kind.via) >= 4 and all("{via}" in text for text in kind.via))
    assert not re.search(r"\b[Aa]n? \{", "\n".join((*kind.facts, *kind.questions, *kind.phrases))), "a or an?"
    rng = Random(3)
    assert len({kind.key.draw(rng) for _ in range(2_000)}) > 1_800
    assert len({kind.value.draw(rng) for _ in range(2_000)}) > 1_000
    assert not any(", " in kind.value.draw(rng) for _ in range(200))


@pytest.mark.parametrize("wrappers", WRAPPERS)
def test_a_form_has_ten_phrasings_of_its_own(wrappers):
    assert len(set(wrappers)) == len(wrappers) >= 10


def test_similar_keys_are_distinct_and_differ_in_one_part():
    for kind in KINDS.values():
        family = kind.key.family(Random(1), 9)
        assert len(set(family)) == 9


# What every task keeps


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("split", SPLITS, ids=lambda split: split.get("held_out", "train"))
@given(seed=st.integers(0, 10**9), together=st.integers(1, 4))
@settings(max_examples=4)
def test_facts_stand_where_the_evidence_says_and_answers_nowhere_else(form, split, seed, together):
    for task in tasks(together, seed, forms=(form,), questions_per_set=together, length=9_000, **split):
        facts = evidence(task)
        assert task.form == form
        assert facts == sorted(facts, key=whole(task).index)
        for fact in facts:
            assert times(fact, task) == 1
        if form in {"single", "multi_key"}:
            assert task.answer in facts[0]
            assert times(task.answer, task) == 1
            assert task.answer.lower() not in task.question.lower()


@given(seed=st.integers(0, 10**9), length=st.integers(3_000, 60_000), together=st.integers(1, 3), words=st.booleans())
@settings(max_examples=12)
def test_the_length_asked_for_is_met(seed, length, together, words):
    count = (lambda text: len(text.split())) if words else None
    asked = {"length": length // 3 if words else length, "questions_per_set": together, "count_tokens": count}
    [task, *_] = tasks(1, seed, **asked)
    found = sum((count or len)(document["text"]) for document in task.documents)
    assert found == pytest.approx(asked["length"], rel=0.05)


@given(seed=st.integers(0, 10**9), depth=st.floats(0, 1))
@settings(max_examples=12)
def test_the_depth_asked_for_is_met(seed, depth):
    [task] = tasks(1, seed, depth=depth, forms=("single",), length=20_000)
    place = whole(task).index(evidence(task)[0]) / len(whole(task))
    assert place == pytest.approx(depth, abs=0.03)


def test_facts_stand_everywhere_when_no_depth_is_asked_for():
    places = [whole(task).index(evidence(task)[0]) / len(whole(task)) for task in tasks(60, forms=("single",))]
    assert sum(place < 0.33 for place in places) > 8
    assert sum(0.33 <= place < 0.67 for place in places) > 8
    assert sum(place >= 0.67 for place in places) > 8


def test_tasks_of_one_set_share_documents_and_no_keys():
    dense = tasks(24, questions_per_set=12, length=30_000)
    assert [task.document_set for task in dense] == [0] * 12 + [1] * 12
    assert [task.index for task in dense] == list(range(24))
    assert all(task.documents is dense[0].documents for task in dense[:12])
    facts = [fact for task in dense[:12] for fact in evidence(task)]
    assert len(set(facts)) == len(facts)


def test_documents_of_a_set_have_different_ids():
    [task] = tasks(1, texts=[{"title": "one", "text": FillerTexts()[0]["text"]}], length=40_000)
    ids = [document["id"] for document in task.documents]
    assert len(set(ids)) == len(ids) > 3


# Training and held out


def test_held_out_kinds_and_phrasings_never_appear_in_training():
    for task in tasks(400, length=3_000):
        assert task.split == "train"
        for name in task.kind.split("+"):
            assert name in KINDS or name in {tool.name for tool in TOOLS if not tool.held_out}
            assert name not in KINDS or not KINDS[name].held_out
        if task.form in {"single", "multi_key", "unanswerable"}:
            assert matches_one(task.question, training_phrasings(KINDS[task.kind].questions))
        for fact in evidence(task):
            assert any(matches_one(fact, training_phrasings(KINDS[name].facts)) for name in task.kind.split("+"))


def test_held_out_phrasings_are_of_training_kinds_and_all_new():
    for task in tasks(200, split="held_out", held_out="phrasing", length=3_000):
        assert task.split == "held_out_phrasing"
        names = task.kind.split("+")
        assert not any(KINDS[name].held_out for name in names if name in KINDS)
        if task.form in {"single", "multi_key", "unanswerable"}:
            assert matches_one(task.question, held_out_phrasings(KINDS[task.kind].questions))
        if task.form in {"counting", "multi_value"}:
            wrappers = COUNT_QUESTIONS if task.form == "counting" else SEVERAL_QUESTIONS
            assert matches_one(task.question, held_out_phrasings(wrappers))
        for fact in evidence(task):
            assert any(matches_one(fact, held_out_phrasings(KINDS[name].facts)) for name in names)


def test_held_out_kinds_are_in_every_task_of_their_split():
    new_tools = {tool.name for tool in TOOLS if tool.held_out}
    for task in tasks(200, split="held_out", held_out="kind", length=3_000):
        assert task.split == "held_out_kind"
        assert any(name in new_tools or KINDS[name].held_out for name in task.kind.split("+"))


def test_without_a_choice_half_of_what_is_held_out_is_of_each_sort():
    found = [task.split for task in tasks(40, split="held_out", length=3_000)]
    assert found.count("held_out_kind") == found.count("held_out_phrasing") == 20


# The forms


@given(seed=st.integers(0, 10**9))
def test_what_is_not_said_does_not_occur_but_similar_things_do(seed):
    [task] = tasks(1, seed, forms=("unanswerable",), length=3_000)
    kind = KINDS[task.kind]
    asked = next(m["key"] for text in kind.questions if (m := pattern(text).fullmatch(task.question)))
    assert task.answer == NO_ANSWER == "The documents do not say."
    assert not task.evidence
    assert times(asked, task) == 0


@given(seed=st.integers(0, 10**9))
def test_a_count_is_that_of_the_facts_and_from_1_to_9(seed):
    [task] = tasks(1, seed, forms=("counting",), length=6_000)
    kind = KINDS[task.kind]
    facts = evidence(task)
    assert task.answer == str(len(facts))
    assert 1 <= len(facts) <= 9
    stated = {pair for fact in facts for pair in read_fact(fact, kind) if times(pair[1], task) == 1}
    if kind.counted:
        keys = {key for key, _ in stated if times(key, task) == 1}
        assert kind.counted in task.question
        assert len(keys) >= len(facts)
    else:
        [key] = {key for key, _ in stated if kind.several.format(key=key) in task.question}
        assert times(key, task) == sum(fact.count(key) for fact in facts)


def test_several_values_are_answered_in_order_of_appearance():
    for task in tasks(30, forms=("multi_value",)):
        values = task.answer.split(", ")
        assert 2 <= len(values) == len(task.evidence) <= 4
        assert values == sorted(values, key=whole(task).index)
        for value, fact in zip(values, evidence(task), strict=True):
            assert value in fact
            assert times(value, task) == 1


def test_two_hops_need_both_facts():
    # A nickname follows its bearer without a word between, so that reading it back is ambiguous.
    kinds = tuple(name for name, kind in KINDS.items() if name != "nickname" and not kind.held_out)
    for task in tasks(60, forms=("two_hop",), kinds=kinds):
        first, second = (KINDS[name] for name in task.kind.split("+"))
        between = {
            value
            for fact in evidence(task)
            for _, value in read_fact(fact, first)
            for other in evidence(task)
            if other != fact
            for key, end in read_fact(other, second)
            if key == value and end == task.answer
        }
        assert len(between) == 1
        [name] = between
        assert name != task.answer
        assert name not in task.question
        [holding] = [fact for fact in evidence(task) if task.answer in fact]
        asked = [key for fact in evidence(task) for key, value in read_fact(fact, first) if value == name]
        assert all(key not in holding for key in asked)


def test_calls_parse_and_copy_their_arguments():
    looked_up = 0
    for task in tasks(60, forms=("tool_call",)):
        call = json.loads(task.answer)
        tool = next(tool for tool in TOOLS if tool.name == call["name"])
        assert list(call) == ["name", "arguments"]
        assert list(call["arguments"]) == list(tool.types)
        assert tool.signature in task.question
        assert task.answer == json.dumps(call, ensure_ascii=False, separators=(",", ":"))
        for name, argument in call["arguments"].items():
            assert isinstance(argument, int if tool.types[name] == "integer" else str)
            if name == tool.looked_up:
                looked_up += 1
                assert argument in evidence(task)[0]
                assert argument not in task.question
            else:
                assert str(argument) in task.question
    assert 10 < looked_up < 50


def test_json_answers_parse_and_copy_their_fields():
    for task in tasks(60, forms=("json",)):
        found = json.loads(task.answer)
        places = [task.question.index(f'"{field}" (') for field in found]
        assert places == sorted(places)
        for field, value in found.items():
            if field == "reference":
                assert f'the text "{value}"' in task.question
            else:
                assert sum(value in fact for fact in evidence(task)) == 1
                assert value not in task.question


def test_similar_keys_stand_beside_the_one_that_is_asked_for():
    [task] = tasks(1, seed=4, forms=("multi_key",), kinds=("port",), distractors=6)
    asked = next(m["key"] for text in KINDS["port"].questions if (m := pattern(text).fullmatch(task.question)))
    animal, role, number = asked.split("-")
    others = set(re.findall(r"\b[a-z]+-[a-z]+-\d\d\b", whole(task))) - {asked}
    assert any(len({animal, role, number} & set(other.split("-"))) == 2 for other in others)


# The same everywhere


def test_the_same_seed_gives_the_same_bytes_in_any_process_that_needs_no_torch():
    code = (
        "import sys, types\n"
        "sys.modules['torch'] = None\n"
        "package = sys.modules['sharedllm_core'] = types.ModuleType('sharedllm_core')\n"
        "package.__path__ = ['sharedllm_core']\n"
        "from sharedllm_core.training.tasks import *\n"
        "for t in generate_tasks(None, TaskSettings(length=3000, questions_per_set=3), 7, count=30): print(t.to_json())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONIOENCODING": "utf-8"},
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    [output] = outputs
    assert len(output.splitlines()) == 30
    assert tasks(1, seed=8, length=3_000)[0].to_json() not in output.decode()


class Again:
    """Texts that can be read again and again but not by number."""

    def __init__(self, count):
        self.count = count

    def __iter__(self):
        return islice(FillerTexts(), self.count)


@pytest.mark.parametrize("texts", [None, Again(5), Again(40)], ids=["a sequence", "a few texts", "more than a window"])
def test_a_stream_goes_on_anywhere(texts):
    options = {"texts": texts, "questions_per_set": 3, "length": 3_000}
    everything = [task.to_json() for task in tasks(40, **options)]
    for start in (1, 3, 17):
        assert [task.to_json() for task in tasks(40 - start, start=start, **options)] == everything[start:]


def test_a_stream_has_no_end():
    stream = generate_tasks(iter(Again(3)), TaskSettings(length=3_000))
    assert next(islice(stream, 150, None)).index == 150


def test_no_more_texts_are_read_than_a_window():
    read = []

    def texts():
        for number in range(10_000):
            read.append(number)
            yield FillerTexts()[number]

    list(generate_tasks(texts(), TaskSettings(length=3_000), count=5))
    assert len(read) < 60


def test_a_line_of_json_holds_the_whole_task():
    [task] = tasks(1)
    assert "\n" not in task.to_json()
    assert json.loads(task.to_json()) == vars(task)


# Real texts


def test_titles_name_documents_and_passages_are_whole_paragraphs():
    texts = [{"title": f"book {n}", "text": FillerTexts()[n]["text"]} for n in range(20)]
    [task] = tasks(1, texts=texts, forms=("single",), length=12_000, passage_characters=(1_000, 2_000))
    known = {text["title"]: text["text"].split("\n\n") for text in texts}
    for document in task.documents[:-1]:
        assert document["text"].split("\n\n")[0].split(". ")[0] in known[document["id"].split(" (")[0]][0] or any(
            paragraph.startswith(document["text"][:40]) for paragraph in known[document["id"].split(" (")[0]]
        )


def test_a_name_that_the_texts_hold_is_not_asked_for():
    [first] = tasks(1, forms=("single",))
    asked = first.answer
    text = f"Long ago somebody wrote {asked} on a wall. " + FillerTexts()[1]["text"]
    for task in tasks(5, texts=[text] * 3, forms=("single",)):
        assert task.answer != asked


@given(text=st.text(alphabet="ab. \n!A", max_size=300), place=st.integers(0, 300))
def test_a_border_lies_in_the_text_and_never_in_a_word_if_there_is_another(text, place):
    border = nearest_border(text, min(place, len(text)))
    assert 0 <= border <= len(text)
    if 0 < border < len(text):
        assert text[border].isspace() or not text[border - 1].isalnum()


def test_abbreviations_and_numbers_of_lists_end_no_sentence():
    text = "He met Mr. Smith and Dr. Jones of St. Ives. Then he left."
    assert nearest_border(text, 30) == text.index(" Then")
    assert nearest_border("1. One thing. Two things. 3. Three", 3) == 0


# Files


def write_rows(path, *rows):
    path.write_bytes(b"\n".join(rows))
    return path


def test_texts_are_read_from_json_lines_packed_or_not(tmp_path):
    plain = write_rows(tmp_path / "a.jsonl", b'{"title": "one", "text": "First."}', b"", '{"text": "Größe"}'.encode())
    packed = tmp_path / "b.jsonl.xz"
    packed.write_bytes(lzma.compress(b'{"title": "two", "text": "Second."}\n'))
    texts = read_texts([plain, packed])
    assert [text["text"] for text in texts] == ["First.", "Größe", "Second."]
    assert [text["text"] for text in texts] == ["First.", "Größe", "Second."], "they can be read again"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (b"{oops", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[1]", "a list"),
        (b'{"title": "x", "body": 1}', "['body', 'title']"),
        (b'{"text": 5}', 'string "text"'),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path, row, says):
    path = write_rows(tmp_path / "bad.jsonl", b'{"text": "fine"}', row)
    with pytest.raises(DocumentError, match=r"bad\.jsonl, line 2") as error:
        list(read_texts(path))
    assert says in str(error.value)


def test_a_damaged_or_missing_file_is_named(tmp_path):
    packed = tmp_path / "cut.jsonl.xz"
    packed.write_bytes(lzma.compress(b'{"text": "fine"}\n' * 50)[:-9])
    with pytest.raises(DocumentError, match="damaged"):
        list(read_texts(packed))
    with pytest.raises(DocumentError, match="is no file"):
        read_texts(tmp_path / "none.jsonl")


def test_tasks_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "tasks.jsonl"
    chosen = TaskSettings(length=3_000, questions_per_set=2)
    write_tasks(path, None, chosen, seed=1, count=5)
    assert path.read_text(encoding="utf-8").splitlines() == [
        task.to_json() for task in generate_tasks(None, chosen, 1, count=5)
    ]
    before = path.read_bytes()
    bad = write_rows(tmp_path / "bad.jsonl", b"oops")
    with pytest.raises(DocumentError):
        write_tasks(path, read_texts(bad), chosen, seed=1, count=5)
    assert path.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"tasks.jsonl", "bad.jsonl"}


# Errors


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"length": 10}, "length=10"),
        ({"questions_per_set": 0}, "questions_per_set=0"),
        ({"forms": ("riddle",)}, "'riddle'"),
        ({"forms": ()}, "forms is empty"),
        ({"forms": "single"}, "is a string"),
        ({"kinds": ("colour",)}, "'colour'"),
        ({"kinds": ("melting_point",)}, "name more kinds"),
        ({"kinds": ("price",), "forms": ("two_hop",)}, "two_hop"),
        ({"split": "test"}, "split='test'"),
        ({"held_out": "kind"}, "use split='held_out'"),
        ({"split": "held_out", "held_out": "all"}, "held_out='all'"),
        ({"depth": 1.5}, "depth=1.5"),
        ({"distractors": -1}, "distractors=-1"),
        ({"passage_characters": (900, 300)}, "passage_characters"),
    ],
)
def test_a_setting_out_of_range_is_named_with_its_remedy(options, says):
    with pytest.raises(ConfigError, match=re.escape(says)) as error:
        TaskSettings(**options)
    assert re.search("use|name|write", str(error.value))


def test_more_facts_than_fit_are_refused():
    with pytest.raises(ConfigError, match="fewer questions_per_set"):
        tasks(1, questions_per_set=60, length=2_000)


@pytest.mark.parametrize(
    "texts", [[], iter([]), ["", "  "], [5], [{"title": "x"}], "one text", {"text": "one"}], ids=str
)
def test_texts_that_are_none_are_refused(texts):
    with pytest.raises(DocumentError):
        tasks(1, texts=texts)


def test_negative_numbers_are_refused():
    for wrong in ({"start": -1}, {"count": -2}):
        with pytest.raises(ConfigError, match="negative"):
            generate_tasks(None, TaskSettings(), **wrong)
    with pytest.raises(ConfigError, match="count=0"):
        write_tasks("unused", None, TaskSettings(), 0, 0)
