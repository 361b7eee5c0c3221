"""The reader into the package: the updates alone, in bfloat16, for the weights that the name `smollm2` means.

python examples/default_model/pack_reader.py runs/reader/model sharedllm_core/default_model

Of several adapters, which were trained one from another, the mean is taken.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from sharedllm_core import SharedLLMForCausalLM
from sharedllm_core.engine.model_names import SMOLLM2, SMOLLM2_HUB_ID, checkpoint_location
from sharedllm_core.model.low_rank import LowRankUpdate, updates_in_tensors

QUOTE_TOKENS = 400  # what it quotes by default: with 1,024 its F1 is lower, since more passages distract it


def main() -> None:
    """Save a trained adapter as the package carries it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapters", type=Path, nargs="+", help="folders of trained adapters")
    parser.add_argument("out", type=Path, help="folder in the package")
    given = parser.parse_args()
    base = checkpoint_location(SMOLLM2)
    method = SharedLLMForCausalLM.config_class.from_pretrained(given.adapters[0]).method
    model = SharedLLMForCausalLM.from_base(base, replace(method, quote_tokens=QUOTE_TOKENS), dtype=torch.bfloat16)
    trained = updates_in_tensors(_mean([load_file(one / "sharedllm_adapter.safetensors") for one in given.adapters]))
    updates = {
        name: LowRankUpdate(one.down.to(torch.bfloat16), one.up.to(torch.bfloat16)) for name, one in trained.items()
    }
    model.save_adapter(given.out, base, updates=updates, other_bases=[SMOLLM2_HUB_ID], base_name=SMOLLM2)
    size = sum(file.stat().st_size for file in given.out.iterdir())
    print(f"{len(updates)} updates, {size / 1e6:.1f} MB in {given.out}")


def _mean(adapters: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor; the parts of an update stay near each other when it is trained further."""
    first = adapters[0]
    return {
        name: torch.stack([one[name].float() for one in adapters]).mean(dim=0).to(first[name].dtype) for name in first
    }


if __name__ == "__main__":
    main()
