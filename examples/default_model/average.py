"""Weights between those of two runs: the second went on from the first, and both know what the other has less of.

    python examples/default_model/average.py runs/look-ups-2/model runs/look-ups-5/model runs/average --second 0.75

Every weight is (1 - s) of the first and s of the second. The method, and the tokenizer, are those of the second.
"""

import argparse
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from sharedllm_core import SharedLLMForCausalLM


def averaged(first: str, second: str, share: float) -> SharedLLMForCausalLM:
    """The model in float32.

    Args:
        first, second: folders.
        share: of the second.
    """
    if not 0 <= share <= 1:
        raise SystemExit(f"--second {share}; use a share from 0 to 1")
    one, other = (SharedLLMForCausalLM.from_pretrained(folder, dtype=torch.float32) for folder in (first, second))
    weights = dict(one.named_parameters())  # tied weights come once
    with torch.no_grad():
        for name, weight in other.named_parameters():
            weight.lerp_(weights[name], 1 - share)
    return other


def main() -> None:
    parser = argparse.ArgumentParser(description="Average the weights of two runs.")
    parser.add_argument("first", help="folder of a model")
    parser.add_argument("second", help="folder of a model that went on from it")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--second", dest="share", type=float, default=0.75, metavar="SHARE", help="of the second model")
    given = parser.parse_args()
    averaged(given.first, given.second, given.share).save_pretrained(given.out, max_shard_size="14MB")
    PreTrainedTokenizerFast.from_pretrained(given.second).save_pretrained(given.out)
    print(f"{given.share:.0%} of {given.second} and {1 - given.share:.0%} of {given.first} in {given.out}")


if __name__ == "__main__":
    main()
