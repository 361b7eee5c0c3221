"""Documents are read once: whatever the tier, the process, the order, and with the same answers."""

import json
import shutil
import subprocess
import sys
import warnings
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from threading import Event

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_core import CacheWarning, Document, SharedLLMEngine, TreeCache
from sharedllm_core.text.library import shared_positions
from sharedllm_core.tree_cache import DiskTier, MemoryTier, RemoteTier
from tests import tiny_engine

QUESTION = "Who signed the lease?"
ASKED = {"max_new_tokens": 16, "num_evidence": 0}


@contextmanager
def lower_tokens(engine):
    """Counts the tokens that the lower model reads of documents."""
    counted = [0]
    lower = engine.model.lower_model
    run = lower._in_batches

    def counting(placed, shape, of_batch):
        if len(placed) > 1 or any(chunk for chunk, _ in placed):  # a single node is the question
            counted[0] += sum(node.length for _, node in placed)
        return run(placed, shape, of_batch)

    lower._in_batches = counting
    try:
        yield counted
    finally:
        del lower._in_batches


def caches(folder):
    return {
        "memory": lambda: TreeCache([MemoryTier(10**8)]),
        "disk": lambda: TreeCache([DiskTier(folder / "disk", "default", 10**8)]),
        "remote": lambda: TreeCache([RemoteTier((folder / "remote").as_uri(), "default")]),
        "all": lambda: TreeCache.default(folder=folder / "all", remote_url=(folder / "far").as_uri()),
    }


@pytest.mark.parametrize("tier", ["memory", "disk", "remote", "all"])
def test_answers_from_any_tier_equal_fresh_ones(checkpoint, tier, tmp_path):
    documents = tiny_engine.documents(4)
    fresh = tiny_engine.make_engine(checkpoint, cache=TreeCache([])).ask(QUESTION, documents, **ASKED)
    engine = tiny_engine.make_engine(checkpoint, cache=caches(tmp_path)[tier]())
    first = engine.ask(QUESTION, engine.read(documents), **ASKED)
    again = engine.ask(QUESTION, engine.read(documents), **ASKED)
    assert first.text == again.text == fresh.text
    assert fresh.usage.cached_tokens == 0
    assert again.usage.cached_tokens == again.usage.past_context_tokens > 0
    if tier != "memory":
        other = tiny_engine.make_engine(checkpoint, cache=caches(tmp_path)[tier]())
        with lower_tokens(other) as counted:
            assert other.ask(QUESTION, documents, **ASKED) == again
        assert counted[0] == 0


def test_another_process_answers_from_disk_without_reading_again(checkpoint, tmp_path):
    documents = tiny_engine.documents(3)
    engine = tiny_engine.make_engine(checkpoint, cache=TreeCache.default(folder=tmp_path))
    here = engine.ask(QUESTION, engine.read(documents), **ASKED)
    code = f"""
import json
from sharedllm_core import SharedLLMEngine, TreeCache
from tests import tiny_engine
engine = SharedLLMEngine.from_pretrained({str(checkpoint)!r}, cache=TreeCache.default(folder={str(tmp_path)!r}))
answer = engine.ask({QUESTION!r}, tiny_engine.documents(3), max_new_tokens=16, num_evidence=0)
print(json.dumps([answer.text, answer.usage.cached_tokens]))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == [here.text, here.usage.past_context_tokens]


def test_in_bfloat16_the_same_nodes_are_retained_and_logits_agree(tmp_path):
    checkpoint = tiny_engine.make_checkpoint(tmp_path / "model")
    library_of, pasts, logits = tiny_engine.documents(4), [], []
    for cache in (TreeCache([]), TreeCache.default(folder=tmp_path / "trees", memory_bytes=0)):
        engine = tiny_engine.make_engine(checkpoint, cache=cache, dtype=torch.bfloat16)
        library = engine.read(library_of) if cache.tiers else engine.library(library_of)
        query = engine.tokenizer.encode("Who signed the lease").ids
        read = engine._reader.past_context(library, QUESTION, query, tiny_engine.no_progress(), Event())
        pasts.append(read.past)
        with torch.no_grad():
            logits.append(engine.model(query[None], past_context=read.past).logits.float())
    assert pasts[0].nodes == pasts[1].nodes
    assert float((logits[0] - logits[1]).norm() / logits[0].norm()) < 3e-2


def test_only_what_is_new_is_read_when_documents_come_go_and_change_places(engine):
    documents = tiny_engine.documents(5)
    new = tiny_engine.documents(1, seed=9)
    engine.read(documents)
    for kept in (documents[1:], documents[::-1], [documents[2], documents[0]]):
        with lower_tokens(engine) as counted:
            engine.read(kept)
        assert counted[0] == 0
    with lower_tokens(engine) as counted:
        engine.read([*documents[:2], *new, *documents[2:]])
    fresh = tiny_engine.make_engine_like(engine)
    with lower_tokens(fresh) as alone:
        fresh.read(new)
    assert counted[0] == alone[0] > 0


def test_equal_documents_are_read_once(engine):
    text = tiny_engine.words(60)
    with lower_tokens(engine) as once:
        engine.read(Document(text, id="a"))
    fresh = tiny_engine.make_engine_like(engine)
    with lower_tokens(fresh) as twice:
        fresh.read([Document(text, id="a"), Document(text, id="b")])
    assert twice == once


def test_a_question_on_unread_documents_reads_only_what_it_retains_and_keeps_it(checkpoint):
    documents = tiny_engine.documents(6)
    whole, part = tiny_engine.make_engine(checkpoint), tiny_engine.make_engine(checkpoint)
    with lower_tokens(whole) as all_nodes:
        library = whole.read(documents)
    with lower_tokens(part) as retained:
        answer = part.ask(QUESTION, documents, **ASKED)
    assert retained[0] < 0.7 * all_nodes[0]
    assert answer.text == whole.ask(QUESTION, library, **ASKED).text
    with lower_tokens(part) as again:
        assert part.ask(QUESTION, documents, **ASKED).usage.cached_tokens == library.num_tokens
    assert again[0] == 0
    with lower_tokens(part) as other:
        other_answer = part.ask("When is the rent paid?", documents, **ASKED)
    assert other[0] < retained[0]
    assert other_answer.text == whole.ask("When is the rent paid?", library, **ASKED).text


def test_reading_replaces_what_single_questions_kept(engine):
    documents = tiny_engine.documents(3)
    engine.ask(QUESTION, documents, **ASKED)
    (tier,) = engine.cache.tiers
    assert all(key.endswith("-partial") for key in list(tier.keys()))
    library = engine.read(documents)
    assert sorted(tier.keys()) == sorted(set(engine._reader.keys(library)))


def test_forgetting_a_document_deletes_its_trees_from_every_tier(checkpoint, tmp_path):
    cache = TreeCache.default(folder=tmp_path / "disk", remote_url=(tmp_path / "far").as_uri())
    engine = tiny_engine.make_engine(checkpoint, cache=cache)
    documents = tiny_engine.documents(3)
    engine.read(documents)
    engine.ask(QUESTION, documents[:1], **ASKED)
    gone = engine._reader.keys(engine.library(documents[1]))
    kept = set(engine._reader.keys(engine.library([documents[0], documents[2]])))
    assert engine.forget(documents[1]) == len(set(gone))
    for tier in cache.tiers:
        assert set(tier.keys()) == kept
    assert engine.forget(documents[1]) == 0


def test_chunks_never_cross_documents_and_offsets_name_their_text(engine):
    documents = tiny_engine.documents(4, num_words=37)
    library = engine.library(documents)
    for number, document in enumerate(documents):
        own = [chunk for chunk in library.chunks if chunk.document == number]
        assert all(len(chunk.ids) == library.chunk_tokens for chunk in own[:-1])
        assert "".join(engine.tokenizer.decode(chunk.ids) for chunk in own) == document.text
        assert own[0].text.characters(0, len(own[0].ids))[0] == 0
        assert own[-1].text.characters(0, len(own[-1].ids))[1] == len(document.text)


@given(st.lists(st.integers(1, 32)))
def test_short_chunks_share_a_position_until_they_add_up_to_a_chunk(lengths):
    positions = shared_positions(lengths, 32)
    assert list(positions) == sorted(positions)
    assert positions[:1] in ((), (0,))
    for before, after in pairwise(positions):
        assert after - before in (0, 1)
    for position in set(positions):
        sharing = [length for length, of in zip(lengths, positions, strict=True) if of == position]
        assert sum(sharing) <= 32
        following = [length for length, of in zip(lengths, positions, strict=True) if of == position + 1]
        assert not following or sum(sharing) + following[0] > 32


def test_a_librarys_fingerprint_names_its_documents_and_their_order(engine):
    a, b = tiny_engine.documents(2)
    prints = [engine.library(of).fingerprint for of in ([a, b], [b, a], [a], [Document(a.text, id="other")])]
    assert len(set(prints)) == 4
    assert engine.library([a, b]).fingerprint == prints[0]


def test_a_cache_that_is_too_small_is_said_and_still_answers_right(checkpoint):
    documents = tiny_engine.documents(6)
    engine = tiny_engine.make_engine(checkpoint, cache=tiny_engine.memory_cache(20_000))
    with pytest.warns(CacheWarning, match=r"the tree cache has lost \d+.*raise its max_bytes"):
        library = engine.read(documents)
    roomy = tiny_engine.make_engine(checkpoint)
    assert engine.ask(QUESTION, library, **ASKED).text == roomy.ask(QUESTION, documents, **ASKED).text


def test_reading_can_be_cancelled_and_goes_on_where_it_stopped(checkpoint):
    documents = tiny_engine.documents(40)
    engine = tiny_engine.make_engine(checkpoint)
    engine.model.lower_model.batch_tokens = 64
    library = engine.read(documents, cancelled=tiny_engine.SetAfter(4))
    done = engine.cached_tokens(library)
    assert 0 < done < library.num_tokens
    with lower_tokens(engine) as rest:
        engine.read(documents)
    whole = tiny_engine.make_engine(checkpoint)
    with lower_tokens(whole) as everything:
        whole.read(documents)
    assert rest[0] < everything[0]
    assert engine.cached_tokens(library) == library.num_tokens


def test_tenants_share_the_model_and_nothing_else(checkpoint, tmp_path):
    engines = {}
    engines["a"] = tiny_engine.make_engine(checkpoint, cache=TreeCache.default(namespace="a", folder=tmp_path))
    engines["b"] = engines["a"].with_cache(TreeCache.default(namespace="b", folder=tmp_path))
    documents = tiny_engine.documents(3)
    library = engines["a"].read(documents)
    assert engines["b"].model is engines["a"].model
    assert engines["b"].cached_tokens(library) == 0
    assert engines["b"].cache.stats()["disk"].entries == 0
    assert engines["b"].forget(documents) == 0
    engines["b"].cache.clear()
    assert engines["a"].cached_tokens(library) == library.num_tokens
    answer = engines["b"].ask(QUESTION, documents, **ASKED)
    assert answer.usage.cached_tokens == 0
    assert answer.text == engines["a"].ask(QUESTION, library, **ASKED).text


def test_a_tokenizer_in_the_base_folder_is_found_for_an_adapter(checkpoint, tmp_path):
    engine = tiny_engine.make_engine(checkpoint)
    # A copy: the base of the tests' checkpoint has no tokenizer, and other tests rely on that.
    base = shutil.copytree(checkpoint.parent / "base", tmp_path / "base")
    tiny_engine.tokenizer().save_pretrained(base)
    engine.model.config.base = str(base)
    engine.model.save_adapter(tmp_path / "adapter")
    again = SharedLLMEngine.from_pretrained(tmp_path / "adapter", cache=tiny_engine.memory_cache())
    documents = tiny_engine.documents(2)
    assert again.ask(QUESTION, documents, **ASKED).text == engine.ask(QUESTION, documents, **ASKED).text


def test_int8_trees_take_less_room_and_answer_alike(checkpoint):
    documents = tiny_engine.documents(4)
    engines = [tiny_engine.make_engine(checkpoint, cache=tiny_engine.memory_cache(int8=int8)) for int8 in (False, True)]
    sizes = []
    for engine in engines:
        library = engine.read(documents)
        engine.ask(QUESTION, library, **ASKED)
        sizes.append(engine.cache.stats()["memory"].num_bytes)
    assert sizes[1] < sizes[0]


def test_no_warning_is_given_when_all_is_well(engine):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine.ask(QUESTION, engine.read(tiny_engine.documents(2)), **ASKED)


def test_another_policy_selects_other_nodes_of_the_same_trees(checkpoint, tmp_path):
    documents = tiny_engine.documents(6)
    kept = {}
    for policy in (None, "similarity", "lexical", "right", "pooled"):
        cache = TreeCache([DiskTier(tmp_path, "default", 10**8)])
        engine = SharedLLMEngine.from_pretrained(checkpoint, cache=cache, policy=policy)
        library = engine.library(documents)
        with lower_tokens(engine) as counted:
            engine.read(documents, progress=False)
        # Vectors of another kind belong to trees of their own; all other policies find what `similarity` read.
        assert (counted[0] > 0) == (policy in {None, "pooled"}), policy
        kept[policy] = engine.past_context(QUESTION, library).nodes
    assert kept[None] == kept["similarity"]
    assert len({kept[policy] for policy in ("similarity", "lexical", "right")}) == 3


def test_trees_that_were_read_without_vectors_get_them_when_a_policy_compares_some(checkpoint, tmp_path):
    documents = tiny_engine.documents(4)
    cache = TreeCache([DiskTier(tmp_path, "default", 10**8)])
    lexical = SharedLLMEngine.from_pretrained(checkpoint, cache=cache, policy="lexical")
    lexical.read(documents, progress=False)
    paper = SharedLLMEngine.from_pretrained(checkpoint, cache=cache)
    fresh = tiny_engine.make_engine(checkpoint)
    assert paper.ask(QUESTION, documents, **ASKED).text == fresh.ask(QUESTION, documents, **ASKED).text
    again = SharedLLMEngine.from_pretrained(checkpoint, cache=cache)
    with lower_tokens(again) as counted:
        answer = again.ask(QUESTION, documents, **ASKED)
    assert counted[0] == 0
    assert answer.text == fresh.ask(QUESTION, documents, **ASKED).text, "what was stored again is what was read"


@pytest.mark.parametrize("read", ["nothing", "half", "all"])
def test_under_a_limit_of_states_no_text_is_read_that_nobody_is_answered_from(tmp_path, read):
    method = replace(
        tiny_engine.METHOD, policy="lexical", scope="past", finest_compression_ratio=1, max_injected_states=80
    )
    engine = tiny_engine.make_engine(tiny_engine.make_checkpoint(tmp_path, method))
    documents = tiny_engine.documents(30)
    library = engine.library(documents)
    fresh = tiny_engine.make_engine_like(engine).ask(QUESTION, library, max_new_tokens=16)
    if ahead := {"nothing": [], "half": documents[::2], "all": documents}[read]:
        engine.read(ahead)
    with lower_tokens(engine) as counted:
        answer = engine.ask(QUESTION, library, max_new_tokens=16)
    assert answer.text == fresh.text
    assert answer.evidence == fresh.evidence
    assert answer.usage.injected_states == fresh.usage.injected_states <= 80
    assert counted[0] < library.num_tokens / 2 if read != "all" else counted[0] == 0


def test_under_a_limit_of_states_trees_that_are_left_out_are_not_fetched(tmp_path):
    method = replace(
        tiny_engine.METHOD, policy="lexical", scope="past", finest_compression_ratio=1, max_injected_states=80
    )
    cache = TreeCache([DiskTier(tmp_path / "trees", "default", 10**8)])
    engine = tiny_engine.make_engine(tiny_engine.make_checkpoint(tmp_path, method), cache=cache)
    library = engine.read(tiny_engine.documents(30))
    before = cache.stats()["disk"].hits
    seen = engine.inspect(QUESTION, library, max_new_tokens=4)
    fetched = cache.stats()["disk"].hits - before
    assert 0 < seen.left_out_chunks < len(library.chunks)
    assert fetched == len(library.chunks) - seen.left_out_chunks


def test_without_a_tier_no_tree_is_written_down_for_nobody(checkpoint, monkeypatch):
    engine = tiny_engine.make_engine(checkpoint, cache=TreeCache([]))
    monkeypatch.setattr("sharedllm_core.tree_cache.codec.encode", lambda *_, **__: pytest.fail("a tree was encoded"))
    assert engine.ask(QUESTION, tiny_engine.documents(2), **ASKED).text
