"""`SamplingSettings`: how each token is chosen, by the checkpoint's generation config and the caller's settings."""

from dataclasses import dataclass, replace
from typing import Any, Self

from transformers import GenerationConfig

from ..errors import CheckpointError
from ..method.checks import check_number, check_whole
from .settings import AnswerSettings

__all__ = ["SamplingSettings"]

#: Settings of a question that take the checkpoint's value when they are `None`.
_OVERRIDES = ("temperature", "top_p", "top_k", "repetition_penalty")

#: Settings of a generation config that would change answers and are not applied, with the values that change nothing.
#: `no_repeat_ngram_size` counts the prompt, so an answer could not repeat three words of a passage; the length is that
#: of the question (`max_new_tokens`).
_NOT_APPLIED: dict[str, tuple[Any, ...]] = {
    "epsilon_cutoff": (0.0,),
    "eta_cutoff": (0.0,),
    "exponential_decay_length_penalty": (),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "guidance_scale": (1.0,),
    "max_new_tokens": (),
    "min_length": (0,),
    "min_new_tokens": (0,),
    "no_repeat_ngram_size": (0,),
    "num_beams": (1,),
    "penalty_alpha": (0.0,),
    "sequence_bias": (),
    "stop_strings": (),
    "top_h": (1.0,),
    "typical_p": (1.0,),
    "watermarking_config": (),
}


@dataclass(frozen=True, kw_only=True)
class SamplingSettings:
    """How each token of an answer is chosen. The default values are greedy decoding without a penalty.

    Attributes:
        temperature: 0 is greedy decoding; above 0, tokens are sampled.
        top_p: sample from the most likely tokens that together have this probability.
        top_k: sample from the k most likely tokens; 0 for all.
        min_p: sample from the tokens with at least this share of the most likely token's probability.
        repetition_penalty: above 1, tokens that already occur in the running text become less likely.
        suppress_tokens: token ids that are never generated.
        begin_suppress_tokens: token ids that an answer does not begin with.
        bad_words_ids: sequences of token ids that are never generated.
        not_applied: settings of the checkpoint's generation config that would change answers and are not applied.

    Raises:
        CheckpointError: a value out of range.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    suppress_tokens: tuple[int, ...] = ()
    begin_suppress_tokens: tuple[int, ...] = ()
    bad_words_ids: tuple[tuple[int, ...], ...] = ()
    not_applied: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        remedy = "correct it in the checkpoint's generation_config.json"
        check_number("temperature", self.temperature, at_least=0, remedy=remedy, error=CheckpointError)
        check_number("top_p", self.top_p, above=0, at_most=1, remedy=remedy, error=CheckpointError)
        check_whole("top_k", self.top_k, at_least=0, error=CheckpointError)
        check_number("min_p", self.min_p, at_least=0, at_most=1, remedy=remedy, error=CheckpointError)
        check_number("repetition_penalty", self.repetition_penalty, above=0, remedy=remedy, error=CheckpointError)

    @classmethod
    def from_checkpoint(cls, config: GenerationConfig | None) -> Self:
        """Read a checkpoint's generation config.

        A setting that the checkpoint does not set is `None` there and keeps its default value here: transformers' own
        defaults, such as `top_k=50`, are not used.

        Args:
            config: of the model; `None` for greedy decoding.

        Raises:
            CheckpointError: a value out of range.
        """
        if config is None:
            return cls()
        found = {name: value for name, value in vars(config).items() if value is not None}
        return cls(
            temperature=found.get("temperature", 1.0) if found.get("do_sample") else 0.0,
            top_p=found.get("top_p", 1.0),
            top_k=max(0, found.get("top_k", 0)),  # some checkpoints write -1 for all tokens
            min_p=found.get("min_p", 0.0),
            repetition_penalty=found.get("repetition_penalty", 1.0),
            suppress_tokens=tuple(found.get("suppress_tokens", ())),
            begin_suppress_tokens=tuple(found.get("begin_suppress_tokens", ())),
            bad_words_ids=tuple(tuple(ids) for ids in found.get("bad_words_ids", ())),
            not_applied=tuple(
                name for name, neutral in _NOT_APPLIED.items() if name in found and found[name] not in neutral
            ),
        )

    def with_overrides(self, settings: AnswerSettings) -> Self:
        """Return a copy in which the values that a question sets replace those of the checkpoint."""
        values = {name: getattr(settings, name) for name in _OVERRIDES}
        return replace(self, **{name: value for name, value in values.items() if value is not None})
