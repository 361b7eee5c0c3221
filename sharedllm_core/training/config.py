"""`TrainingConfig`: everything about one training run, from a YAML file, checked before anything is loaded."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from math import isfinite
from pathlib import Path
from typing import Any, Literal, Self, get_args

import yaml

from ..errors import ConfigError
from ..method.config import SharedLLMConfig

__all__ = ["Phase", "Trained", "TrainingConfig"]

Phase = Literal["language_modelling", "instruction"]
Trained = Literal["injection", "injection+upper", "all"]
_PRESETS = get_args(Phase)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """One training run (paper, section 3.4 and appendix).

    Attributes:
        base: folder or hub id of a base model to add an injection to; or give `model`.
        model: folder or hub id of a checkpoint of this library to go on from; or give `base`.
        method: numbers of the method over those of the phase's preset, or over those of the checkpoint to go on from.
        phase: `language_modelling` (texts; loss on the running text) or `instruction` (documents, question, answer;
            loss on the answer).
        trained: `injection`, `injection+upper` (the paper's) or `all` (every weight; gradients flow through states).
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
    data: tuple[str, ...] = ()
    tasks: Mapping[str, Any] | None = None
    eval_data: tuple[str, ...] = ()
    tokenizer: str | None = None
    sequence_tokens: int = 8192
    past_share: float = 0.5
    max_past_tokens: int = 8192
    max_running_tokens: int = 2048
    random_chunk_positions: int = 0
    in_batch_past: tuple[tuple[int, int], ...] = ((0, 1),)
    steps: int = 1000
    batch_size: int = 1
    accumulation: int = 1
    learning_rate: float = 1e-5
    min_learning_rate_share: float = 0.0
    warmup_steps: int = 0
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    adam_beta2: float = 0.999
    optimizer: Literal["adamw", "adafactor"] = "adamw"
    dtype: str = "float32"
    bf16: bool = False
    gradient_checkpointing: bool = False
    device: str | None = None
    seed: int = 0
    log_every: int = 10
    save_every: int = 500
    eval_every: int = 500
    keep_checkpoints: int = 2
    tensorboard: bool = True
    workers: int = 0

    def __post_init__(self) -> None:
        self._check_sources()
        for name in ("phase", "trained", "schedule"):
            choices = {"phase": _PRESETS, "trained": get_args(Trained), "schedule": ("cosine", "linear", "constant")}[
                name
            ]
            self._check(name, getattr(self, name) in choices, f"one of {', '.join(choices)}")
        for name in ("sequence_tokens", "max_past_tokens", "max_running_tokens", "steps", "batch_size", "accumulation"):
            self._check(name, _whole(getattr(self, name), 1), "a whole number of at least 1")
        for name in ("log_every", "save_every", "eval_every", "keep_checkpoints"):
            self._check(name, _whole(getattr(self, name), 1), "a whole number of at least 1")
        self._check("seed", _whole(self.seed, 0) and self.seed < 2**32, "a whole number from 0 to 4294967295")
        for name in ("random_chunk_positions", "warmup_steps", "workers"):
            self._check(name, _whole(getattr(self, name), 0), "a whole number of at least 0")
        for name in ("learning_rate", "max_grad_norm"):
            self._check(
                name, _number(getattr(self, name)) and getattr(self, name) > 0, "a number above 0 (write 1.0e-5)"
            )
        self._check("weight_decay", _number(self.weight_decay) and self.weight_decay >= 0, "at least 0")
        self._check("past_share", _number(self.past_share) and 0 < self.past_share < 1, "between 0 and 1")
        self._check("adam_beta2", _number(self.adam_beta2) and 0 < self.adam_beta2 < 1, "between 0 and 1")
        share = self.min_learning_rate_share
        self._check("min_learning_rate_share", _number(share) and 0 <= share <= 1, "from 0 to 1")
        self._check("dtype", self.dtype in ("float32", "bfloat16", "float64"), "float32, bfloat16 or float64")
        self._check("optimizer", self.optimizer in ("adamw", "adafactor"), "adamw or adafactor")
        self._check("warmup_steps", self.warmup_steps <= self.steps, f"at most steps={self.steps}")
        self._check("device", self.device in (None, "cpu", "cuda"), "cpu, or left out for a GPU where there is one")
        self._check("bf16", self.bf16 or self.dtype != "bfloat16", "true with dtype: bfloat16")
        self._check_in_batch_past()

    def _check_sources(self) -> None:
        if bool(self.base) == bool(self.model):
            raise ConfigError("give either base (to add an injection) or model (to go on from a checkpoint)")
        if self.model and "injection_layers" in self.method:
            raise ConfigError(
                f"injection_layers={self.method['injection_layers']} with model={self.model!r}: a checkpoint has its "
                "own; leave it out, or add an injection anew with base"
            )
        if bool(self.data) == (self.tasks is not None):
            raise ConfigError("give either data (files of JSON lines) or tasks (settings of the generator)")
        if self.tasks is not None and self.phase != "instruction":
            raise ConfigError("tasks are questions and answers; use phase: instruction, or give data")

    def _check_in_batch_past(self) -> None:
        pairs = self.in_batch_past
        right = bool(pairs) and all(len(pair) == 2 and _whole(pair[0], 0) and _whole(pair[1], 1) for pair in pairs)
        right = right and pairs[0][0] == 0 and list(pairs) == sorted(pairs)
        self._check(
            "in_batch_past", right, "pairs of step and rows, in order, the first of step 0, such as [[0, 1], [1000, 8]]"
        )
        most = max(rows for _, rows in pairs)
        self._check("in_batch_past", most <= self.batch_size, f"of at most batch_size={self.batch_size} rows")

    def _check(self, name: str, right: bool, limit: str) -> None:
        if not right:
            raise ConfigError(f"{name}={getattr(self, name)!r} is not allowed; it must be {limit}")

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """The configuration of a YAML file.

        Raises:
            ConfigError: no such file, no YAML, or a field that is not known.
        """
        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}; give a YAML file") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is no YAML: {error}") from error
        if not isinstance(values, dict):
            raise ConfigError(
                f"{path} holds a {type(values).__name__}; write one field per line, such as `steps: 1000`"
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
            raise ConfigError(f"unknown fields {unknown}; known are {sorted(known)}")
        if "output" not in values:
            raise ConfigError("output is missing; name a folder for checkpoints and the model")
        plain = {name: value for name, value in values.items() if value is not None}  # an empty key is one left out
        for name in ("data", "eval_data"):
            if name in plain:
                files = plain[name]
                plain[name] = (files,) if isinstance(files, str) else tuple(files or ())
        if "in_batch_past" in plain:
            try:
                plain["in_batch_past"] = tuple(tuple(pair) for pair in plain["in_batch_past"])
            except TypeError as error:
                raise ConfigError(f"in_batch_past={plain['in_batch_past']!r} are no pairs; write [[0, 1]]") from error
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

    def rows_seen(self, step: int) -> int:
        """How many rows' trees each row sees at a step."""
        return next(rows for first, rows in reversed(self.in_batch_past) if step >= first)


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
