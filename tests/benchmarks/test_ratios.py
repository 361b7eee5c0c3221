"""What was made fast stays fast: two ways to the same result, in turns, and the ratio of their medians.

Nothing here knows seconds. Each guard stands well below the ratio that was measured (docs/results/efficiency-notes.md),
so that a busy machine does not fail it, and above what would be left if the optimisation were lost. pytest-benchmark
measures nothing beside pytest-xdist, so `make test` runs this folder alone.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from statistics import median

import pytest
import torch

from sharedllm_core import SharedLLMConfig, SharedLLMEngine, TreeCache
from sharedllm_core.evaluation.baselines.reading import TextReader
from sharedllm_core.evaluation.demo_model import standard_library
from sharedllm_core.evaluation.efficiency import EfficiencySettings
from sharedllm_core.evaluation.efficiency.systems import make_systems
from sharedllm_core.evaluation.efficiency.weights import load_measured, text_ids, with_method
from sharedllm_core.evaluation.quoting_speed import quoted_prompt
from sharedllm_core.method.context_tree import all_nodes, whole_chunk
from sharedllm_core.model.encoding import encode_nodes
from sharedllm_core.model.lower_model import PastTokens
from tests.lookup_model import LOOKUP_MODEL
from tests.real_models import smollm2_folder

ROUNDS = 5
SETTINGS = EfficiencySettings(model=LOOKUP_MODEL, systems=("sharedllm", "full_attention"))
TOKENS = 8192


@pytest.fixture(scope="module")
def model():
    return load_measured(SETTINGS)


@pytest.fixture(scope="module")
def ids(model):
    return text_ids(SETTINGS, model, 4 * TOKENS + 256)


@pytest.fixture(scope="module")
def systems(model, ids, tmp_path_factory):
    return make_systems(model, SETTINGS, ids[:TOKENS], tmp_path_factory.mktemp("trees"))


@pytest.fixture
def ratio(benchmark):
    """How many times longer `slow` takes than `fast`, measured in turns; `fast` is what the report shows."""
    if benchmark.disabled:
        pytest.skip("pytest-benchmark is off; run this folder without -n")

    def measure(slow, fast, rounds=ROUNDS):
        slow_seconds = []

        def run_slow():
            begin = time.perf_counter()
            slow()
            slow_seconds.append(time.perf_counter() - begin)

        with torch.no_grad():
            slow()
            fast()
            benchmark.pedantic(fast, setup=run_slow, rounds=rounds)
        found = median(slow_seconds) / benchmark.stats.stats.median
        benchmark.extra_info["ratio"] = found
        print(f"{benchmark.name}: {found:.2f}")
        return found

    return measure


def test_a_question_about_read_documents_is_many_times_quicker_than_one_about_unread(ratio, systems, ids):
    shared, _ = systems
    shared.read()
    prompt = ids[-256:-128]
    assert ratio(lambda: shared.unread(prompt), lambda: shared.warm(prompt)) >= 4


def test_unread_documents_are_answered_from_sooner_than_full_attention_does(ratio, systems, ids):
    shared, full = systems
    prompt = ids[-256:-128]
    assert ratio(lambda: full.unread(prompt), lambda: shared.unread(prompt), rounds=3) >= 1.5


def test_nodes_run_together_are_quicker_than_one_by_one(ratio, model, ids):
    chunks = list(ids[:2048].split(model.method.chunk_tokens))
    lower = model.lower_model
    together = lower.batch_tokens

    def encode(batch_tokens):
        lower.batch_tokens = batch_tokens
        encode_nodes(lower, chunks)
        lower.batch_tokens = together

    assert ratio(lambda: encode(1), lambda: encode(together)) >= 1.2


def test_all_nodes_from_one_run_of_a_chunk_are_quicker_than_each_alone(ratio, model, ids):
    chunks = list(ids[:2048].split(model.method.chunk_tokens))
    shared = with_method(model, replace(model.method, node_encoding="shared"))
    assert ratio(lambda: model.encode_nodes(chunks), lambda: shared.encode_nodes(chunks)) >= 1.7


def test_a_selection_vector_of_the_last_token_alone_is_quicker_than_a_whole_layer(ratio, model, ids):
    chunks = list(ids[:4096].split(1024))
    nodes = [all_nodes(whole_chunk(1024), 3)] * 4
    last, mean = (
        with_method(model, SharedLLMConfig(injection_layers=2, policy=policy)).lower_model
        for policy in ("similarity", "pooled")
    )
    tokens = PastTokens(chunks, last.device)
    assert ratio(lambda: mean.selection_vectors(tokens, nodes), lambda: last.selection_vectors(tokens, nodes)) >= 1.3


def test_a_budget_makes_decoding_cost_the_same_for_a_past_eight_times_as_long(ratio, model, ids):
    bounded = with_method(model, replace(model.method, max_injected_states=512))
    readers = []
    for tokens in (4 * TOKENS, TOKENS // 2):
        chunks = ids[:tokens].split(model.method.chunk_tokens)
        with torch.no_grad():
            past = bounded.encode_past_context(chunks, ids[-256:-128])
        readers.append(TextReader(bounded, 128, past_context=past))

    def decode(reader):
        reader.read(ids[-128:])
        for _ in range(16):
            reader.read(ids[:1])
        reader.go_back(0)

    assert ratio(lambda: decode(readers[0]), lambda: decode(readers[1])) <= 1.5


def test_passages_of_150_000_tokens_are_found_and_in_the_prompt_in_a_tenth_of_their_prefill(ratio):
    engine = SharedLLMEngine.from_pretrained(smollm2_folder(), cache=TreeCache([]))
    library = engine.library(standard_library(600_000))
    assert library.num_tokens > 150_000
    question = "Which function opens a file with a given encoding?"
    ids = quoted_prompt(engine, question, library, 1024)
    assert len(ids) > 1024

    def prefill():
        engine.model(ids[None], logits_to_keep=1)

    assert ratio(prefill, lambda: quoted_prompt(engine, question, library, 1024), rounds=2) >= 10


@pytest.fixture(scope="module")
def quoting_engine():
    """SmolLM2 with quoted reading, without kept prompts."""
    cache = TreeCache([])
    return SharedLLMEngine.from_pretrained(smollm2_folder(), dtype="bfloat16", cache=cache, kept_prompt_bytes=0)


def test_eight_callers_at_the_same_time_get_more_tokens_a_second_than_one_after_another(ratio, quoting_engine):
    questions = [f"Tell a long story about the number {number}." for number in range(8)]

    def ask(question):
        answer = quoting_engine.ask(question, max_new_tokens=48, temperature=0.0, num_evidence=0)
        assert answer.usage.completion_tokens > 40

    def one_after_another():
        for question in questions:
            ask(question)

    with ThreadPoolExecutor(len(questions)) as threads:
        assert ratio(one_after_another, lambda: list(threads.map(ask, questions)), rounds=2) >= 1.5


def test_a_second_question_over_documents_quoted_whole_reads_them_no_more(ratio, quoting_engine):
    keeping = SharedLLMEngine(quoting_engine.model, quoting_engine.tokenizer, cache=TreeCache([]))
    documents = standard_library(6_000)[:1]
    numbers = iter(range(100))

    def ask(engine):
        engine.ask(f"What is function number {next(numbers)} for?", documents, max_new_tokens=1, num_evidence=0)

    assert ratio(lambda: ask(quoting_engine), lambda: ask(keeping), rounds=3) >= 3
