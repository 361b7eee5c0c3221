"""A warm question holds the states that it retains in memory, not the trees that they come from."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sharedllm_core import TreeCache
from tests import tiny_engine

# Wide heads make large states for a model that is quick to run; the finest level has a state for each token.
WIDE = {"num_key_value_heads": 4, "num_attention_heads": 4, "head_dim": 256}
METHOD = replace(
    tiny_engine.METHOD, chunk_tokens=64, policy="lexical", scope="past", finest_compression_ratio=1, tree_depth=4
)
QUESTION = "Who signed the lease?"
SPARE_BYTES = 60 * 10**6  # for a few chunks at a time, and what each reading thread keeps

ASK = """
import json, sys
from threading import Event
from sharedllm_core import SharedLLMEngine, TreeCache
from tests import tiny_engine

def status(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

model, folder, documents, question = sys.argv[1:]
engine = SharedLLMEngine.from_pretrained(model, cache=TreeCache.default(folder=folder, memory_bytes=0))
library = engine.library(tiny_engine.documents(int(documents), 300))
engine.past_context(question, engine.library(tiny_engine.documents(2, seed=1)))  # loads what is loaded once
open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
before = status("VmRSS")
past = engine.past_context(question, library)
print(json.dumps({"peak": status("VmHWM") - before, "retained": past.nbytes}))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs the process statistics of Linux")
def test_a_warm_question_needs_little_more_memory_than_the_states_that_it_retains(tmp_path):
    documents = 20
    checkpoint = tiny_engine.make_checkpoint(tmp_path, METHOD, **WIDE)
    cache = TreeCache.default(folder=tmp_path / "trees", memory_bytes=0)
    engine = tiny_engine.make_engine(checkpoint, cache=cache)
    engine.read([*tiny_engine.documents(documents, 300), *tiny_engine.documents(2, seed=1)])
    stored = cache.stats()["disk"].num_bytes
    asked = tiny_engine.subprocess.run(
        [sys.executable, "-c", ASK, str(checkpoint), str(tmp_path / "trees"), str(documents), QUESTION],
        capture_output=True,
        text=True,
        cwd=tiny_engine.ROOT,
        check=True,
    )
    measured = json.loads(asked.stdout)
    most = 1.5 * measured["retained"] + SPARE_BYTES
    assert stored > 1.5 * most, f"{stored}, {measured}: reading whole trees would need more"
    assert measured["peak"] <= most
