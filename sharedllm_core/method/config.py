"""`SharedLLMConfig`: the configuration of the method, validated in one place.

The names are the paper's (arXiv 2603.04759). Independent of torch and transformers.
"""

from dataclasses import asdict, dataclass, fields, replace
from fractions import Fraction
from functools import cached_property
from math import ceil, floor, log
from pathlib import Path
from typing import Any, Literal, Self, get_args

from ..errors import ConfigError, setting
from .checks import check_number, check_one_of, check_whole

__all__ = ["KeyPositions", "LowerAttention", "NodeEncoding", "SampleAt", "Scope", "SharedLLMConfig", "known_policies"]

SampleAt = Literal["interval_end", "interval_start"]
KeyPositions = Literal["chunk", "local_plus_chunk"]
LowerAttention = Literal["causal", "full"]
NodeEncoding = Literal["alone", "shared"]
Scope = Literal["chunk", "past"]

_CHOICES = {
    "sample_at": SampleAt,
    "key_positions": KeyPositions,
    "lower_attention": LowerAttention,
    "node_encoding": NodeEncoding,
    "scope": Scope,
}
_MIN_INTEGERS = {
    "injection_layers": 1,
    "chunk_tokens": 1,
    "tree_depth": 0,
    "query_position_offset": 0,
    "min_injected_states": 0,
    "min_node_tokens": 1,
}
_MIN_OPTIONAL_INTEGERS = {"max_injected_states": 1, "sharpen_above": 2}
_MIN_NUMBERS = {"compression_ratio": 1, "split_noise_tokens": 0, "min_score_share": 0}
_COMPARES_CHUNKS = frozenset({"lexical", "search", "two_looks"})  # policies whose scores are comparable between chunks
_PAPER_LAYERS = 32  # the depth of LLaMA-2-7B, to which the paper's numbers of injected layers belong


def known_policies() -> tuple[str, ...]:
    """Return the names of the selection policies; each is a file of `selection/policies/`."""
    folder = Path(__file__).parents[1] / "selection" / "policies"
    return tuple(sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")))


@dataclass(frozen=True, kw_only=True)
class SharedLLMConfig:
    """Configuration of the method: compression, context trees, selection and injection (paper, section 3).

    This is not the model configuration of transformers. That is `SharedLLMModelConfig`: it holds a base model's
    configuration plus a `SharedLLMConfig` as `method`, and is stored in `config.json`. Pass a `SharedLLMConfig` to
    `SharedLLMForCausalLM.from_base`.

    Attributes:
        injection_layers: M, the number of injected layers, always the bottom ones; they make up the lower model.
        chunk_tokens: C, tokens per chunk of past context. The last chunk of a document may be shorter.
        tree_depth: h, levels of the context tree below the chunk, which is level 0.
        compression_ratio: β, past tokens per retained state, overall (≥ 1).
        policy: selects the half of a node that is split further. `"right"`: the most recent half. `"similarity"`: the
            half more similar to the query, by the selection vectors of last tokens. Beyond the paper, `"pooled"`:
            similarity of mean-pooled vectors; `"lexical"`: the half that shares more rare tokens with the query;
            `"two_looks"`: as `"lexical"`, plus a second search for the names in the best match. `"search"`: the half
            in which the text search of quoted reading finds more; for engines only.
        sample_at: which token of an interval keeps its state: the last (`"interval_end"`; its state depends on the
            whole interval) or the first (`"interval_start"`; the authors' code).
        key_positions: `"chunk"`: keys carry the position of their chunk. `"local_plus_chunk"`: plus their position in
            the node (the authors' code).
        lower_attention: attention of the lower model inside a node. `"causal"`: as in the upper model (the paper).
            `"full"`: bidirectional; beyond the paper, for models trained that way: the states of a value can depend on
            a name that follows it.
        node_encoding: `"alone"`: the lower model runs each node separately (the paper), so that encoding all nodes of a
            chunk costs one run of the chunk per level. `"shared"`: the states of all nodes come from one run of the
            whole chunk; beyond the paper, all nodes for the cost of one level. States then also depend on the text
            before their node in the chunk.
        query_position_offset: added to the position of the running text, which is 1 + the largest chunk position.
        split_noise_tokens: σ, standard deviation of the split point, in tokens. Used in training mode only.
        scope: what β applies to. `"chunk"`: to each chunk; a question retains one path through each tree (the paper).
            `"past"`: to the whole past context; beyond the paper, a best-first search over all trees spends the states
            on the best matches and retains other chunks whole. Needs policy `"lexical"`, `"two_looks"` or
            `"search"`.
        finest_compression_ratio: α_h, tokens per state at the finest level; by default β (h+1) / 2^h.
        min_injected_states: with scope `"past"`, the least budget of states per question. For short past contexts, β
            alone would leave too few states to reach a single leaf.
        max_injected_states: with scope `"past"`, the most states a question retains, whatever the length of the past
            context. If whole chunks would need more than half of them, the chunks with the lowest scores are left out
            and cannot contribute to the answer; at least one chunk is retained. By default there is no limit.
        min_score_share: with scope `"past"`, leaves below this share of the best leaf's score are not opened, even if
            the budget allows it, because weak matches distract the model.
        min_node_tokens: with scope `"past"`, nodes are not split into halves shorter than this; at deeper levels they
            are only retained with more states. Prevents short documents from being split into a few words each.
        sharpen_above: S₀, the number of states that the model was trained with. In a past context of S > S₀ states,
            the logits of the injection are multiplied by ln S / ln S₀, so that attention to a single state is not
            diluted. Beyond the paper; by default nothing is multiplied.
        split_after, split_before: token ids that end a sentence, and ids that may begin the next one (empty: any).
            Nodes and documents are preferably split at such borders, if one is within a quarter of the node or chunk;
            otherwise, and by default, nodes are split in the middle and documents after the last token that fits.
            `text.tokenization.sentence_borders` finds the ids for a tokenizer.
        quote_tokens: the most tokens of passages that a model with a trained injection quotes as well (engines only);
            0 for none.

    Raises:
        ConfigError: a value is out of range; the message names value, limit and remedy.
    """

    injection_layers: int
    chunk_tokens: int = 1024
    tree_depth: int = 3
    compression_ratio: float = 8
    policy: str = "similarity"
    sample_at: SampleAt = "interval_end"
    key_positions: KeyPositions = "chunk"
    lower_attention: LowerAttention = "causal"
    node_encoding: NodeEncoding = "alone"
    query_position_offset: int = 0
    split_noise_tokens: float = 4.0
    scope: Scope = "chunk"
    finest_compression_ratio: float | None = None
    min_injected_states: int = 0
    max_injected_states: int | None = None
    min_score_share: float = 0.0
    min_node_tokens: int = 1
    sharpen_above: int | None = None
    split_after: tuple[int, ...] = ()
    split_before: tuple[int, ...] = ()
    quote_tokens: int = 0

    def __post_init__(self) -> None:
        for name, minimum in _MIN_INTEGERS.items():
            check_whole(name, getattr(self, name), at_least=minimum)
        for name, minimum in _MIN_OPTIONAL_INTEGERS.items():
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), at_least=minimum)
        for name, minimum in _MIN_NUMBERS.items():
            check_number(name, getattr(self, name), at_least=minimum)
        if self.finest_compression_ratio is not None:
            check_number("finest_compression_ratio", self.finest_compression_ratio, at_least=1)
        for name, choices in _CHOICES.items():
            check_one_of(name, getattr(self, name), get_args(choices))
        check_one_of("policy", self.policy, known_policies())
        check_whole("quote_tokens", self.quote_tokens, at_least=0)
        self._check_ids("split_after")
        self._check_ids("split_before")
        self._check_halves()
        self._check_finest_level()
        self._check_scope()
        if self.node_encoding == "shared" and self.key_positions == "local_plus_chunk":
            raise ConfigError(
                f"{setting('node_encoding', 'shared')} takes states from a run of the whole chunk, in which keys have "
                "no position in their node",
                limit=f"and {setting('key_positions', 'local_plus_chunk')} needs one",
                remedy=f"use {setting('key_positions', 'chunk')}",
            )

    # ---------------------------------------------------------------------------------------------- presets

    @classmethod
    def language_modelling(cls, num_layers: int = _PAPER_LAYERS, **changes: Any) -> Self:
        """Return the paper's language-modelling preset: M = 4 of 32 layers, scaled to `num_layers`; policy `right`."""
        preset: dict[str, Any] = {"injection_layers": _scale_layers(num_layers, 4), "policy": "right"}
        return cls(**preset | changes)

    @classmethod
    def instruction(cls, num_layers: int = _PAPER_LAYERS, **changes: Any) -> Self:
        """Return the paper's instruction preset: M = 16 of 32 layers, scaled to `num_layers`; policy `similarity`."""
        preset: dict[str, Any] = {"injection_layers": _scale_layers(num_layers, 16), "policy": "similarity"}
        return cls(**preset | changes)

    @classmethod
    def encoder_decoder(cls, num_layers: int, **changes: Any) -> Self:
        """Return an encoder-decoder preset similar to CEPE, as a baseline.

        All layers encode whole chunks without compression, and all layers are injected.

        Args:
            num_layers: N, the depth of the base model.
            changes: other settings, such as `chunk_tokens`.
        """
        preset: dict[str, Any] = {
            "injection_layers": num_layers,
            "tree_depth": 0,
            "compression_ratio": 1,
            "policy": "right",
        }
        return cls(**preset | changes)

    def with_policy(self, policy: str) -> Self:
        """Return a copy with another policy; if its scores are not comparable between chunks, with scope `"chunk"`."""
        if policy in _COMPARES_CHUNKS or self.scope == "chunk":
            return replace(self, policy=policy)
        return replace(
            self,
            policy=policy,
            scope="chunk",
            min_injected_states=0,
            max_injected_states=None,
            min_score_share=0,
            min_node_tokens=1,
        )

    # ---------------------------------------------------------------------------------------------- derived

    def level_compression_ratio(self, level: int) -> Fraction:
        """Return α_w, tokens per state of a node retained at `level`: α_h 2^(h−w), exact; by default β (h+1) / 2^w."""
        if self.finest_compression_ratio is not None:
            return Fraction(str(self.finest_compression_ratio)) * 2 ** (self.tree_depth - level)
        return Fraction(str(self.compression_ratio)) * (self.tree_depth + 1) / 2**level

    def states_budget(self, past_tokens: int) -> int:
        """Return the budget of states per question for `past_tokens` tokens, with scope `"past"`.

        Without `max_injected_states`, whole chunks alone may exceed it.
        """
        budget = max(floor(past_tokens / Fraction(str(self.compression_ratio))), self.min_injected_states)
        return budget if self.max_injected_states is None else min(budget, self.max_injected_states)

    def sharpness(self, states: int) -> float:
        """Return the factor for the logits of the injection in a past context of `states` states."""
        if self.sharpen_above is None or states <= self.sharpen_above:
            return 1.0
        return log(states) / log(self.sharpen_above)

    @property
    def draws_splits(self) -> bool:
        """Whether split points are drawn in training mode."""
        return self.split_noise_tokens > 0 and self.scope == "chunk"

    @property
    def compares_vectors(self) -> bool:
        """Whether the policy compares selection vectors, which the lower model computes and the cache stores."""
        return self.policy not in {*_COMPARES_CHUNKS, "right"}

    def compares(self, level: int) -> bool:
        """Whether the policy may compare nodes of `level`, which need selection vectors then."""
        return self.compares_vectors and 0 < level < self.tree_depth

    @cached_property
    def sentence_tokens(self) -> tuple[frozenset[int], frozenset[int]]:
        """`split_after` and `split_before` as sets."""
        return frozenset(self.split_after), frozenset(self.split_before)

    def longest_node_tokens(self, chunk_tokens: int) -> int:
        """Return the tokens of the longest node of a chunk that the lower model runs.

        The whole chunk for a tree of depth 0, scope `"past"` or node encoding `"shared"`; otherwise half of it, or up
        to three quarters with `split_after`.
        """
        if self.tree_depth == 0 or self.scope == "past" or self.node_encoding == "shared":
            return chunk_tokens
        return ceil(chunk_tokens / 2) + (chunk_tokens // 4 if self.split_after else 0)

    def check_fits(self, num_layers: int) -> None:
        """Check this configuration against the depth of a base model.

        Raises:
            ConfigError: `injection_layers` is greater than `num_layers`.
        """
        if self.injection_layers > num_layers:
            raise ConfigError(
                setting("injection_layers", self.injection_layers),
                limit=f"but the base model has {num_layers} layers",
                remedy=f"use at most {num_layers}",
            )

    # ---------------------------------------------------------------------------------------------- saving

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Restore a configuration from the values of `to_dict`.

        Raises:
            ConfigError: an unknown setting, `injection_layers` is missing, or a value is out of range.
        """
        names = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - names):
            remedy = f"known are {sorted(names)}. A checkpoint written by a newer sharedllm needs that version"
            raise ConfigError(f"unknown settings {unknown}", remedy=remedy)
        if "injection_layers" not in values:
            raise ConfigError(
                f"{setting('injection_layers')} is missing",
                remedy="it has no default, give the number of injected layers",
            )
        return cls(**values)

    # ---------------------------------------------------------------------------------------------- checks

    def _check_ids(self, name: str) -> None:
        ids = getattr(self, name)
        if isinstance(ids, list):  # from JSON or YAML
            object.__setattr__(self, name, ids := tuple(ids))
        if not isinstance(ids, tuple) or not all(type(token_id) is int and token_id >= 0 for token_id in ids):
            raise ConfigError(f"{setting(name, ids)} is no tuple of token ids", remedy="give ids of 0 or more")

    def _check_scope(self) -> None:
        use_past = f"use {setting('scope', 'past')}"
        if self.scope == "chunk":
            if (limit := self.max_injected_states) is not None:
                raise ConfigError(
                    f"{setting('max_injected_states', limit)} limits a search over all chunks", remedy=use_past
                )
            for name, unused in (("min_injected_states", 0), ("min_score_share", 0), ("min_node_tokens", 1)):
                if (value := getattr(self, name)) != unused:
                    raise ConfigError(f"{setting(name, value)} is for a search over all chunks", remedy=use_past)
            return
        if self.policy not in _COMPARES_CHUNKS:
            raise ConfigError(
                f"{setting('scope', 'past')} compares nodes of different chunks",
                limit=f"and {setting('policy', self.policy)} only halves of one node",
                remedy=f"use {setting('policy', 'lexical')}, 'two_looks' or 'search'",
            )
        coarsest = self.level_compression_ratio(0)
        if self.tree_depth and coarsest <= Fraction(str(self.compression_ratio)):
            raise ConfigError(
                f"whole chunks have {float(coarsest):.3g} tokens per state, which is not above "
                f"{setting('compression_ratio', self.compression_ratio)}, so no states are left to split chunks",
                remedy=f"use a greater {setting('tree_depth')} or {setting('finest_compression_ratio')}",
            )

    def _check_halves(self) -> None:
        unit = 2**self.tree_depth
        if self.chunk_tokens % unit:
            depth = (self.chunk_tokens & -self.chunk_tokens).bit_length() - 1
            raise ConfigError(
                f"{setting('chunk_tokens', self.chunk_tokens)} cannot be halved {self.tree_depth} times",
                remedy=f"use a multiple of {unit} or {setting('tree_depth', depth)}",
            )

    def _check_finest_level(self) -> None:
        finest = self.level_compression_ratio(self.tree_depth)
        if finest < 1:
            ratio = ceil(Fraction(2**self.tree_depth, self.tree_depth + 1))
            raise ConfigError(
                f"{setting('compression_ratio', self.compression_ratio)} with {setting('tree_depth', self.tree_depth)} "
                f"needs {float(1 / finest):.3g} states per token at the finest level",
                limit="and each token has only one",
                remedy=f"use {setting('compression_ratio', ratio)} or more, or a smaller {setting('tree_depth')}",
            )


def _scale_layers(num_layers: int, paper_layers: int) -> int:
    return max(1, round(num_layers * paper_layers / _PAPER_LAYERS))
