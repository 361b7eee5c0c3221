"""Kinds of fact in YAML files: each can be used, and one that cannot is named with its reason."""

import os
import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import yaml

from sharedllm_core.errors import DocumentError
from sharedllm_core.training.tasks import KINDS, pools, read_kinds
from sharedllm_core.training.tasks.kinds import SUBJECTS, pool_pattern
from sharedllm_core.training.tasks.phrasing import held_out_phrasings

ROOT = Path(__file__).parents[2]
OF_THE_LIBRARY = Path(pool_pattern.__file__).parent
OF_THE_EXAMPLE = ROOT / "examples" / "default_model" / "kinds"
NAMED_POOLS = {name: pool for name, pool in vars(pools).items() if isinstance(pool, pools.Pool)}
WARRANTY = {
    "name": "warranty",
    "key": "<product>",
    "value": "<number:3-84> months",
    "facts": [f"The {{key}} is under warranty for {{value}}, says note {n}." for n in range(10)],
    "questions": [f"How long is the {{key}} under warranty according to note {n}?" for n in range(10)],
    "phrases": [f"the warranty of the {{key}} in note {n}" for n in range(4)],
    "several": "warranties of the {key}",
    "via": [f"How long is {{via}} under warranty according to note {n}?" for n in range(4)],
    "counted": "products with a warranty",
    "held_out": True,
}


def write(path, *kinds):
    path.write_text(yaml.safe_dump(list(kinds), allow_unicode=True), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def kinds_of_the_example():
    return read_kinds(OF_THE_EXAMPLE)


# The kinds of the library


def test_every_file_of_the_library_is_read():
    assert sorted(SUBJECTS) == sorted(file.stem for file in OF_THE_LIBRARY.glob("*.yaml"))
    assert {kind.name for kind in read_kinds(OF_THE_LIBRARY)} == set(KINDS)
    assert all(name == kind.name for name, kind in KINDS.items())


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
    assert not re.search(r"\b[Aa]n? [`\"]?\{", "\n".join((*kind.facts, *kind.questions, *kind.phrases, *kind.via))), (
        "a or an?"
    )
    rng = Random(3)
    assert len({kind.key.draw(rng) for _ in range(2_000)}) > 1_800
    assert len({kind.value.draw(rng) for _ in range(2_000)}) > 1_000
    assert not any(", " in kind.value.draw(rng) for _ in range(200))


def test_similar_keys_are_distinct_and_differ_in_one_part():
    for kind in KINDS.values():
        family = kind.key.family(Random(1), 9)
        assert len(set(family)) == 9


def test_the_files_of_the_library_are_read_at_the_first_use_of_a_kind():
    code = (
        "import sys\n"
        "from sharedllm_core.training.tasks import KINDS\n"
        "assert 'yaml' not in sys.modules\n"
        "assert KINDS['captain'].name == 'captain'\n"
        "assert 'yaml' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=ROOT, check=True)


# The kinds of the example


def test_the_kinds_of_the_example_are_many_and_none_is_one_of_the_library(kinds_of_the_example):
    kinds = kinds_of_the_example
    assert len(kinds) > 400
    assert not {kind.name for kind in kinds} & set(KINDS)
    assert not any(kind.held_out for kind in kinds)
    held_out = {pattern for kind in KINDS.values() if kind.held_out for pattern in (*kind.facts, *kind.questions)}
    assert held_out
    assert not held_out & {pattern for kind in kinds for pattern in (*kind.facts, *kind.questions)}


def test_no_kind_of_the_example_has_a_phrasing_twice(kinds_of_the_example):
    for kind in kinds_of_the_example:
        for phrasings in (kind.facts, kind.questions, kind.phrases, kind.via):
            assert len(set(phrasings)) == len(phrasings), kind.name


# Keys and values


@pytest.mark.parametrize("name", NAMED_POOLS)
def test_a_key_that_is_one_named_pool_is_that_pool_itself(name):
    """Tasks over two facts link kinds by their pools, and similar names are drawn by its parts."""
    assert pool_pattern.pool(f"<{name.lower()}>") is NAMED_POOLS[name]


def test_kinds_with_the_same_pattern_share_a_pool():
    assert pool_pattern.pool("the <old|new> mill") is pool_pattern.pool("the <old|new> mill")
    assert pool_pattern.pool("the <old|new> mill") is not pool_pattern.pool("the <new|old> mill")


@pytest.mark.parametrize(
    ("pattern", "shape"),
    [
        ("<number:3-84> months", r"([3-9]|[1-7]\d|8[0-4]) months"),
        ("<commas:1000-99000>", r"\d{1,2},\d{3}"),
        ("<padded:0-59>", r"[0-5]\d"),
        ("<decimal:1.5-80.25>", r"\d{1,2}\.\d{2}"),
        ("<digits:6>", r"[1-9]\d{5}"),
        ("<letters:3>-<small:2>", r"[A-Z]{3}-[a-z]{2}"),
        ("<hex:8>", r"[0-9a-f]{8}"),
        ("<old|new> mill", r"(old|new) mill"),
        ("{<digits:2>}", r"\{\d\d\}"),
        ("Mrs <last> of <town>", r"Mrs [A-Z][a-z]+ of [A-Z][a-z]+"),
        ("<Quality> <animal>", r"[A-Z]\w+ [a-z]\w+"),
    ],
)
def test_what_is_drawn_has_the_form_that_is_written(pattern, shape):
    rng = Random(0)
    drawn = {pool_pattern.pool(pattern).draw(rng) for _ in range(200)}
    assert len(drawn) > 1
    assert all(re.fullmatch(shape, text) for text in drawn)


# Files


def test_a_kind_is_read_with_all_its_fields(tmp_path):
    [kind] = read_kinds(write(tmp_path / "kinds.yaml", WARRANTY))
    assert kind.key is pools.PRODUCT
    for name in ("facts", "questions", "phrases", "via"):
        assert getattr(kind, name) == tuple(WARRANTY[name])
    for name in ("name", "several", "counted", "held_out"):
        assert getattr(kind, name) == WARRANTY[name]


def test_a_folder_is_read_in_the_order_of_its_files(tmp_path):
    write(tmp_path / "b.yaml", WARRANTY)
    write(tmp_path / "a.yaml", WARRANTY | {"name": "repair"}, WARRANTY | {"name": "loan"})
    (tmp_path / "notes.txt").write_text("no kinds")
    assert [kind.name for kind in read_kinds(tmp_path)] == ["repair", "loan", "warranty"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"key": "<number:1-9>"}, "keys are too few"),
        ({"value": "<number:1-3> months"}, "values are too few"),
        ({"value": "<weight> months"}, "<weight> is no part of a key or value"),
        ({"value": "<number:9-3> months"}, "<number:9-3> is no part"),
        ({"value": "<digits:0>"}, "<digits:0> is no part"),
        ({"facts": WARRANTY["facts"][:9]}, "9 facts, and at least 10 are needed"),
        ({"questions": WARRANTY["questions"][:9]}, "9 questions, and at least 10 are needed"),
        ({"phrases": WARRANTY["phrases"][:3]}, "3 phrases, and at least 4 are needed"),
        ({"via": WARRANTY["via"][:3]}, "3 via, and at least 4 are needed"),
        ({"facts": ["{key} has {value} or {price}."] * 10}, "has other fields than {key}, {value}"),
        ({"facts": ["{key} has {value} and {value}."] * 10}, "has {value} 2 times"),
        ({"facts": ["{value} is the warranty."] * 10}, "has {key} 0 times"),
        ({"facts": ["{key} has {value."] * 10}, "write {{ and }} for braces"),
        ({"questions": ["How long does the warranty last?"] * 10}, "has {key} 0 times"),
        ({"questions": ["Does the {key} have {value}?"] * 10}, "has other fields than {key}"),
        ({"via": ["How long?"] * 4}, "has {via} 0 times"),
        ({"several": "warranties"}, "has {key} 0 times"),
        ({"counted": "warranties of {key}"}, "has other fields than none"),
        ({"several": ["warranties of {key}"]}, "'several' is not a text"),
        ({"facts": "{key} has {value}."}, "'facts' is not a list of texts"),
        ({"phrases": [1, 2, 3, 4]}, "'phrases' is not a list of texts"),
        ({"held_out": "yes"}, "'held_out' is not true or false"),
        ({"colour": "red"}, "unknown field 'colour'"),
    ],
)
def test_a_kind_that_cannot_be_used_is_named_with_its_file(tmp_path, change, complaint):
    path = write(tmp_path / "kinds.yaml", WARRANTY | change)
    with pytest.raises(DocumentError, match=re.escape(complaint)) as error:
        read_kinds(tmp_path)
    assert f"{path}, kind 'warranty': " in str(error.value)


def test_a_kind_without_a_needed_field_is_named_by_its_place(tmp_path):
    path = write(tmp_path / "kinds.yaml", WARRANTY, {"key": "<product>"})
    with pytest.raises(DocumentError, match=re.escape(f"{path}, kind 2: 'name' is missing")):
        read_kinds(path)


def test_a_name_that_two_files_give_is_refused(tmp_path):
    write(tmp_path / "a.yaml", WARRANTY)
    second = write(tmp_path / "b.yaml", WARRANTY)
    with pytest.raises(DocumentError, match=re.escape(f"{second}, kind 'warranty': another kind has this name")):
        read_kinds(tmp_path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"- name: [", "is no YAML"),
        (b"- name: \xff", "is no YAML"),
        (b"", "is no list of kinds"),
        (b"name: warranty", "is no list of kinds"),
        (b"- warranty", "is no list of kinds"),
    ],
)
def test_a_file_that_holds_no_kinds_is_named(tmp_path, content, complaint):
    path = tmp_path / "kinds.yaml"
    path.write_bytes(content)
    with pytest.raises(DocumentError, match=re.escape(f"{path} {complaint}")):
        read_kinds(tmp_path)


def test_files_that_do_not_exist_are_named(tmp_path):
    with pytest.raises(DocumentError, match=re.escape(f"{tmp_path} has no *.yaml")):
        read_kinds(tmp_path)
    with pytest.raises(DocumentError, match=r"none\.yaml cannot be read"):
        read_kinds(tmp_path / "none.yaml")
