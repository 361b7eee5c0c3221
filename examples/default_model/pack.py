"""Step 4 of the embedded model: into the package.

python examples/default_model/pack.py runs/look-ups/model sharedllm_core/default_model
"""

import argparse

import torch
from transformers import AutoTokenizer

from sharedllm_core import SharedLLMForCausalLM


def main() -> None:
    parser = argparse.ArgumentParser(description="Save a trained model as the package carries it.")
    parser.add_argument("model", help="folder of step 3")
    parser.add_argument("out", help="folder in the package")
    given = parser.parse_args()
    model = SharedLLMForCausalLM.from_pretrained(given.model).to(torch.bfloat16)
    model.save_pretrained(given.out, max_shard_size="14MB")
    AutoTokenizer.from_pretrained(given.model).save_pretrained(given.out)
    print(f"{model.num_parameters():,} parameters in {given.out}")


if __name__ == "__main__":
    main()
