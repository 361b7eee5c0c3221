"""Step 5 of the embedded model: into the package, in half precision, and with sharper attention in long documents.

python examples/default_model/pack.py runs/average sharedllm_core/default_model
"""

import argparse
from dataclasses import replace

import torch
from transformers import PreTrainedTokenizerFast

from sharedllm_core import SharedLLMForCausalLM

SHARPEN_ABOVE = 500  # states; in training there were some hundred to some thousand


def main() -> None:
    parser = argparse.ArgumentParser(description="Save a trained model as the package carries it.")
    parser.add_argument("model", help="folder of step 3")
    parser.add_argument("out", help="folder in the package")
    given = parser.parse_args()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(given.model)
    model = SharedLLMForCausalLM.from_pretrained(given.model).to(torch.bfloat16)
    model.set_method(replace(model.method, sharpen_above=SHARPEN_ABOVE))
    model.config.text_config._name_or_path = ""  # the folder where the first weights once lay
    model.save_pretrained(given.out, max_shard_size="14MB")
    tokenizer.save_pretrained(given.out)
    print(f"{model.num_parameters():,} parameters in {given.out}")


if __name__ == "__main__":
    main()
