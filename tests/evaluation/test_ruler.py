"""RULER's families are what their published definitions say."""

import re
from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from sharedllm_core.evaluation.ruler import FAMILIES, Ruler
from sharedllm_core.evaluation.ruler_needles import NEEDLES, needle_lines
from sharedllm_core.evaluation.ruler_words import compounds
from tests.evaluation.systems import TOKENIZER, settings, squad_file

COUNTS = {  # needles, of which are asked for
    "niah_single_1": (1, 1),
    "niah_single_2": (1, 1),
    "niah_single_3": (1, 1),
    "niah_multikey_1": (4, 1),
    "niah_multikey_2": (None, 1),
    "niah_multikey_3": (None, 1),
    "niah_multivalue": (4, 4),
    "niah_multiquery": (4, 4),
}


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    chosen = settings(lengths=(1_000, 5_000), items=2, squad=squad_file(tmp_path_factory.mktemp("squad"), articles=12))
    made = {}
    for item in Ruler().items(chosen):
        made.setdefault(item.labels["family"], []).append(item)
    return made


def whole(item):
    return "\n".join(document.text for document in item.documents)


def test_there_are_all_families(items):
    assert list(items) == list(FAMILIES) == [*COUNTS, "vt", "cwe", "fwe", "qa_1"]


def test_answers_have_the_published_room_and_more_where_a_small_vocabulary_needs_it(items):
    assert [FAMILIES[name] for name in ("niah_single_1", "vt", "cwe", "fwe", "qa_1")] == [128, 30, 120, 50, 32]
    for family, made in items.items():
        for item in made:
            assert item.max_new_tokens >= FAMILIES[family]
            if family != "qa_1":
                assert item.max_new_tokens > TOKENIZER.count(", ".join(item.questions[0].expected))


@pytest.mark.parametrize("family", COUNTS)
def test_needles_are_as_many_as_defined_and_values_are_unique(items, family):
    number, asked = COUNTS[family]
    for item in items[family]:
        lines = needle_lines(item.documents, NEEDLES[family])
        values = [value for _, value in lines]
        assert len(set(values)) == len(values)
        assert len(lines) == number if number else len(lines) > item.labels["length"] / 120
        question = item.questions[0]
        assert len(question.expected) == asked
        wanted = {value for key, value in lines if re.search(rf"\b{re.escape(key)}\b", question.text)}
        assert wanted == set(question.expected)
        keys = 1 if family == "niah_multivalue" else len(lines)
        assert len({key for key, _ in lines}) == keys


@pytest.mark.parametrize(("family", "key", "value"), [
    ("niah_single_1", r"[a-z]+-[a-z]+", r"\d{7}"),
    ("niah_single_3", r"[a-z]+-[a-z]+", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    ("niah_multikey_3", r"[0-9a-f-]{36}", r"[0-9a-f-]{36}"),
])  # fmt: skip
def test_keys_and_values_are_of_their_kind(items, family, key, value):
    for item in items[family]:
        for found in needle_lines(item.documents, NEEDLES[family]):
            assert re.fullmatch(key, found[0])
            assert re.fullmatch(value, found[1])


def test_variables_are_one_chain_of_five(items):
    for item in items["vt"]:
        lines = re.findall(r"VAR ([A-Z]{5}) = (?:VAR )?(\w+)", whole(item))
        assert len(lines) == 5
        assert lines[0][1].isdigit()
        assert all(line[1] == before[0] for before, line in pairwise(lines))
        assert tuple(name for name, _ in lines) == item.questions[0].expected
        assert lines[0][1] in item.questions[0].text


def test_common_words_occur_30_times_and_others_3_times_or_6_and_once_in_short_lists(items):
    for item in items["cwe"]:
        often, seldom = (6, 1) if item.labels["length"] < 4_096 else (30, 3)
        lines = whole(item).splitlines()
        assert [line.split(". ")[0] for line in lines] == [str(n) for n in range(1, len(lines) + 1)]
        counts = Counter(line.split(". ")[1] for line in lines)
        common = {word for word, count in counts.items() if count == often}
        assert common == set(item.questions[0].expected)
        assert len(common) == 10
        assert {count for word, count in counts.items() if word not in common} == {seldom}


def test_frequent_words_follow_a_zeta_distribution(items):
    for item in items["fwe"]:
        counts = Counter(whole(item).split()).most_common()
        assert counts[0][0] == "..."
        assert tuple(word for word, _ in counts[1:4]) == item.questions[0].expected
        assert counts[3][1] > counts[4][1]
        for rank in range(1, 5):
            assert counts[rank - 1][1] / counts[0][1] == pytest.approx(rank**-2, rel=0.1)
        assert all(re.fullmatch("[a-z]{6}", word) for word, _ in counts[1:])


def test_the_paragraph_with_the_answer_is_among_others(items):
    for item in items["qa_1"]:
        [question] = item.questions
        assert len(item.documents) > 3
        assert sum(question.expected[0].lower() in document.text.lower() for document in item.documents) == 1
        score = Ruler().score(item, [f"I think {question.expected[0].upper()}."])
        assert score == [{"match": 1.0}]


def test_half_of_the_values_is_half_of_the_score(items):
    item = items["niah_multiquery"][0]
    assert Ruler().score(item, [" ".join(item.questions[0].expected[:2])]) == [{"match": 0.5}]


def test_words_never_run_out():
    for count in (10, 20_000):
        words = compounds(Random(0), count)
        assert len(set(words)) == count
