"""Step 2 of the embedded model: its base, a small Llama trained from random weights as a plain language model.

python examples/default_model/base.py examples/default_model/base-cpu.yaml

A share of the sequences are look-up tasks inside the window, so that heads form which find and copy what was asked for:
the injection later begins from these. Embeddings are large from the start for the same reason (`embedding_std`).
A run that was stopped goes on from its last checkpoint; `log.jsonl` in the output folder holds the losses.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import torch
import yaml
from sequences import Sequences
from torch import Tensor, nn
from torch.utils.data import SequentialSampler
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from sharedllm_core.engine_loading import load_tokenizer_from
from sharedllm_core.errors import ConfigError
from sharedllm_core.tokenization import TextTokenizer
from sharedllm_core.training.tasks import read_texts

SHARD = "15MB"
ROWS = 1024  # of logits that are float32 at once
MAY_CHANGE = {"log_every", "save_every", "keep_checkpoints", "workers", "device"}  # when a run goes on


@dataclass(frozen=True, kw_only=True)
class BaseConfig:
    """One run.

    Attributes:
        tokenizer: folder of step 1.
        texts: files of JSON lines with `text`.
        output: folder for checkpoints, `log.jsonl` and, in the end, `model`.
        hidden_size, num_layers, num_heads, num_kv_heads, head_size, intermediate_size: the shape; embeddings are tied.
        window_tokens: of the model.
        embedding_std, initializer_std: of the random weights: embeddings, and everything else.
        sequence_tokens, batch_size, steps: what is trained on.
        lookup_share: share of sequences that hold look-up tasks.
        lookup_characters: shortest and longest set of documents of a look-up task.
        lookup_questions: over one set of documents at most.
        learning_rate, min_learning_rate_share, warmup_steps, adam_beta2, weight_decay, max_grad_norm: of AdamW, whose
            rate falls along a cosine.
        bf16: compute in bfloat16; weights stay float32.
        device: such as `cpu`; by default a GPU where there is one.
        seed: of weights and sequences.
        log_every, save_every: in steps.
        keep_checkpoints: how many of the newest.
        workers: processes that prepare sequences.
    """

    tokenizer: str
    texts: tuple[str, ...]
    output: str
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_size: int
    intermediate_size: int
    window_tokens: int
    sequence_tokens: int
    batch_size: int
    steps: int
    embedding_std: float = 0.5
    initializer_std: float = 0.04
    lookup_share: float = 0.5
    lookup_characters: tuple[int, int] = (500, 1_200)
    lookup_questions: int = 4
    learning_rate: float = 2e-3
    min_learning_rate_share: float = 0.1
    warmup_steps: int = 100
    adam_beta2: float = 0.98
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    bf16: bool = True
    device: str | None = None
    seed: int = 0
    log_every: int = 10
    save_every: int = 200
    keep_checkpoints: int = 2
    workers: int = 0

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """The configuration of a YAML file.

        Raises:
            ConfigError: fields that are missing or not known, or a sequence longer than the window.
        """
        values: dict[str, Any] = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        if unknown := sorted(set(values) - {entry.name for entry in fields(cls)}):
            raise ConfigError(f"{path}: unknown fields {unknown}; known are {[entry.name for entry in fields(cls)]}")
        for name in {"texts", "lookup_characters"} & set(values):
            values[name] = tuple(values[name])
        try:
            config = cls(**values)
        except TypeError as error:
            raise ConfigError(f"{path}: {error}") from error
        if config.sequence_tokens > config.window_tokens:
            raise ConfigError(
                f"{path}: sequence_tokens={config.sequence_tokens} is more than window_tokens={config.window_tokens}"
            )
        return config


def random_model(config: BaseConfig, tokenizer: TextTokenizer) -> LlamaForCausalLM:
    """The model before training."""
    set_seed(config.seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer.tokenizer),
            hidden_size=config.hidden_size,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            num_key_value_heads=config.num_kv_heads,
            head_dim=config.head_size,
            intermediate_size=config.intermediate_size,
            max_position_embeddings=config.window_tokens,
            initializer_range=config.initializer_std,
            tie_word_embeddings=True,
            use_cache=False,
            bos_token_id=None,
            eos_token_id=tokenizer.tokenizer.eos_token_id,
            pad_token_id=tokenizer.tokenizer.pad_token_id,
        )
    )
    with torch.no_grad():
        # With small embeddings what a layer adds drowns which token it was added to, and no heads form that copy.
        model.model.embed_tokens.weight.normal_(std=config.embedding_std)
        # The same large weights are the output head: so scaled, the first logits are of order one.
        model.model.norm.weight.fill_(1 / (config.embedding_std * config.hidden_size**0.5))
    return model


class Tally:
    """Sums since the last line of the log: loss of answers and of all other text, and how many answers are right."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._sums = torch.zeros(6)  # loss and tokens of text, loss and tokens of answers, right answers, answers
        self._since = time.monotonic()

    def add(self, losses: Tensor, right: Tensor, answers: Tensor) -> None:
        """Take down the losses [B, T] of targets, whether the answers' targets [A] are right, and `answers` [B, T]."""
        inside = answers > 0
        rows = torch.arange(len(answers), device=answers.device)[:, None] * (answers.shape[1] + 1)
        numbers = (answers + rows)[inside]
        wrong = numbers[~right].unique().numel()
        counted = numbers.unique().numel()
        sums = [losses[~inside].sum(), (~inside).sum(), losses[inside].sum(), inside.sum()]
        self._sums += torch.tensor([*(float(value) for value in sums), counted - wrong, counted])

    def values(self) -> dict[str, float]:
        """What stands in the log; without text or answers, no word of them."""
        text, text_tokens, answer, answer_tokens, right, counted = self._sums.tolist()
        seconds = max(1e-9, time.monotonic() - self._since)
        shown = {"tokens_per_second": (text_tokens + answer_tokens) / seconds}
        if text_tokens:
            shown["loss_text"] = text / text_tokens
        if answer_tokens:
            shown |= {"loss_answers": answer / answer_tokens, "answers_right": right / counted}
        return {name: float(f"{value:.4g}") for name, value in shown.items()}


class BaseTrainer(Trainer):
    """Takes sequences in their order and logs what answers lose apart from all other text."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = False
        self.tally = Tally()

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(self.train_dataset if train_dataset is None else train_dataset)

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        outputs = model(input_ids=inputs["input_ids"])
        logits, targets, answers = outputs.logits[:, :-1], inputs["input_ids"][:, 1:], inputs["answers"][:, 1:]
        losses = _cross_entropy(logits, targets)
        inside = answers > 0
        with torch.no_grad():
            right = logits[inside].argmax(-1) == targets[inside]
            self.tally.add(losses.detach(), right, answers)
        loss = losses.mean()
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            logs = {**logs, **self.tally.values()}
            self.tally.clear()
        super().log(logs, start_time)


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Losses [B, T], in parts: all float32 logits at once would not fit into a processor's cache."""
    parts = zip(logits.flatten(0, 1).split(ROWS), targets.flatten().split(ROWS), strict=True)
    losses = [nn.functional.cross_entropy(part.float(), of_part, reduction="none") for part, of_part in parts]
    return torch.cat(losses).view(targets.shape)


class LogFile(TrainerCallback):
    """Keeps `log.jsonl`: one line for each of the trainer's, also after a run went on from a checkpoint."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        lines = [json.dumps({"step": row["step"], **row}) for row in state.log_history]
        self._path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def train(config: BaseConfig) -> Path:
    """Train as `config` says, or go on; the folder of the model is returned.

    Raises:
        ConfigError: the output folder holds a run with another configuration.
    """
    output = Path(config.output)
    checkpoint = _begin(config, output)
    if (output / "model" / "tokenizer.json").is_file():  # what is written last
        print("this run is done; give another output for another one")
        return output / "model"
    tokenizer = TextTokenizer(load_tokenizer_from([config.tokenizer]))
    sequences = Sequences(
        list(read_texts(config.texts)),
        tokenizer,
        tokens=config.sequence_tokens,
        count=config.steps * config.batch_size,
        lookup_share=config.lookup_share,
        lookup_characters=config.lookup_characters,
        lookup_questions=config.lookup_questions,
        seed=config.seed,
    )
    model = random_model(config, tokenizer)
    print(f"{model.num_parameters():,} parameters, {len(sequences) * config.sequence_tokens:,} tokens to train on")
    trainer = BaseTrainer(
        model=model,
        args=_arguments(config),
        train_dataset=sequences,
        callbacks=[LogFile(output / "log.jsonl")],
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    model.config.use_cache = True
    model.save_pretrained(output / "model", max_shard_size=SHARD)
    tokenizer.tokenizer.save_pretrained(output / "model")
    return output / "model"


def _begin(config: BaseConfig, output: Path) -> str | None:
    """Note the configuration; the checkpoint to go on from, if there is one."""
    output.mkdir(parents=True, exist_ok=True)
    noted = output / "base.json"
    wanted = json.loads(json.dumps(asdict(config)))
    checkpoint = get_last_checkpoint(str(output))
    if checkpoint is not None and noted.is_file():
        before = json.loads(noted.read_text(encoding="utf-8"))
        changed = sorted(name for name in wanted if name not in MAY_CHANGE and before.get(name) != wanted[name])
        if changed:
            raise ConfigError(f"{output} holds a run with other values of {', '.join(changed)}; give another output")
    noted.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
    return checkpoint


def _arguments(config: BaseConfig) -> TrainingArguments:
    return TrainingArguments(
        output_dir=config.output,
        max_steps=config.steps,
        per_device_train_batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": config.min_learning_rate_share},
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        adam_beta2=config.adam_beta2,
        max_grad_norm=config.max_grad_norm,
        optim="adamw_torch_fused",
        bf16=config.bf16,
        use_cpu=config.device == "cpu",
        seed=config.seed,
        logging_steps=config.log_every,
        save_steps=config.save_every,
        save_total_limit=config.keep_checkpoints,
        report_to=[],
        disable_tqdm=True,
        dataloader_num_workers=config.workers,
        remove_unused_columns=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the base of the embedded model.")
    parser.add_argument("config", help="a YAML file with the fields of BaseConfig")
    print(train(BaseConfig.from_file(parser.parse_args().config)))


if __name__ == "__main__":
    main()
