"""A model with a trained injection answers from what was injected, with evidence, and from nothing else."""

import sys
from random import Random

import pytest

from sharedllm_core import Document, SharedLLMEngine
from tests import tiny_engine
from tests.lookup_model import LOOKUP_MODEL

EXAMPLES = tiny_engine.ROOT / "examples" / "langchain"
QUESTIONS = 20
RIGHT_AT_LEAST = 12


@pytest.fixture(scope="module")
def engine():
    return SharedLLMEngine.from_pretrained(LOOKUP_MODEL, cache=tiny_engine.memory_cache())


@pytest.fixture(scope="module")
def handbook(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        from handbook import write_handbook

        folder = tmp_path_factory.mktemp("handbook")
        yield folder, write_handbook(folder, sections=3, seed=11)
        sys.modules.pop("handbook", None)


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
