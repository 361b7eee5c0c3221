"""Add self-injection to a model, read 100,000 tokens of past context with it, and generate.

    python examples/first_steps.py [--base FOLDER] [--tokens 100000]

Without `--base`, a tiny model with random weights is made on the spot: what it writes means nothing, but everything it
does is real. Its injection is made to matter by random weights, too; a real one is trained.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from sharedllm_core import SharedLLMConfig, SharedLLMForCausalLM


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, help="a Llama, Mistral, Qwen2 or Qwen3 checkpoint")
    parser.add_argument("--tokens", type=int, default=100_000, help="tokens of past context")
    options = parser.parse_args()
    logging.disable_progress_bar()
    torch.manual_seed(0)

    with tempfile.TemporaryDirectory() as folder:
        base = options.base or tiny_base(Path(folder) / "base")

        print(f"1. Add self-injection to {'a tiny random model, made on the spot' if not options.base else base}")
        config = SharedLLMConfig(injection_layers=2, chunk_tokens=512)
        model = SharedLLMForCausalLM.from_base(base, config).eval()
        added = sum(weight.numel() for weight in model.injection.parameters())
        print(f"   {model.num_parameters() - added:,} parameters of the base, {added:,} of the injection\n")

        vocabulary = model.config.vocab_size
        past_ids = torch.randint(3, vocabulary, (options.tokens,))
        question = torch.randint(3, vocabulary, (12,))
        chunks = past_ids.split(config.chunk_tokens)

        print(f"2. Read {options.tokens:,} tokens of past context")
        begin = time.perf_counter()
        past = model.encode_past_context(chunks, question)
        seconds = time.perf_counter() - begin
        print(f"   {len(chunks)} chunks, {past.num_nodes} retained nodes, {past.num_states:,} states per layer")
        print(f"   {past.nbytes / 1e6:.1f} MB, {options.tokens / seconds:,.0f} tokens/s\n")

        print("3. Until it is trained, the injection changes nothing")
        with torch.no_grad():
            same = torch.equal(model(question[None], past_context=past).logits, model(question[None]).logits)
        print(f"   logits with and without the past context are equal: {same}\n")

        print("4. With (here: random) trained weights, the answer depends on what was read")
        with torch.no_grad():
            for injection in model.injection:
                injection.o_proj.weight.normal_(0.0, 0.1)
        asked = {"max_new_tokens": 8, "attention_mask": torch.ones(1, len(question)), "eos_token_id": None}
        print(f"   without  {model.generate(question[None], **asked)[0, len(question) :].tolist()}")
        print(
            f"   with     {model.generate(question[None], past_context=past, **asked)[0, len(question) :].tolist()}\n"
        )

        print("5. Save the injection alone, and load it on top of its base")
        model.save_adapter(Path(folder) / "adapter")
        again = SharedLLMForCausalLM.from_pretrained(Path(folder) / "adapter").eval()
        with torch.no_grad():
            same = torch.equal(
                again(question[None], past_context=past).logits, model(question[None], past_context=past).logits
            )
        size = sum(file.stat().st_size for file in (Path(folder) / "adapter").glob("*.safetensors"))
        print(f"   {size / 1e3:.0f} KB; logits are equal after loading: {same}")


def tiny_base(folder: Path) -> Path:
    """A Llama of about a million random parameters."""
    config = LlamaConfig(
        vocab_size=1024,
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
