"""A model of the size of a small real one with random weights, and real documents for it: for demonstrations and speed.

What it answers means nothing; what it costs is what a trained model of its shape costs.
"""

import sysconfig
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from .. import Document, SharedLLMConfig, SharedLLMForCausalLM

__all__ = ["make_demo_model", "standard_library"]

_VOCABULARY = 8192
_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>"]


def make_demo_model(folder: Path, *, layers: int = 8, hidden: int = 384, chunk_tokens: int = 1024) -> Path:
    """Save a model of some 20 million random parameters with a tokenizer of its own; returns where."""
    tokenizer = _tokenizer()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=hidden * 11 // 4,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=max(1, hidden // 128),
        max_position_embeddings=4096,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder / "base")
    method = SharedLLMConfig(injection_layers=max(1, layers // 2), chunk_tokens=chunk_tokens)
    model = SharedLLMForCausalLM.from_base(folder / "base", method)
    for name, weight in model.injection.named_parameters():
        if "o_proj" in name:  # zero until trained; random ones make the injection matter, as trained ones do
            torch.nn.init.normal_(weight, std=0.05)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder / "model"


def standard_library(num_bytes: int) -> list[Document]:
    """The source of modules of Python's standard library, about so many bytes: a text that every machine has."""
    documents, taken = [], 0
    for path in _modules():
        text = path.read_text(encoding="utf-8", errors="replace")[: num_bytes - taken]
        documents.append(Document(text, id=path.name))
        taken += len(text)
        if taken >= num_bytes:
            break
    return documents


def _modules() -> Iterator[Path]:
    folder = Path(sysconfig.get_path("stdlib"))
    return iter(sorted(path for path in folder.glob("*.py") if path.stat().st_size > 1000))


def _tokenizer() -> PreTrainedTokenizerFast:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator((document.text for document in standard_library(1_000_000)), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token=_SPECIAL[1],
        pad_token=_SPECIAL[0],
        chat_template=_TEMPLATE,
    )
