"""`EfficiencySettings`: what is measured, checked once."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from ...errors import ConfigError, setting
from ...method.checks import check_number, check_whole

__all__ = ["COMPARED", "SYSTEMS", "EfficiencySettings", "system_names"]

SYSTEMS = ("sharedllm", "full_attention", "streaming", "encoder_decoder")
_DEFAULT_SYSTEMS = ("sharedllm", "full_attention", "encoder_decoder")  # streaming is far from its floor
COMPARED = ("sharedllm", "full_attention")  # what matters most where time is short

SINK_TOKENS = 4  # of streaming

_LENGTHS = (4096, 16384, 32768, 65536, 131072)


@dataclass(frozen=True, kw_only=True)
class EfficiencySettings:
    """One run of the measurement.

    Attributes:
        model: a checkpoint's folder or hub id; or the name of a published shape (`planning.MODELS`), which is given
            random weights, since speed does not depend on them; by default the reader. It reads token ids, so
            `two_looks` replaces a policy that searches text.
        lengths: tokens of past context.
        systems: of `SYSTEMS`; by default all but streaming.
        injection_layers: M of each SharedLLM to measure; by default the checkpoint's own.
        prompt_tokens: of the running text.
        new_tokens: decoded after the first.
        repeats: turns; medians count.
        max_seconds: of one system at one length; after so many it takes no further turn.
        minutes: of the whole run, with the loading of the model; what matters most is measured first (`schedule.py`).
            By default there is no such budget.
        window_tokens: what streaming sees; by default the base's window, 4,096 at most.
        cache_bytes: the most bytes of trees, in memory and on disk each. Lengths whose trees would be more are not
            read ahead, and nothing is measured from the cache.
        device: such as `cuda`.
        dtype: of the weights; by default the checkpoint's, but float32 on a CPU that cannot multiply in it.

    Raises:
        ConfigError: a number below its least, or a system that is not known.
    """

    model: str | None = None
    lengths: tuple[int, ...] = _LENGTHS
    systems: tuple[str, ...] = _DEFAULT_SYSTEMS
    injection_layers: tuple[int, ...] = ()
    prompt_tokens: int = 128
    new_tokens: int = 128
    repeats: int = 5
    max_seconds: float = 600.0
    minutes: float | None = None
    window_tokens: int | None = None
    cache_bytes: int = 16 * 10**9
    device: str = "cpu"
    dtype: str | None = None

    def __post_init__(self) -> None:
        if unknown := [name for name in self.systems if name not in SYSTEMS]:
            raise ConfigError(f"system {unknown[0]!r} is not known", remedy=f"use one of {', '.join(SYSTEMS)}")
        for name, values in (("lengths", self.lengths), ("systems", self.systems)):
            if not values:
                raise ConfigError(f"{setting(name)} is empty", remedy="give one or more")
        numbers = [("lengths", n) for n in self.lengths] + [("injection_layers", n) for n in self.injection_layers]
        numbers += [(n, getattr(self, n)) for n in ("prompt_tokens", "new_tokens", "repeats")]
        if self.window_tokens is not None:
            numbers.append(("window_tokens", self.window_tokens))
        for name, number in numbers:
            check_whole(name, number, at_least=1)
        if self.window_tokens is not None and self.window_tokens <= SINK_TOKENS:
            raise ConfigError(
                f"{setting('window_tokens', self.window_tokens)} is not allowed",
                remedy=f"it must be more than the {SINK_TOKENS} sinks",
            )
        check_number("max_seconds", self.max_seconds, above=0)
        if self.minutes is not None:
            check_number("minutes", self.minutes, above=0)
        check_whole("cache_bytes", self.cache_bytes, at_least=0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The settings of what `to_dict` gave."""
        plain: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in values.items()}
        return cls(**plain)


def system_names(settings: EfficiencySettings, own_injection_layers: int) -> dict[str, tuple[str, ...]]:
    """The names in tables of each system that the settings name; a SharedLLM has one for each number of layers.

    Args:
        settings: of the run.
        own_injection_layers: of the checkpoint.
    """
    layers = settings.injection_layers or (own_injection_layers,)
    shared = tuple(f"sharedllm, M = {number}" for number in layers)
    plain = {"full_attention": "full attention", "streaming": "streaming", "encoder_decoder": "encoder-decoder"}
    return {name: shared if name == "sharedllm" else (plain[name],) for name in settings.systems}
