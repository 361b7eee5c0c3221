"""`TrainingConfig`: everything about one training run, from a YAML file, checked before anything is loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

import yaml

from ..errors import ConfigError, setting
from ..method.checks import check_number, check_one_of, check_that, check_whole
from ..method.config import SharedLLMConfig
from .row_reading import RowReading, readings_from

__all__ = ["Phase", "Trained", "TrainingConfig"]

Phase = Literal["language_modelling", "instruction"]
Trained = Literal["injection", "injection+lora", "injection+upper", "all"]
Schedule = Literal["cosine", "linear", "constant"]
Optimizer = Literal["adamw", "adafactor"]

_CHOICES = {
    "phase": get_args(Phase),
    "trained": get_args(Trained),
    "schedule": get_args(Schedule),
    "optimizer": get_args(Optimizer),
    "dtype": ("float32", "bfloat16", "float64"),
    "device": (None, "cpu", "cuda"),
}
_AT_LEAST_1 = (
    "teacher_tokens",
    "lora_rank",
    "sequence_tokens",
    "max_past_tokens",
    "max_running_tokens",
    "steps",
    "batch_size",
    "accumulation",
    "log_every",
    "save_every",
    "eval_every",
    "keep_checkpoints",
)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """One training run (paper, section 3.4 and appendix).

    Attributes:
        base: folder or hub id of a base model to add an injection to, or `smollm2`; or give `model`.
        model: folder or hub id of a checkpoint of this library to go on from; or give `base`.
        method: numbers of the method over those of the phase's preset, or over those of the checkpoint to go on from.
        phase: `language_modelling` (texts; loss on the running text) or `instruction` (documents, question, answer;
            loss on the answer).
        trained: `injection`, `injection+lora` (and low-rank updates of the layers above; the result is an adapter),
            `injection+upper` (the paper's) or `all` (every weight; gradients flow through states). `injection` alone
            keeps the low-rank updates of an adapter as they are.
        lora_rank, lora_dropout: of the low-rank updates.
        injection_start: how the output projection of an untrained injection begins: as so many times the layer's own
            projection. With 0, the paper's, an untrained injection has no effect; with 0.3 fewer steps suffice.
        data: files of JSON lines: `{"text": …}`, or `{"documents": […], "question": …, "answer": …}`, or
            with `turns`, a list of questions and answers, in place of the last two.
        tasks: instead of `data`, settings of the generator of look-up tasks (`TaskSettings`); `texts` in them names
            files to cut documents from, `length` counts tokens and may be a list that rows take in turn, and with
            `questions_per_set` above 1 all tasks over one set of documents are turns of one row.
        eval_data: files as `data`, whose loss is measured every `eval_every` steps.
        output: folder for checkpoints, logs and the final model.
        tokenizer: where it is, if not with the model.
        sequence_tokens: of language modelling: past context and running text together.
        past_share: of language modelling: the share of a sequence that is past context.
        max_past_tokens: of instruction tuning: the most tokens of documents in an item; longer ones are refused.
        max_running_tokens: of instruction tuning: the most tokens of question and answer; longer ones are refused.
        readings: of instruction tuning: how a row's documents are read (`RowReading`): injected, quoted or both, and
            how strongly they are compressed; each row draws one. By default they are injected.
        distractors: of instruction tuning: the most documents of other rows that a row has beside its own.
        distillation: the share of the loss that is the distance to the same model's probabilities with up to
            `teacher_tokens` tokens of passages in its window; for rows that inject and quote fewer.
        teacher_tokens: see `distillation`; no more than `max_running_tokens` leaves room for.
        tree_cache_bytes: of states of documents in `output`, kept between steps and runs; 0 for none. Used where the
            lower model is frozen, documents come from `data`, and splits are not drawn (`split_noise_tokens: 0`).
        random_chunk_positions: draw the chunks' positions, in order, from so many; 0 for 0, 1, 2 …
        in_batch_past: pairs of a step and a number of rows: from that step on each row sees the trees of so many rows
            of its batch, itself among them.
        steps: optimizer steps.
        batch_size: rows per device and forward pass.
        accumulation: forward passes per step.
        learning_rate, warmup_steps, schedule, weight_decay, max_grad_norm, adam_beta2: of AdamW.
        min_learning_rate_share: of the learning rate, where the cosine ends.
        optimizer: `adamw`, or `adafactor`, which needs 8 bytes less for each trained weight.
        dtype: of the frozen weights; trained ones are float32 at least, since steps of 1e-5 vanish in bfloat16.
        bf16: compute in bfloat16 by autocast; needed with dtype bfloat16.
        gradient_checkpointing: compute activations again instead of keeping them.
        device: such as `cpu`; by default a GPU where there is one.
        seed: of everything that is drawn.
        log_every, save_every, eval_every: in steps.
        keep_checkpoints: how many of the newest to keep.
        tensorboard: write logs for TensorBoard.
        workers: processes that prepare data.

    Raises:
        ConfigError: a value out of range; the message names value, limit and remedy.
    """

    output: str
    base: str | None = None
    model: str | None = None
    method: Mapping[str, Any] = field(default_factory=dict)
    phase: Phase = "instruction"
    trained: Trained = "injection+upper"
    lora_rank: int = 16
    lora_dropout: float = 0.0
    injection_start: float = 0.0
    data: tuple[str, ...] = ()
    tasks: Mapping[str, Any] | None = None
    eval_data: tuple[str, ...] = ()
    tokenizer: str | None = None
    sequence_tokens: int = 8192
    past_share: float = 0.5
    max_past_tokens: int = 8192
    max_running_tokens: int = 2048
    readings: tuple[RowReading, ...] = (RowReading(),)
    distractors: int = 0
    distillation: float = 0.0
    teacher_tokens: int = 4096
    tree_cache_bytes: int = 10_000_000_000
    random_chunk_positions: int = 0
    in_batch_past: tuple[tuple[int, int], ...] = ((0, 1),)
    steps: int = 1000
    batch_size: int = 1
    accumulation: int = 1
    learning_rate: float = 1e-5
    min_learning_rate_share: float = 0.0
    warmup_steps: int = 0
    schedule: Schedule = "cosine"
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    adam_beta2: float = 0.999
    optimizer: Optimizer = "adamw"
    dtype: str = "float32"
    bf16: bool = False
    gradient_checkpointing: bool = False
    device: str | None = None
    seed: int = 0
    log_every: int = 10
    tensorboard: bool = True
    save_every: int = 500
    eval_every: int = 500
    keep_checkpoints: int = 2
    workers: int = 0

    def __post_init__(self) -> None:
        self._check_sources()
        for name, choices in _CHOICES.items():
            check_one_of(name, getattr(self, name), choices)
        for name in _AT_LEAST_1:
            check_whole(name, getattr(self, name), at_least=1)
        for name in ("distractors", "random_chunk_positions", "tree_cache_bytes", "warmup_steps", "workers"):
            check_whole(name, getattr(self, name), at_least=0)
        check_whole("seed", self.seed, at_least=0, at_most=2**32 - 1)
        for name in ("learning_rate", "max_grad_norm"):
            # YAML reads 1e-5 as a string.
            check_number(name, getattr(self, name), above=0, remedy="give one (write 1.0e-5)")
        for name in ("past_share", "adam_beta2"):
            check_number(name, getattr(self, name), above=0, below=1)
        check_number("weight_decay", self.weight_decay, at_least=0)
        check_number("lora_dropout", self.lora_dropout, at_least=0, below=1)
        check_number("injection_start", self.injection_start, at_least=0, at_most=1)
        check_number("distillation", self.distillation, at_least=0, at_most=1)
        check_number("min_learning_rate_share", self.min_learning_rate_share, at_least=0, at_most=1)
        most = f"at most {setting('steps', self.steps)}"
        check_that(self.warmup_steps <= self.steps, "warmup_steps", self.warmup_steps, most)
        check_that(self.bf16 or self.dtype != "bfloat16", "bf16", self.bf16, "true with dtype: bfloat16")
        self._check_in_batch_past()

    def _check_sources(self) -> None:
        if bool(self.base) == bool(self.model):
            raise ConfigError(
                f"give either {setting('base')} (to add an injection) or {setting('model')} (to go on from a "
                "checkpoint)"
            )
        if self.model and "injection_layers" in self.method:
            raise ConfigError(
                f"{setting('injection_layers', self.method['injection_layers'])} with "
                f"{setting('model', self.model)}: a checkpoint has its own",
                remedy=f"leave it out, or add an injection anew with {setting('base')}",
            )
        if bool(self.data) == (self.tasks is not None):
            raise ConfigError(
                f"give either {setting('data')} (files of JSON lines) or {setting('tasks')} (settings of the generator)"
            )
        if self.tasks is not None and self.phase != "instruction":
            raise ConfigError(
                f"{setting('tasks')} are questions and answers", remedy="use phase: instruction, or give data"
            )

    def check_readings(self, method: SharedLLMConfig) -> None:
        """Check the rows' ways of reading against the method that is trained.

        Raises:
            ConfigError: rows draw compression ratios, and the states of a node depend on them.
        """
        drawn = [one.compression_ratio for one in self.readings if one.compression_ratio is not None]
        if drawn and (method.scope != "past" or method.finest_compression_ratio is None):
            raise ConfigError(
                f"readings with {setting('compression_ratio', drawn[0])}",
                limit="and trees whose states depend on it",
                remedy=f"use {setting('scope', 'past')} and {setting('finest_compression_ratio')} in method",
            )

    def _check_in_batch_past(self) -> None:
        pairs = self.in_batch_past
        check_that(
            _are_pairs(pairs),
            "in_batch_past",
            pairs,
            "pairs of step and rows, in order, the first of step 0, such as [[0, 1], [1000, 8]]",
        )
        most = f"of at most {setting('batch_size', self.batch_size)} rows"
        check_that(max(rows for _, rows in pairs) <= self.batch_size, "in_batch_past", pairs, most)

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """The configuration of a YAML file.

        Raises:
            ConfigError: no such file, no YAML, or a field that is not known.
        """
        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}", remedy="give a YAML file") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is no YAML: {error}") from error
        if not isinstance(values, dict):
            raise ConfigError(
                f"{path} holds a {type(values).__name__}", remedy="write one field per line, such as `steps: 1000`"
            )
        return cls.from_dict(values)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The configuration of plain values, as YAML gives them.

        Raises:
            ConfigError: a field that is not known, or is missing.
        """
        known = {entry.name for entry in fields(cls)}
        if unknown := sorted(str(name) for name in set(values) - known):
            raise ConfigError(f"unknown fields {unknown}", remedy=f"known are {sorted(known)}")
        if "output" not in values:
            raise ConfigError(f"{setting('output')} is missing", remedy="name a folder for checkpoints and the model")
        plain = {name: value for name, value in values.items() if value is not None}  # an empty key is one left out
        for name in ("data", "eval_data"):
            if name in plain:
                files = plain[name]
                plain[name] = (files,) if isinstance(files, str) else tuple(files or ())
        if "readings" in plain:
            plain["readings"] = readings_from(plain["readings"])
        if "in_batch_past" in plain:
            try:
                plain["in_batch_past"] = tuple(tuple(pair) for pair in plain["in_batch_past"])
            except TypeError as error:
                raise ConfigError(
                    f"{setting('in_batch_past', plain['in_batch_past'])} are no pairs", remedy="write [[0, 1]]"
                ) from error
        return cls(**plain)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    def method_config(self, num_layers: int) -> SharedLLMConfig:
        """The numbers of the method for a base of so many layers: the phase's preset and what `method` changes.

        Raises:
            ConfigError: a number that is not allowed or not known.
        """
        self._check_method()
        preset = getattr(SharedLLMConfig, self.phase)
        config: SharedLLMConfig = preset(num_layers, **self.method)
        return config

    def continued_method(self, method: SharedLLMConfig) -> SharedLLMConfig:
        """The numbers of the method for a checkpoint that has those of `method`.

        Raises:
            ConfigError: a number that is not allowed or not known.
        """
        self._check_method()
        return replace(method, **self.method)

    def _check_method(self) -> None:
        if unknown := sorted(set(self.method) - {entry.name for entry in fields(SharedLLMConfig)}):
            raise ConfigError(f"unknown settings {unknown} in method")

    @property
    def keeps_states(self) -> bool:
        """Whether states of documents are the same in every step, and come again."""
        return bool(self.trained != "all" and self.data and self.tree_cache_bytes)

    def rows_seen(self, step: int) -> int:
        """How many rows' trees each row sees at a step."""
        return next(rows for first, rows in reversed(self.in_batch_past) if step >= first)


def _are_pairs(pairs: Sequence[tuple[int, ...]]) -> bool:
    """Whether these are pairs of a step and a number of rows in ascending order, the first of step 0."""
    whole = all(len(pair) == 2 and all(type(number) is int for number in pair) for pair in pairs)
    if not whole or not pairs or list(pairs) != sorted(pairs):
        return False
    return pairs[0][0] == 0 and all(rows >= 1 for _, rows in pairs)
