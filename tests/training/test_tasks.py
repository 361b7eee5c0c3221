"""A task's answer is in its documents, once, where the evidence says, or it is nowhere."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharedllm_core.training.tasks import FORMS, KINDS, NO_ANSWER, FillerTexts
from sharedllm_core.training.tasks.forms import TOOLS
from sharedllm_core.training.tasks.forms.lookup import SEVERAL_QUESTIONS
from sharedllm_core.training.tasks.forms.reasoning import COUNT_QUESTIONS
from sharedllm_core.training.tasks.forms.structured import CALL_QUESTIONS, JSON_QUESTIONS
from sharedllm_core.training.tasks.phrasing import held_out_phrasings, training_phrasings
from tests.training.reading_tasks import evidence, matches_one, pattern, read_fact, tasks, times, whole

WRAPPERS = (SEVERAL_QUESTIONS, COUNT_QUESTIONS, CALL_QUESTIONS, JSON_QUESTIONS)
SPLITS = (
    {"split": "train"},
    {"split": "held_out", "held_out": "phrasing"},
    {"split": "held_out", "held_out": "kind"},
)


# The forms


@pytest.mark.parametrize("wrappers", WRAPPERS)
def test_a_form_has_ten_phrasings_of_its_own(wrappers):
    assert len(set(wrappers)) == len(wrappers) >= 10


# What every task keeps


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("split", SPLITS, ids=lambda split: split.get("held_out", "train"))
@given(seed=st.integers(0, 10**9), together=st.integers(1, 4))
@settings(max_examples=8)
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


def test_with_one_seed_held_out_questions_are_not_training_s_in_other_words():
    forms = ("single", "multi_key", "multi_value", "two_hop", "json")
    shown = [(task.kind, task.answer) for task in tasks(60, forms=forms, length=3_000)]
    asked = [(task.kind, task.answer) for task in tasks(60, forms=forms, split="held_out", length=3_000)]
    assert not set(shown) & set(asked)


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


def test_kinds_of_ones_own_are_asked_about_beside_the_others():
    flag = replace(
        KINDS["captain"],
        name="flag",
        facts=("The {key} sails under the flag of {value}.",) * 4,
        questions=("Whose flag does the {key} fly?",) * 4,
    )
    made = tasks(40, forms=("single",), kinds=("captain",), further_kinds=(flag,))
    assert {task.kind for task in made} == {"captain", "flag"}
    for task in made:
        if task.kind == "flag":
            assert "Whose flag" in task.question
            assert evidence(task)[0].endswith(f"under the flag of {task.answer}.")
