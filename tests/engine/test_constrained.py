"""Constrained decoding: what comes out fits the constraint, whatever the model, the draws and the length."""

import json
import re
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sharedllm_core import Constraint, InputError
from tests import tiny_engine

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string", "minLength": 2}, "minItems": 1},
        "kind": {"enum": ["tenant", "owner"]},
        "lease": {"type": "object", "properties": {"from": {"type": "string", "format": "date"}}, "required": ["from"]},
    },
    "required": ["name", "age", "tags", "kind"],
}
TREE = {
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "at": {"type": "number"}}}},
    "$ref": "#/$defs/node",
}


def schemas():
    plain = st.sampled_from(
        [
            {"type": "string"},
            {"type": "string", "minLength": 3, "maxLength": 9},
            {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
            {"type": "string", "format": "date"},
            {"type": "integer"},
            {"type": "integer", "minimum": 3, "maximum": 40},
            {"type": "number"},
            {"type": "boolean"},
            {"type": "null"},
            {"enum": ["é", "two words", 'a "quoted" one', 7, None]},
            {"const": "fixed"},
        ]
    )

    def deeper(inner):
        names = st.text("abcé_ -", min_size=1, max_size=8)
        objects = st.dictionaries(names, inner, max_size=3).flatmap(
            lambda properties: st.lists(st.sampled_from(sorted(properties) or ["x"]), unique=True).map(
                lambda required: {
                    "type": "object",
                    "properties": properties,
                    "required": [name for name in required if name in properties],
                }
            )
        )
        arrays = st.tuples(inner, st.integers(0, 2)).map(
            lambda made: {"type": "array", "items": made[0], "minItems": made[1]}
        )
        return objects | arrays | st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"anyOf": parts})

    return st.recursive(plain, deeper, max_leaves=6)


@pytest.fixture(scope="module")
def shared(checkpoint):
    """An engine and a library for all examples of a property."""
    engine = tiny_engine.make_engine(checkpoint)
    return SimpleNamespace(engine=engine, library=engine.library(tiny_engine.documents(1)))


def least_tokens(engine, options):
    """How many tokens an answer needs, as the refusal of fewer says."""
    with pytest.raises(InputError) as refused:
        engine.ask("who?", max_new_tokens=1, **options)
    return int(re.search(r"which needs (\d+) tokens at the least", str(refused.value))[1])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(schema=schemas(), temperature=st.sampled_from([0.0, 1.0, 20.0]), seed=st.integers(0, 9), room=st.integers(0, 40))
def test_json_parses_and_fits_its_schema_in_however_few_tokens_it_has(shared, schema, temperature, seed, room):
    options = {"constraint": Constraint.json_schema(schema), "temperature": temperature, "seed": seed}
    least = least_tokens(shared.engine, options)
    assume(least + room <= tiny_engine.WINDOW // 2)
    answer = shared.engine.ask("who?", shared.library, max_new_tokens=least + room, **options)
    Draft202012Validator(schema).validate(json.loads(answer.text))
    assert answer.finish_reason == "stop"


@pytest.mark.parametrize("schema", [PERSON, TREE], ids=["person", "recursive"])
def test_every_row_of_a_batch_fits_and_is_what_it_is_alone(engine, schema):
    options = {"constraint": Constraint.json_schema(schema), "temperature": 2.0, "seed": 3, "max_new_tokens": 120}
    questions = ["who?", "which notice period?", "what rent must be paid every month?"]
    library = engine.library(tiny_engine.documents(2))
    together = engine.ask_batch(questions, library, **options)
    for question, answer in zip(questions, together, strict=True):
        Draft202012Validator(schema).validate(json.loads(answer.text))
        assert answer.text == engine.ask(question, library, **options).text


def test_an_object_has_only_the_properties_that_are_named_unless_the_schema_asks_for_more(engine):
    named = {"type": "object", "properties": {"a": {"type": "integer"}}}
    for seed in range(5):
        answer = engine.ask("who?", constraint=Constraint.json_schema(named), temperature=30.0, seed=seed)
        assert set(json.loads(answer.text)) <= {"a"}
    merged = {"allOf": [named, {"type": "object", "properties": {"b": {"type": "null"}}, "required": ["b"]}]}
    answer = engine.ask("who?", constraint=Constraint.json_schema(merged))
    Draft202012Validator(merged).validate(json.loads(answer.text))


def test_a_choice_is_one_of_its_options_and_a_regex_matches_in_full(engine):
    options = ["yes", "no", "it depends", 'say "é"']
    said = {engine.ask("who?", constraint=Constraint.choice(options), temperature=9.0, seed=s).text for s in range(8)}
    assert said <= set(options)
    assert len(said) > 1
    pattern = r"[A-Z]{2}-\d{3}( \(draft\))?"
    assert re.fullmatch(pattern, engine.ask("who?", constraint=Constraint.regex(pattern)).text)


def test_streamed_pieces_make_up_the_constrained_answer(engine):
    constraint = Constraint.json_schema(PERSON)
    stream = engine.stream("who?", constraint=constraint, max_new_tokens=100)
    text = "".join(stream)
    Draft202012Validator(PERSON).validate(json.loads(text))
    assert text == stream.answer.text


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: Constraint.json_schema({"not": {"type": "string"}}), r'Unimplemented keys: \["not"\]'),
        (lambda: Constraint.json_schema({"type": "array", "uniqueItems": True}), "uniqueItems"),
        (lambda: Constraint.json_schema({"type": "text"}), "Invalid type: text"),
        (lambda: Constraint.json_schema({"$ref": "#/$defs/none"}), "does not exist"),
        (lambda: Constraint.regex("a(?=b)"), "look-around"),
        (lambda: Constraint.choice([]), "give a list of strings"),
        (lambda: Constraint.choice("yes"), "give a list of strings"),
        (lambda: Constraint.choice(["yes", ""]), "none empty"),
    ],
)
def test_what_cannot_be_kept_to_is_refused_when_it_is_made(make, fault):
    with pytest.raises(InputError, match=fault):
        make()


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"constraint": Constraint.json_schema(PERSON), "max_new_tokens": 9}, r"too few .* needs \d+ tokens"),
        ({"constraint": Constraint.json_schema(PERSON), "stop": "}"}, "give one of them"),
        ({"constraint": {"type": "object"}}, "must be a Constraint"),
        ({"constraint": Constraint.lark("start: <|nowhere|>")}, "cannot write by the grammar"),
        ({"constraint": Constraint.regex("(a|b)*END")}, "no end that is sure to come|too few|tokens"),
    ],
)
def test_what_the_engine_cannot_keep_to_is_refused_before_the_model_runs(engine, options, fault):
    engine.model.forward = None
    if "END" in str(options["constraint"]):
        options["max_new_tokens"] = 2
    with pytest.raises(InputError, match=fault):
        engine.ask("who?", **options)
