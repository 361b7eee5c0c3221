"""Tiny engines: random weights with an injection that matters, a byte-level tokenizer, documents of plain words."""

import json
import random
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from threading import Event

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from sharedllm_core import Document, SharedLLMConfig, SharedLLMEngine, SharedLLMForCausalLM, TreeCache
from sharedllm_core.engine.progress import Progress
from sharedllm_core.tree_cache import MemoryTier
from tests import tiny

ROOT = Path(__file__).parents[1]
VOCABULARY = """
notice period tenant lease rent paid month year contract party clause signed agreed shall within days written deposit
returned damage insured building keys storage fee warehouse manager number called north harbour ledger
"""
WORDS = VOCABULARY.split()
CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>"]
#: For tests that also hold for a model without injection; `checkpoint`, `engine` and `library` are then of both kinds.
BOTH_READINGS = pytest.mark.parametrize("checkpoint", ["injected", "quoted"], indirect=True)
METHOD = SharedLLMConfig(injection_layers=2, chunk_tokens=32, compression_ratio=4)
WINDOW = 512


def words(count, seed=0):
    """Sentences of plain words."""
    chosen = random.Random(seed).choices(WORDS, k=count)
    lines = [" ".join(chosen[first : first + 9]).capitalize() + "." for first in range(0, count, 9)]
    return " ".join(lines)


def documents(number, num_words=60, seed=0):
    return [Document(words(num_words, seed=1000 * seed + i), id=f"document-{seed}-{i}") for i in range(number)]


@cache
def tokenizer_json():
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([words(500, seed) for seed in range(4)], trainer)
    return made.to_str()


def tokenizer():
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(tokenizer_json()),
        eos_token="<|end|>",
        pad_token="<|pad|>",
        chat_template=CHAT,
    )


def byte_fallback_tokenizer():
    """A tokenizer as Llama-2 and Mistral have it: words with a mark for the space, bytes for everything else."""
    pieces = [f"<0x{byte:02X}>" for byte in range(256)] + ["▁", *"abcdefghijklmnopqrstuvwxyzG"]
    made = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, [], byte_fallback=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=made)


def make_checkpoint(folder, method=METHOD, *, seed=0, trained=True, **shape):
    """A full checkpoint with its tokenizer, as users have them."""
    torch.manual_seed(seed)
    made = tokenizer()
    sizes = {**tiny.SHAPE, "vocab_size": len(made), "max_position_embeddings": WINDOW, **shape}
    sizes |= {"bos_token_id": None, "eos_token_id": made.eos_token_id, "pad_token_id": made.pad_token_id}
    base = LlamaForCausalLM(LlamaConfig(**sizes))
    tiny.randomise(base)
    base.save_pretrained(folder / "base")
    model = SharedLLMForCausalLM.from_base(folder / "base", method)
    if trained:
        tiny.randomise(model.injection)
    model.save_pretrained(folder / "model")
    made.save_pretrained(folder / "model")
    return folder / "model"


def checkpoints_of_each_reading(folder, **shape):
    """A checkpoint with a trained injection, and its base with a tokenizer, which quotes: by how they read."""
    injected = make_checkpoint(folder, **shape)
    plain = folder / "plain"
    shutil.copytree(folder / "base", plain)
    tokenizer().save_pretrained(plain)
    return {"injected": injected, "quoted": plain}


def with_generation_config(checkpoint, folder, **settings):
    """Copy a checkpoint to a folder, with these settings in its generation_config.json."""
    shutil.copytree(checkpoint, folder)
    file = folder / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    return folder


def memory_cache(num_bytes=10**8, **options):
    return TreeCache([MemoryTier(num_bytes)], **options)


def make_engine(folder, *, cache=None, **options):
    return SharedLLMEngine.from_pretrained(folder, cache=cache or memory_cache(), **options)


def make_engine_like(engine):
    """The same model with an empty cache."""
    return engine.with_cache(memory_cache())


class SetAfter(Event):
    """An event that is set once it has been looked at so many times: a cancellation at a known place."""

    def __init__(self, looks):
        super().__init__()
        self.looks = looks

    def is_set(self):
        self.looks -= 1
        return self.looks < 0 or super().is_set()


def no_progress():
    return Progress(False)


def run_python(code, **options):
    """Run code in a process of its own, from the repository."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False, **options
    )
