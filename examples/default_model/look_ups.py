"""Step 3 of the embedded model: look-ups, first in a few sentences, then in documents.

    python examples/default_model/look_ups.py examples/default_model/look-ups-gpu.yaml

What is read is said in `rows.py`, and made by other processes than the one that trains. A run lasts so many steps, or
so many minutes where the settings say that, and its rates fall towards its end. A run that was stopped goes on from its
last checkpoint: weights, optimizers and time.
"""

import argparse
import json
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from muon import Muon
from read_loss import read_loss
from reading import ReadBatch
from row_settings import Documents, Plain, Sentences
from rows import Rows
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerFast

from sharedllm_core import SharedLLMForCausalLM
from sharedllm_core.engine.cpu_dtype import has_native_matmul
from sharedllm_core.text.tokenization import TextTokenizer


@dataclass(frozen=True)
class Settings:
    """Of a run."""

    start: str
    output: str
    texts: tuple[str, ...]
    sentences: Sentences = field(default_factory=Sentences)
    opened: Documents = field(default_factory=Documents)
    selected: Documents = field(default_factory=lambda: Documents(share=0))
    plain: Plain = field(default_factory=Plain)
    steps: int = 4000
    minutes: float | None = None  # the run ends by then, if it has not made its steps before
    seed: int = 0
    threads: int = 2
    workers: int = 0  # processes that make batches; 0 for this one
    device: str = "cpu"
    learning_rate: float = 2e-3  # AdamW: embeddings and norms
    matrix_learning_rate: float = 4e-3  # Muon: everything else
    muon: bool = True  # AdamW for everything if false
    warmup_steps: int = 50
    decay_from: float = 0.5  # share of the run; from there on down to a fiftieth at its end
    policy: str | None = None  # which nodes questions retain, if it is to be another than the start's
    chunk_positions: int = 256
    log_every: int = 25
    save_every: int = 100

    @classmethod
    def read(cls, path: str) -> "Settings":
        """The settings of a YAML file."""
        given: dict[str, Any] = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        given["sentences"] = Sentences(**given.pop("sentences", {}))
        of_sorts: dict[str, type[Documents | Plain]] = {"opened": Documents, "selected": Documents, "plain": Plain}
        for sort, settings in of_sorts.items():
            numbers: dict[str, Any] = given.pop(sort, {"share": 0})
            lists = {name: tuple(value) for name, value in numbers.items() if isinstance(value, list)}
            given[sort] = settings(**numbers | lists)
        return cls(**given | {"texts": tuple(given["texts"])})

    def rate(self, step: int, seconds: float = 0.0) -> float:
        """What the learning rates are multiplied by, after so many steps and seconds."""
        done = max(step / self.steps, seconds / 60 / self.minutes if self.minutes else 0.0)
        falling = max(0.02, min(1.0, (1 - done) / (1 - self.decay_from)))
        return min(falling, (step + 1) / self.warmup_steps)

    def is_over(self, step: int, seconds: float) -> bool:
        """Whether the run has made its steps, or has taken its minutes."""
        return step >= self.steps or (self.minutes is not None and seconds >= 60 * self.minutes)


def optimizers(model: SharedLLMForCausalLM, settings: Settings) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of layers and injections, AdamW for the rest, or for everything."""
    if not settings.muon:
        everything = list(model.parameters())
        return [torch.optim.AdamW(everything, lr=settings.learning_rate, weight_decay=0.0, betas=(0.9, 0.98))]
    matrices = [w for name, w in model.named_parameters() if w.ndim == 2 and "embed" not in name and "head" not in name]
    taken = {id(weight) for weight in matrices}
    rest = [weight for weight in model.parameters() if id(weight) not in taken]
    return [
        torch.optim.AdamW(rest, lr=settings.learning_rate, weight_decay=0.0, betas=(0.9, 0.98)),
        Muon(matrices, settings.matrix_learning_rate, dtype=torch.bfloat16 if _in_half(settings) else torch.float32),
    ]


def _in_half(settings: Settings) -> bool:
    return settings.device != "cpu" or has_native_matmul(torch.bfloat16)


class Run:
    """A training run: model, optimizers and where it is; it goes on from its last checkpoint, if there is one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._output = Path(settings.output)
        self._checkpoint = self._output / "checkpoint"
        before = self._checkpoint if (self._checkpoint / "state.pt").is_file() else None
        self.model = SharedLLMForCausalLM.from_pretrained(before or settings.start, dtype=torch.float32)
        if settings.policy:
            self.model.set_method(self.model.method.with_policy(settings.policy))
        self.model.to(settings.device).train()
        torch.backends.cuda.enable_cudnn_sdp(False)  # plans anew for every shape, and no two batches have the same
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(settings.start)
        self.optimizers = optimizers(self.model, settings)
        self._in_half_precision = _in_half(settings)
        self.step, self._seconds = 0, 0.0
        if before is not None:
            state = torch.load(before / "state.pt", weights_only=True)
            self.step, self._seconds = state["step"], state["seconds"]
            for one, its_state in zip(self.optimizers, state["optimizers"], strict=True):
                one.load_state_dict(its_state)
        self._began = time.monotonic() - self._seconds

    @property
    def seconds(self) -> float:
        """What the run has taken, also before it was stopped."""
        return time.monotonic() - self._began

    def train_on(self, batch: ReadBatch, weight: float = 1.0) -> Tensor:
        """One step; its loss, whose gradient has such a weight."""
        settings = self._settings
        rates = (settings.learning_rate, settings.matrix_learning_rate)
        for one, rate in zip(self.optimizers, rates, strict=False):
            one.param_groups[0]["lr"] = rate * settings.rate(self.step, self.seconds if settings.minutes else 0)
        with torch.autocast(settings.device, torch.bfloat16, enabled=self._in_half_precision):
            loss = read_loss(self.model, batch.to(settings.device))
        (loss * weight).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for one in self.optimizers:
            one.step()
            one.zero_grad()
        self.step += 1
        return loss.detach()

    def save(self, folder: Path) -> None:
        """The model with its tokenizer."""
        self.model.save_pretrained(folder, max_shard_size="14MB")
        self.tokenizer.save_pretrained(folder)

    def save_checkpoint(self) -> None:
        """In a folder of its own, which takes the place of the last one when it is whole."""
        unfinished = self._output / "checkpoint.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        self.save(unfinished)
        states = [one.state_dict() for one in self.optimizers]
        state = {"step": self.step, "seconds": self.seconds, "optimizers": states}
        torch.save(state, unfinished / "state.pt")
        shutil.rmtree(self._checkpoint, ignore_errors=True)
        unfinished.rename(self._checkpoint)


def _as_it_is(batch: Any) -> Any:
    return batch


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
    rows = Rows(
        settings.texts,
        settings.sentences,
        settings.opened,
        settings.selected,
        settings.plain,
        TextTokenizer(this.tokenizer),
        this.model.method,
        steps=settings.steps,
        seed=settings.seed,
        chunk_positions=settings.chunk_positions,
    )
    coming = DataLoader(
        rows,
        batch_size=None,
        collate_fn=_as_it_is,
        sampler=range(this.step, settings.steps),
        num_workers=settings.workers,
        prefetch_factor=4 if settings.workers else None,
        pin_memory=settings.device != "cpu",
    )
    losses: dict[str, list[Tensor]] = {}
    for sort, batch in coming:
        losses.setdefault(sort, []).append(this.train_on(batch, settings.plain.weight if sort == "plain" else 1.0))
        if this.step % settings.log_every == 0:
            noted: dict[str, float] = {"step": this.step, "seconds": round(this.seconds, 1)}
            noted |= {f"loss_{name}": round(float(torch.stack(every).mean()), 4) for name, every in losses.items()}
            with (output / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(noted) + "\n")
            losses = {}
        if settings.is_over(this.step, this.seconds):
            break
        if this.step % settings.save_every == 0:
            this.save_checkpoint()
    this.save(output / "model")
    return output / "model"


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the embedded model to look up.")
    parser.add_argument("config", help="YAML file; see look-ups-gpu.yaml")
    print(run(Settings.read(parser.parse_args().config)))


if __name__ == "__main__":
    main()
