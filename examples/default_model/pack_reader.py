"""The reader into the package: the updates alone, in bfloat16, for the weights that the name `smollm2` means.

python examples/default_model/pack_reader.py runs/reader/model sharedllm_core/default_model
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from sharedllm_core import SharedLLMForCausalLM
from sharedllm_core.engine.model_names import SMOLLM2, SMOLLM2_HUB_ID, checkpoint_location
from sharedllm_core.model.low_rank import LowRankUpdate, updates_in_tensors

QUOTE_TOKENS = 400  # what it quotes by default: with 1,024 its F1 is lower, since more passages distract it


def main() -> None:
    """Save a trained adapter as the package carries it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", type=Path, help="folder of the trained adapter")
    parser.add_argument("out", type=Path, help="folder in the package")
    given = parser.parse_args()
    base = checkpoint_location(SMOLLM2)
    method = SharedLLMForCausalLM.config_class.from_pretrained(given.adapter).method
    model = SharedLLMForCausalLM.from_base(base, replace(method, quote_tokens=QUOTE_TOKENS), dtype=torch.bfloat16)
    trained = updates_in_tensors(load_file(given.adapter / "sharedllm_adapter.safetensors"))
    updates = {
        name: LowRankUpdate(one.down.to(torch.bfloat16), one.up.to(torch.bfloat16)) for name, one in trained.items()
    }
    model.save_adapter(given.out, base, updates=updates, other_bases=[SMOLLM2_HUB_ID], base_name=SMOLLM2)
    size = sum(file.stat().st_size for file in given.out.iterdir())
    print(f"{len(updates)} updates, {size / 1e6:.1f} MB in {given.out}")


if __name__ == "__main__":
    main()
