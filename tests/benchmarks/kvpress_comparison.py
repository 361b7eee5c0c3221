"""KV-cache compression by kvpress on a base model, beside SharedLLM on the same one. Run by hand, not in CI.

kvpress needs an older transformers, so it has an environment of its own, without this library:

    python3.11 -m venv .kvpress
    .kvpress/bin/pip install kvpress "transformers<5.3"
    .kvpress/bin/python tests/benchmarks/kvpress_comparison.py path/to/base tasks.jsonl > kvpress.json

Each line of the tasks is an object with `documents` (a list of texts, or of objects with `text`), `question` and
`answer`, as `sharedllm make-tasks` writes them. The layout is that of the baselines: a user message of documents, a
blank line and the question. A press reads all documents with full
attention, cuts the cache to a share of it, and then sees the question; positions go on beyond the window unless
`--rope` scales them. Right is an answer that holds the expected one. Running out of memory is a result.
"""

import argparse
import json
import re
import sys
import time
from pathlib import Path

import kvpress
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, pipeline

PRESSES = {
    "knorm": kvpress.KnormPress,
    "snapkv": kvpress.SnapKVPress,
    "expected attention": kvpress.ExpectedAttentionPress,
    "tova": kvpress.TOVAPress,
    "keydiff": kvpress.KeyDiffPress,
    "streaming": kvpress.StreamingLLMPress,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("base", help="folder of the base model and its tokenizer")
    parser.add_argument("tasks", type=Path, help="JSON lines")
    parser.add_argument("--presses", nargs="*", default=list(PRESSES), choices=list(PRESSES))
    parser.add_argument("--kept", nargs="*", type=float, default=[0.125], help="shares of the cache that are kept")
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--rope", type=json.loads, default={}, help="rope_parameters to change, as JSON")
    options = parser.parse_args()

    config = AutoConfig.from_pretrained(options.base)
    config.rope_parameters = {**config.rope_parameters, **options.rope}
    model = AutoModelForCausalLM.from_pretrained(options.base, config=config, dtype=options.dtype).to(options.device)
    tokenizer = AutoTokenizer.from_pretrained(options.base)
    ask = pipeline("kv-press-text-generation", model=model, tokenizer=tokenizer, device=options.device)
    tasks = [json.loads(line) for line in options.tasks.read_text(encoding="utf-8").splitlines() if line.strip()]

    rows = [{"press": "none", "kept": 1.0, **measured(ask, None, tasks, options.new_tokens)}]
    for name in options.presses:
        for kept in options.kept:
            press = PRESSES[name](compression_ratio=1 - kept)
            rows.append({"press": name, "kept": kept, **measured(ask, press, tasks, options.new_tokens)})
            print(f"{name} {kept}: {rows[-1].get('accuracy', rows[-1].get('error'))}", file=sys.stderr)
    versions = {module.__name__: module.__version__ for module in (torch, transformers)}
    print(json.dumps({"base": options.base, "rope": options.rope, "versions": versions, "rows": rows}, indent=2))


def holds(answer, expected):
    """As `contains` of `sharedllm eval`: the expected string, not within a longer word or number."""
    return re.search(rf"(?!\B\w){re.escape(expected)}(?<!\w\B)", answer, re.IGNORECASE) is not None


def measured(ask, press, tasks, new_tokens):
    begin = time.perf_counter()
    answers = []
    try:
        for task in tasks:
            text = "".join(f"{d['text'] if isinstance(d, dict) else d}\n\n" for d in task["documents"])
            # By default kvpress cuts what is longer than the tokenizer's model_max_length.
            whole = {"max_new_tokens": new_tokens, "max_context_length": sys.maxsize}
            answers.append(ask(text, question=task["question"], press=press, **whole)["answer"])
    except torch.OutOfMemoryError:
        return {"error": "out of memory"}
    right = [holds(answer, task["answer"]) for task, answer in zip(tasks, answers, strict=True)]
    return {
        "accuracy": sum(right) / len(tasks),
        "tasks": len(tasks),
        "seconds": time.perf_counter() - begin,
        "answers": answers,
    }


if __name__ == "__main__":
    main()
