"""Step 3 of the embedded model: look-ups, first in a few sentences, then in documents.

    python examples/default_model/look_ups.py examples/default_model/look-ups-cpu.yaml

Two sorts of batches take turns, each read with numbers of the method of its own. Rows of `sentences` (`facts.py`) are
read without compression: they are where finding and copying are learned. Rows of `documents` are generated look-up
tasks of all forms, read as the model reads in the end, but with more states: a conversation asks for several places.

From some step on, rows also see the states of rows of earlier batches, many distractors that cost little.

A run that was stopped goes on from its last checkpoint: weights, optimizers and random numbers. The states of earlier
batches are not in it, so that a run with them ends a little differently when it was stopped.
"""

import argparse
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import torch
import yaml
from any_facts import blanks, framed_facts
from facts import AskedFact, common_words, made_up_facts, stated_facts
from newton_schulz import use_float32
from transformers import PreTrainedTokenizerFast

from sharedllm_core import SharedLLMConfig
from sharedllm_core.cpu_dtype import multiplies
from sharedllm_core.past_context import PastContext
from sharedllm_core.tokenization import TextTokenizer
from sharedllm_core.training.batch import Batch, PastBatch, collate
from sharedllm_core.training.items import Item, Turn, conversation_item
from sharedllm_core.training.tasks import TaskSettings, generate_tasks, read_texts
from sharedllm_core.training.trainable import TrainableSharedLLMForCausalLM


@dataclass(frozen=True)
class Sentences:
    """Rows of a few sentences.

    Attributes:
        rows: of a batch.
        facts: in each.
        made_up, framed, blank: shares of rows with facts of these sorts; the others have the generator's kinds.
        unsaid: how often one more question of rows with these is asked in vain.
        alone: share of batches in which each question is asked alone, and not one after another in a conversation.
    """

    rows: int = 16
    facts: int = 6
    made_up: float = 0.35
    framed: float = 0.0
    blank: float = 0.0
    unsaid: float = 0.33
    alone: float = 0.0


@dataclass(frozen=True)
class Documents:
    """Rows of generated tasks.

    Attributes:
        rows: of a batch.
        share: of batches that are documents, from step `from_step` on.
        lengths: tokens of a set of documents; batches take them in turn.
        questions: of a conversation.
        forms, distractors: see `TaskSettings`.
        compression_ratio: β while training.
        earlier_rows: of how many rows of earlier batches, at most, a row also sees the states, from which step on.
    """

    rows: int = 8
    share: float = 0.4
    from_step: int = 450
    lengths: tuple[int, ...] = (600, 800, 500)
    questions: int = 5
    forms: tuple[str, ...] = ("single",)
    distractors: int = 1
    compression_ratio: float = 1
    earlier_rows: tuple[tuple[int, int], ...] = ((0, 0),)


@dataclass(frozen=True)
class Settings:
    """Of a run."""

    start: str
    output: str
    texts: tuple[str, ...]
    sentences: Sentences
    documents: Documents
    steps: int = 4000
    seed: int = 0
    threads: int = 2
    device: str = "cpu"
    learning_rate: float = 2e-3  # AdamW: embeddings and norms
    matrix_learning_rate: float = 4e-3  # Muon: everything else
    muon: bool = True  # AdamW for everything if false
    warmup_steps: int = 50
    decay_from_step: int | None = None  # down to a fiftieth at the end; none for a constant rate
    chunk_positions: int = 256
    log_every: int = 25
    save_every: int = 100

    @classmethod
    def read(cls, path: str) -> "Settings":
        """The settings of a YAML file."""
        given: dict[str, Any] = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        sentences = Sentences(**given.pop("sentences", {}))
        in_documents: dict[str, Any] = given.pop("documents")
        lists = {name: tuple(value) for name, value in in_documents.items() if isinstance(value, list)}
        documents = Documents(**in_documents | lists)
        return cls(**given | {"texts": tuple(given["texts"]), "sentences": sentences, "documents": documents})

    def rate(self, step: int) -> float:
        """What the learning rates are multiplied by."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.decay_from_step is None or step < self.decay_from_step:
            return 1.0
        return max(0.02, (self.steps - step) / (self.steps - self.decay_from_step))


class Rows:
    """Batches of both sorts; batch n is the same whenever it is asked for."""

    def __init__(self, settings: Settings, tokenizer: TextTokenizer, method: SharedLLMConfig) -> None:
        self._settings = settings
        self._tokenizer = tokenizer
        self._texts = list(read_texts(settings.texts))
        self._plain = [text["text"] for text in self._texts]
        self._words = common_words(self._plain)
        self.of_sentences = replace(method.with_policy("right"), chunk_tokens=64, tree_depth=0, compression_ratio=1)
        # Every leaf is opened: a conversation has one query for all its questions, and with a least score only some of
        # the asked facts would be read in full, and the others be guessed.
        self.of_documents = replace(
            method, compression_ratio=settings.documents.compression_ratio, min_score_share=0, min_injected_states=4096
        )

    def batch(self, step: int) -> tuple[SharedLLMConfig, Batch]:
        """The batch of a step, and the numbers of the method to read it with."""
        rng = Random(f"{self._settings.seed} {step}")  # noqa: S311
        documents = self._settings.documents
        if step >= documents.from_step and rng.random() < documents.share:
            return self.of_documents, collate(list(self._conversations(step)))
        sentences = self._settings.sentences
        alone = sentences.alone > 0 and rng.random() < sentences.alone
        rows = [item for _ in range(sentences.rows) for item in self._sentences(rng, alone=alone)]
        return self.of_sentences, collate(rows)

    def _sentences(self, rng: Random, *, alone: bool) -> Iterator[Item]:
        """A conversation about some facts; or a row for each question, the first of which brings the sentences."""
        facts = self._facts(rng)
        text = rng.choice(("\n", " ", "\n\n")).join(fact.text for fact in facts if fact.text)
        rng.shuffle(facts)
        turns = [Turn(fact.question, fact.answer) for fact in facts]
        conversations = [[turn] for turn in turns] if alone else [turns]
        for number, conversation in enumerate(conversations):
            item = conversation_item([text], conversation, self._tokenizer, self.of_sentences)
            yield item if number == 0 else replace(item, chunks=[])

    def _facts(self, rng: Random) -> list[AskedFact]:
        sentences = self._settings.sentences
        sort = rng.random()
        if sort < sentences.made_up:
            return made_up_facts(sentences.facts, self._words, rng)
        if sort < sentences.made_up + sentences.framed:
            return framed_facts(sentences.facts, self._words, rng)
        if sort < sentences.made_up + sentences.framed + sentences.blank:
            return blanks(sentences.facts, self._plain, rng)
        return stated_facts(sentences.facts, self._words, rng, unsaid=sentences.unsaid)

    def _conversations(self, step: int) -> Iterator[Item]:
        documents = self._settings.documents
        settings = TaskSettings(
            length=documents.lengths[step % len(documents.lengths)],
            count_tokens=self._tokenizer.count,
            questions_per_set=documents.questions,
            forms=documents.forms,
            distractors=documents.distractors,
            passage_characters=(300, 900),
        )
        first = step * documents.rows * documents.questions
        tasks = generate_tasks(
            self._texts, settings, self._settings.seed, start=first, count=documents.rows * documents.questions
        )
        for _ in range(documents.rows):
            asked = [next(tasks) for _ in range(documents.questions)]
            texts = [document["text"] for document in asked[0].documents]
            turns = [Turn(task.question, task.answer) for task in asked]
            yield conversation_item(texts, turns, self._tokenizer, self.of_documents)


def optimizers(model: TrainableSharedLLMForCausalLM, settings: Settings) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of layers and injections, AdamW for the rest, or for everything."""
    if not settings.muon:
        everything = list(model.parameters())
        return [torch.optim.AdamW(everything, lr=settings.learning_rate, weight_decay=0.0, betas=(0.9, 0.98))]
    matrices = [w for name, w in model.named_parameters() if w.ndim == 2 and "embed" not in name and "head" not in name]
    taken = {id(weight) for weight in matrices}
    rest = [weight for weight in model.parameters() if id(weight) not in taken]
    return [
        torch.optim.AdamW(rest, lr=settings.learning_rate, weight_decay=0.0, betas=(0.9, 0.98)),
        torch.optim.Muon(matrices, lr=settings.matrix_learning_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
    ]


class AskedModel(TrainableSharedLLMForCausalLM):
    """Rows that bring no documents see what the row before them sees."""

    def _pasts(self, batch: PastBatch) -> list[PastContext | None]:
        bring = set(batch.rows)
        seen: list[PastContext | None] = []
        for row, past in enumerate(super()._pasts(batch)):
            # Not "where past is None": with earlier rows beside it, a row without documents has some of those.
            seen.append(past if row in bring or not seen else seen[-1])
        return seen


class Run:
    """A training run: model, optimizers and the step it is at; it goes on from its last checkpoint, if there is one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._output = Path(settings.output)
        self._checkpoint = self._output / "checkpoint"
        before = self._checkpoint if (self._checkpoint / "state.pt").is_file() else None
        self.model = AskedModel.from_pretrained(before or settings.start).to(settings.device).train()
        self.model.set_attn_implementation("eager")  # many small shapes: faster than kernels that are made for each
        self.model.random_chunk_positions = settings.chunk_positions
        self.method = self.model.method  # what it answers with; batches are read with others
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(settings.start)
        self.optimizers = optimizers(self.model, settings)
        self._in_half_precision = settings.device != "cpu" or multiplies(torch.bfloat16)
        if settings.muon and not self._in_half_precision:
            use_float32()
        self.step = 0
        if before is not None:
            state = torch.load(before / "state.pt", weights_only=True)
            self.step = state["step"]
            torch.set_rng_state(state["random"])
            for one, its_state in zip(self.optimizers, state["optimizers"], strict=True):
                one.load_state_dict(its_state)

    def train_on(self, method: SharedLLMConfig, batch: Batch, earlier_rows: int) -> float:
        """One step; its loss."""
        settings = self._settings
        self.model.set_method(method)
        self.model.earlier_rows = earlier_rows
        rates = (settings.learning_rate, settings.matrix_learning_rate)
        for one, rate in zip(self.optimizers, rates, strict=False):
            one.param_groups[0]["lr"] = rate * settings.rate(self.step)
        with torch.autocast(settings.device, torch.bfloat16, enabled=self._in_half_precision):
            loss = self.model(**{name: tensor.to(settings.device) for name, tensor in batch.items()}).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for one in self.optimizers:
            one.step()
            one.zero_grad()
        self.step += 1
        return float(loss.detach())

    def save(self, folder: Path) -> None:
        """The model as it answers, with its tokenizer."""
        self.model.set_method(self.method)
        self.model.save_pretrained(folder, max_shard_size="14MB")
        self.tokenizer.save_pretrained(folder)

    def save_checkpoint(self) -> None:
        """In a folder of its own, which takes the place of the last one when it is whole."""
        unfinished = self._output / "checkpoint.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        self.save(unfinished)
        states = [one.state_dict() for one in self.optimizers]
        torch.save({"step": self.step, "random": torch.get_rng_state(), "optimizers": states}, unfinished / "state.pt")
        shutil.rmtree(self._checkpoint, ignore_errors=True)
        unfinished.rename(self._checkpoint)


def run(settings: Settings) -> Path:
    """Train; the folder of the model is returned."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    output = Path(settings.output)
    if (output / "model" / "config.json").is_file():
        print(f"{output / 'model'} is there; remove {output} to train again")
        return output / "model"
    output.mkdir(parents=True, exist_ok=True)
    (output / "settings.json").write_text(json.dumps(asdict(settings), indent=2) + "\n", encoding="utf-8")
    this = Run(settings)
    rows = Rows(settings, TextTokenizer(this.tokenizer), this.method)
    began, losses = time.monotonic(), dict[str, list[float]]()
    while this.step < settings.steps:
        method, batch = rows.batch(this.step)
        is_documents = method is rows.of_documents
        earlier = max(n for at, n in settings.documents.earlier_rows if at <= this.step)
        loss = this.train_on(method, batch, earlier)
        losses.setdefault("documents" if is_documents else "sentences", []).append(loss)
        if this.step % settings.log_every == 0:
            noted: dict[str, float] = {"step": this.step, "seconds": round(time.monotonic() - began)}
            noted |= {f"loss_{name}": round(sum(every) / len(every), 4) for name, every in losses.items()}
            with (output / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(noted) + "\n")
            losses = {}
        if this.step % settings.save_every == 0 and this.step < settings.steps:
            this.save_checkpoint()
    this.save(output / "model")
    return output / "model"


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the embedded model to look up.")
    parser.add_argument("config", help="YAML file; see look-ups-cpu.yaml")
    print(run(Settings.read(parser.parse_args().config)))


if __name__ == "__main__":
    main()
