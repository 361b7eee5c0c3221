"""The model that the package carries: small enough to ship, and it answers, offline, with evidence."""

import sys
from pathlib import Path
from random import Random

import pytest

import sharedllm_core
from sharedllm_core import Document, SamplingSettings, SharedLLMEngine
from tests import tiny_engine

FOLDER = Path(sharedllm_core.__file__).with_name("default_model")
DEMO = tiny_engine.ROOT / "examples" / "demo"
QUESTIONS = 20
RIGHT_AT_LEAST = 12


@pytest.fixture(scope="module")
def engine():
    return SharedLLMEngine.from_pretrained("lookup", cache=tiny_engine.memory_cache())


@pytest.fixture(scope="module")
def handbook(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DEMO)
        from handbook import write_handbook

        folder = tmp_path_factory.mktemp("handbook")
        yield folder, write_handbook(folder, sections=3, seed=11)
        sys.modules.pop("handbook", None)


def test_it_is_small_enough_to_ship_and_says_what_it_is(engine):
    shards = list(FOLDER.glob("*.safetensors"))
    assert engine.model.num_parameters() <= 20e6
    assert max(shard.stat().st_size for shard in shards) <= 15e6
    assert sum(shard.stat().st_size for shard in shards) <= 40e6
    card = (FOLDER / "README.md").read_text()
    assert "examples/default_model" in card
    assert "not a general assistant" in card


def test_it_is_greedy_and_has_a_name(engine):
    assert engine.sampling == SamplingSettings()
    assert engine.model_name == "lookup"


def test_it_answers_from_a_handbook_that_it_never_saw_and_from_nothing_else(engine, handbook):
    folder, facts = handbook
    library = engine.read(folder)
    unrelated = engine.read([Document("Nothing of note was said that day. It rained until dusk.", id="note")])
    rng = Random(5)
    right, with_evidence, without_the_documents = 0, 0, 0
    for fact in rng.sample(facts, QUESTIONS):
        question = rng.choice(fact.questions)
        answer = engine.ask(question, library, max_new_tokens=48, num_evidence=1)
        if answer.text == fact.value:
            right += 1
            with_evidence += any(fact.value in span.text for span in answer.evidence)
        other = engine.ask(question, unrelated, max_new_tokens=48, num_evidence=0)
        without_the_documents += other.text == fact.value
    assert right >= RIGHT_AT_LEAST
    assert with_evidence >= right // 2
    assert without_the_documents == 0
