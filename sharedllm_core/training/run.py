"""One training run: from a configuration to a model, on transformers' Trainer."""

import copy
import os
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import SequentialSampler
from transformers import AutoConfig, Trainer, TrainerCallback, TrainingArguments

from ..engine.loading import base_by_short_name, load_tokenizer_from
from ..engine.model_names import base_location, checkpoint_location
from ..errors import ConfigError, setting
from ..method.config import SharedLLMConfig
from ..model.checkpoint import checkpoint_folder
from ..model.configuration import SharedLLMModelConfig
from ..model.low_rank import merge_updates
from ..model.modeling import SharedLLMForCausalLM
from ..model.renamed import present_name
from ..text.tokenization import TextTokenizer
from . import sharding
from .batch import collate
from .config import Trained, TrainingConfig
from .data import Passes, TaskDataset, TextDataset, task_settings
from .instruction import InstructionDataset
from .items import RowDataset
from .kept_states import KeptStates
from .low_rank import add_updates, has_updates, rank_of, remove_updates, updates_of
from .pace import Pace, count_answers
from .resuming import begin
from .tasks import read_texts
from .trainable import TrainableSharedLLMForCausalLM, set_trained, start_injection

__all__ = ["leave_processes", "train"]

#: The setting of transformers that computes activations again: `gradient_checkpointing` in its older versions.
_CHECKPOINTING = present_name(TrainingArguments, "activation_checkpointing", "gradient_checkpointing")


def train(config: TrainingConfig, *, resume: bool = True) -> Path:
    """Train as `config` says; the folder of the final model is returned.

    Data, numbers and tokenizer are checked before any weights are loaded. A run that was stopped goes on from its last
    checkpoint.

    Args:
        config: of the run.
        resume: go on from the last checkpoint in `config.output`, if there is one; otherwise those there are deleted.

    Raises:
        ConfigError: a number that is not allowed, or an output folder of a run with another configuration.
        DocumentError: data that cannot be read, with file and line.
        CheckpointError, TokenizerError: a model or tokenizer that cannot be loaded.
    """
    _check_installed(config)
    sharding.check_sharding(config)
    output = Path(config.output)
    start = _Start.of(config)
    tokenizer = TextTokenizer(load_tokenizer_from([config.tokenizer, start.model, start.base]))
    method, window_tokens = _method_and_window(config, start)
    config.check_readings(method)
    count = config.steps * config.batch_size * config.accumulation * _processes()
    rows = _dataset(config, config.data, tokenizer, method, window_tokens, count)
    dataset = Passes(rows, config.seed, count) if config.tasks is None else rows
    of_evaluation = (config.eval_data, tokenizer, method, window_tokens, 0)
    evaluated = _dataset(config, *of_evaluation) if config.eval_data else None
    checkpoint = begin(config, output, resume)

    model = _model(config, start, method)
    trainer = _Trainer(
        model=model,
        args=_arguments(config, evaluated is not None),
        data_collator=collate,
        train_dataset=dataset,
        eval_dataset=evaluated,
        callbacks=[_Schedule(model, config)],
    )
    if trainer.is_fsdp_enabled:
        sharding.shard(model, trainer.args.device)
    trainer.train(resume_from_checkpoint=checkpoint)
    trained = _trained(trainer, getattr(torch, config.dtype))
    if trained is not None:
        _save(trained, tokenizer, config.trained, start, output / "model")
    trainer.accelerator.wait_for_everyone()  # in every process the model is there when this returns
    return output / "model"


def leave_processes() -> bool:
    """End what a launcher's processes have in common, before they end; whether this is the first of them.

    A process that just stops takes down threads that still talk to the others, and aborts now and then.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return True
    first = torch.distributed.get_rank() == 0
    torch.distributed.destroy_process_group()
    return first


def _check_installed(config: TrainingConfig) -> None:
    needed = {"accelerate": True, "tensorboard": config.tensorboard, "peft": config.trained == "injection+lora"}
    for name in (name for name, is_needed in needed.items() if is_needed):
        if find_spec(name) is None:
            raise ImportError(f"training needs {name}, which is not installed: pip install 'sharedllm[train]'")


@dataclass(frozen=True)
class _Start:
    """What a run begins from.

    Attributes:
        model: folder or hub id of a checkpoint to go on from; `None` for a base.
        base: folder or hub id of the base; of a checkpoint only where it is an adapter that names its base by a short
            name, and `None` otherwise.
        base_name: the short name of the base, for the adapter that is saved; `None` where it has none.
    """

    model: str | Path | None
    base: str | Path | None
    base_name: str | None

    @classmethod
    def of(cls, config: TrainingConfig) -> "_Start":
        """Look up short names.

        Raises:
            CheckpointError: the base of an adapter is not installed, and the hub cannot be reached.
        """
        if config.base:
            base = base_location(config.base)
            return cls(None, base, config.base if base != config.base else None)
        model = checkpoint_location(config.model)
        base = base_by_short_name(model)
        return cls(model, base, SharedLLMModelConfig.from_pretrained(model).base if base else None)


def _method_and_window(config: TrainingConfig, start: _Start) -> tuple[SharedLLMConfig, int]:
    """The numbers of the method and the base's window in tokens, from the configuration files alone."""
    where = start.model or start.base
    assert where is not None
    folder = checkpoint_folder(where)
    read = AutoConfig.from_pretrained(folder)
    if config.model:
        if not hasattr(read, "method"):
            raise ConfigError(f"{setting('model', config.model)} has no injection", remedy="name it as base")
        return config.continued_method(read.method), read.text_config.max_position_embeddings
    new = config.method_config(read.num_hidden_layers)
    new.check_fits(read.num_hidden_layers)
    return new, read.max_position_embeddings


def _dataset(
    config: TrainingConfig,
    paths: tuple[str, ...],
    tokenizer: TextTokenizer,
    method: SharedLLMConfig,
    window_tokens: int,
    count: int,
) -> RowDataset:
    if config.tasks is not None and not paths:
        files, settings = task_settings(dict(config.tasks), tokenizer)
        texts = read_texts(files) if files else None
        return TaskDataset(texts, settings, config.seed, count, tokenizer, method, config.readings)
    if config.phase == "language_modelling":
        past_tokens = max(1, int(config.sequence_tokens * config.past_share))
        if (running := config.sequence_tokens - past_tokens) > window_tokens:
            raise ConfigError(
                f"{setting('sequence_tokens', config.sequence_tokens)} with "
                f"{setting('past_share', config.past_share)} leaves {running} tokens of running text",
                limit=f"and the base model's window is {window_tokens}",
                remedy="use a greater share, or fewer tokens",
            )
        return TextDataset(paths, tokenizer, config.sequence_tokens, past_tokens, method.chunk_tokens)
    running_tokens = min(config.max_running_tokens, window_tokens)
    return InstructionDataset(
        paths,
        tokenizer,
        method,
        config.max_past_tokens,
        running_tokens,
        config.readings,
        config.distractors,
        config.teacher_tokens if config.distillation else 0,
    )


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))  # a launcher says it before the processes have met


def _model(config: TrainingConfig, start: _Start, method: SharedLLMConfig) -> TrainableSharedLLMForCausalLM:
    dtype = getattr(torch, config.dtype)
    if start.model is None:
        assert start.base is not None
        model = TrainableSharedLLMForCausalLM.from_base(start.base, method, dtype=dtype)
    else:
        model = TrainableSharedLLMForCausalLM.from_pretrained(start.model, base=start.base, dtype=dtype)
        model.set_method(method)
    model.random_chunk_positions = config.random_chunk_positions
    model.distillation = config.distillation
    model.own_last = config.phase == "language_modelling"
    if config.keeps_states and not method.draws_splits:
        model.kept_states = KeptStates(model.lower_model, Path(config.output) / "trees", config.tree_cache_bytes)
    if config.injection_start and not model.has_trained_injection:
        start_injection(model, config.injection_start)
    known = model.known_updates
    if config.trained == "injection+lora" or (config.trained == "injection" and known):
        rank = config.lora_rank if config.trained == "injection+lora" else rank_of(known)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)  # updates begin the same in every run
            add_updates(model, rank, config.lora_dropout, known)
    elif known:
        merge_updates(model.state_dict(), known)
    set_trained(model, config.trained)
    for weight in model.parameters():
        if weight.requires_grad and dtype == torch.bfloat16:
            weight.data = weight.data.float()
    return model


def _arguments(config: TrainingConfig, evaluates: bool) -> TrainingArguments:
    schedule = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}[config.schedule]
    options: dict[str, Any] = {}
    checkpointing: dict[str, Any] = {}
    if config.gradient_checkpointing:
        checkpointing = {_CHECKPOINTING: True, f"{_CHECKPOINTING}_kwargs": {"use_reentrant": False}}
    if config.schedule == "cosine" and config.min_learning_rate_share:
        schedule = "cosine_with_min_lr"
        options = {"min_lr_rate": config.min_learning_rate_share}
    return TrainingArguments(
        output_dir=config.output,
        max_steps=config.steps,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulation,
        learning_rate=config.learning_rate,
        lr_scheduler_type=schedule,
        lr_scheduler_kwargs=options,
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        adam_beta2=config.adam_beta2,
        optim={"adamw": "adamw_torch", "adafactor": "adafactor"}[config.optimizer],
        bf16=config.bf16,
        use_cpu=config.device == "cpu",
        seed=config.seed,
        logging_steps=config.log_every,
        save_steps=config.save_every,
        save_total_limit=config.keep_checkpoints,
        eval_strategy="steps" if evaluates else "no",
        eval_steps=config.eval_every if evaluates else None,
        prediction_loss_only=True,
        report_to=["tensorboard"] if config.tensorboard else [],
        dataloader_num_workers=config.workers,
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,
        average_tokens_across_devices=True,
        label_names=["labels"],
        **checkpointing,
    )


class _Trainer(Trainer):
    """Takes items in the order of the dataset, which has shuffled them itself; see `sharding.py` for FSDP."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pace = Pace()

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        self._pace.add(count_answers(inputs["labels"]))
        loss: Tensor = super().training_step(model, inputs, *args, **kwargs)
        return loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        if "loss" in logs:
            logs |= self._pace.report(self.state.global_step, self.state.max_steps)
        super().log(logs, *args, **kwargs)

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()
        sharding.start_sharding(self)

    def autocast_smart_context_manager(self, *args: Any, **kwargs: Any) -> Any:
        # accelerate leaves it to FSDP to make bfloat16 of float32, which would sum up gradients in bfloat16, too.
        return self.accelerator.autocast() if self.is_fsdp_enabled else nullcontext()

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(self.train_dataset if train_dataset is None else train_dataset)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        with torch.random.fork_rng(devices=[]):  # loading data draws; training goes on as if nothing had been measured
            found: dict[str, float] = super().evaluate(*args, **kwargs)
        return found


class _Schedule(TrainerCallback):
    """Sets how many rows' trees each row sees, step by step."""

    def __init__(self, model: TrainableSharedLLMForCausalLM, config: TrainingConfig) -> None:
        self._model = model
        self._config = config

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._model.rows_seen = self._config.rows_seen(state.global_step)


def _trained(trainer: Trainer, dtype: torch.dtype) -> SharedLLMForCausalLM | None:
    """The whole model, in the process that saves it."""
    if trainer.is_fsdp_enabled:
        return sharding.gather(trainer, dtype)
    if not trainer.is_world_process_zero():
        return None
    model: SharedLLMForCausalLM = trainer.accelerator.unwrap_model(trainer.model).to(dtype)
    return model


def _save(model: SharedLLMForCausalLM, tokenizer: TextTokenizer, trained: Trained, start: _Start, folder: Path) -> None:
    """The final model, as a plain one; an adapter where there are low-rank updates."""
    plain = copy.copy(model)
    plain.__class__ = SharedLLMForCausalLM
    if trained == "injection+lora" or has_updates(plain):
        updates = updates_of(plain)
        remove_updates(plain)
        plain.save_adapter(folder, start.base, updates=updates, base_name=start.base_name)
    else:
        plain.save_pretrained(folder)
    tokenizer.tokenizer.save_pretrained(folder)
