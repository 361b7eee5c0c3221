"""Engines whose model writes what a test wants, as far as a grammar lets it."""

from contextlib import contextmanager

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from sharedllm_core import SharedLLMEngine
from sharedllm_core.generation.thoughts import ThoughtNotation
from tests import tiny, tiny_engine
from tests.chat_templates import FAMILIES


def engine_of_family(name):
    """An engine with random weights and the chat template and control tokens of a family of `FAMILIES`."""
    tokenizer = FAMILIES[name].tokenizer()
    sizes = {**tiny.SHAPE, "vocab_size": len(tokenizer), "max_position_embeddings": 4096}
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**{**sizes, "eos_token_id": tokenizer.eos_token_id}))
    tiny.randomise(model)
    return SharedLLMEngine(model.eval(), tokenizer, cache=tiny_engine.memory_cache())


@contextmanager
def writing(engine, *parts):
    """Let the model write texts, of which those in a tuple are without control tokens, as far as it may.

    One that always thinks begins with empty thoughts.
    """
    thoughts = ThoughtNotation.for_tokenizer(engine.tokenizer)
    with writing_answers(engine, (thoughts.begin + thoughts.end if thoughts.by_default else "", *parts)):
        yield


@contextmanager
def writing_answers(engine, *answers):
    """Let the model write several answers one after the other, each of parts as for `writing`."""
    end_id = engine.tokenizer.tokenizer.eos_token_id
    ids = []
    for parts in answers:
        for part in parts:
            ids += (
                engine.tokenizer.encode(part[0]).ids.tolist()
                if isinstance(part, tuple)
                else engine.tokenizer.tokenizer(part, add_special_tokens=False)["input_ids"]
            )
        ids.append(end_id)
    steps = iter(ids)

    def write(_module, _arguments, logits):
        logits = torch.zeros_like(logits)
        logits[..., next(steps, end_id)] = 1000.0
        return logits

    hook = engine.model.lm_head.register_forward_hook(write)
    try:
        yield
    finally:
        hook.remove()
