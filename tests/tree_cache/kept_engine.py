"""An engine whose weights are the same on every machine, and the text of the trees in `kept/`.

The trees were written by version 0.1.0 of the library, when all modules stood in one folder.
`python -m tests.tree_cache.kept_engine FOLDER` writes such a cache.
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, PreTrainedTokenizerFast

from sharedllm_core import (
    Document,
    SharedLLMConfig,
    SharedLLMEngine,
    SharedLLMForCausalLM,
    SharedLLMModelConfig,
    TreeCache,
)

DOCUMENT = Document("The notice period of the lease is ninety days. The deposit is four thousand pounds.", id="lease")
METHOD = SharedLLMConfig(injection_layers=2, chunk_tokens=32, compression_ratio=4)
METHODS = {
    "one path a chunk": METHOD,
    "one budget": replace(METHOD, policy="lexical", scope="past", tree_depth=2, finest_compression_ratio=2),
}
NAMESPACE = "kept"


def engine(method, cache):
    base = LlamaConfig(
        vocab_size=256,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=128,
        eos_token_id=0,
        bos_token_id=0,
    )
    model = SharedLLMForCausalLM(SharedLLMModelConfig(text_config=base, method=method))
    with torch.no_grad():
        for number, weight in enumerate(model.parameters()):
            whole = (torch.arange(weight.numel()) * 7919 + number * 104729) % 2003 - 1001
            weight.copy_(whole.view(weight.shape) / 2048)  # whole numbers and a power of two: exact everywhere
    return SharedLLMEngine(model, _bytes_tokenizer(), cache=cache)


def cache_in(folder):
    return TreeCache.default(folder=folder, namespace=NAMESPACE, memory_bytes=0)


def _bytes_tokenizer():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made)


if __name__ == "__main__":
    for kind in METHODS.values():
        engine(kind, cache_in(Path(sys.argv[1]))).read(DOCUMENT)
