"""Step 1 of the embedded model: its tokenizer, a byte-level BPE of 8,192 tokens with a chat template.

python examples/default_model/tokenizer.py texts/novels_train.jsonl texts/tech_docs.jsonl --out runs/tokenizer

Two choices serve a small model that must copy what it reads. Digits come in groups of up to three, each a token, so
that the tokens of a number are few and seldom the same ones twice. And a text and each of its lines are encoded as if a
space came before them, which decoding takes off again: a word then has the same tokens at the beginning of a line, in
the middle of a sentence and at the beginning of an answer.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from sharedllm_core.training.tasks import TaskSettings, generate_tasks, read_texts

ROLES = ("system", "user", "assistant", "tool")
SPECIAL = (
    "<|pad|>",
    "<|end|>",
    *(f"<|{role}|>" for role in ROLES),
    "<|tools|>",
    "<|tools_end|>",
    "<|tool_call|>",
    "<|tool_call_end|>",
)
# Contractions, words, numbers and punctuation with the space before them, ends of lines, other white space.
WORDS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}{1,3}|\s*[\r\n]+|\s+(?!\S)| ?[^\s\p{L}\p{N}]+|\s+"
NUMBERS_EACH = 2_000
CHAT = Path(__file__).with_name("chat_template.jinja")


def training_texts(paths: Iterable[str], tasks: int) -> Iterator[str]:
    """All texts, and questions, answers and facts of look-up tasks as training shows them."""
    for text in read_texts(paths):
        yield text["text"]
    settings = TaskSettings(length=1_500, questions_per_set=3, distractors=2)
    for task in generate_tasks(None, settings, seed=0, count=tasks):
        documents = {document["id"]: document["text"] for document in task.documents}
        yield from (documents[fact["document"]][fact["start"] : fact["end"]] for fact in task.evidence)
        yield task.question
        yield task.answer


def numbers() -> Iterator[str]:
    """Every group of digits, with a space before it and without, often enough to become a token."""
    groups = [f"{number:0{width}d}" for width in (1, 2, 3) for number in range(10**width)]
    for _ in range(NUMBERS_EACH):
        yield "-".join(groups) + " " + " ".join(groups)


def count(texts: Iterable[str], tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """How often each token occurs."""
    found: Counter[int] = Counter()
    texts = iter(texts)
    while some := list(islice(texts, 256)):
        for encoding in tokenizer.backend_tokenizer.encode_batch_fast(some, add_special_tokens=False):
            found.update(encoding.ids)
    return [found[number] for number in range(len(tokenizer))]


def train(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A tokenizer of so many tokens, special ones among them; the same for the same texts."""
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.Sequence([normalizers.Replace("\n", "\n "), normalizers.Prepend(" ")])
    words = pre_tokenizers.Split(Regex(WORDS), "isolated")
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([words, bytes_])
    made.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace("\n ", "\n"), decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token="<|end|>",  # noqa: S106 (no password)
        pad_token="<|pad|>",  # noqa: S106
        chat_template=CHAT.read_text(encoding="utf-8").strip(),
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the tokenizer of the embedded model.")
    parser.add_argument("texts", nargs="+", help="files of JSON lines with `text`, .jsonl or .jsonl.xz")
    parser.add_argument("--out", required=True, help="folder for the tokenizer")
    parser.add_argument("--vocabulary", type=int, default=8192, help="tokens in all")
    parser.add_argument("--tasks", type=int, default=40_000, help="generated look-up tasks to train on as well")
    given = parser.parse_args()
    noted = Path(given.out) / "training.json"
    if noted.is_file():
        print(f"{given.out} holds a tokenizer; remove it to train another")
        return
    tokenizer = train(chain(training_texts(given.texts, given.tasks), numbers()), given.vocabulary)
    tokenizer.save_pretrained(given.out)
    counts = count(training_texts(given.texts, given.tasks), tokenizer)
    Path(given.out, "counts.json").write_text(json.dumps(counts) + "\n", encoding="utf-8")
    noted.write_text(json.dumps(vars(given), indent=2) + "\n", encoding="utf-8")
    print(f"{len(tokenizer):,} tokens in {given.out}")


if __name__ == "__main__":
    main()
