"""`SharedLLMConfig`: every number of the method, checked once, in one place.

The names are the paper's (arXiv 2603.04759). Nothing here knows torch or transformers; what depends on the base
model's depth is checked by `check_fits` when the two meet.
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
_LEAST_WHOLE = {
    "injection_layers": 1,
    "chunk_tokens": 1,
    "tree_depth": 0,
    "query_position_offset": 0,
    "min_injected_states": 0,
    "min_node_tokens": 1,
}
_LEAST_IF_GIVEN = {"max_injected_states": 1, "sharpen_above": 2}
_LEAST_NUMBER = {"compression_ratio": 1, "split_noise_tokens": 0, "min_score_share": 0}
_COMPARES_CHUNKS = frozenset({"lexical", "two_looks"})  # policies whose scores can be compared between chunks
_PAPER_LAYERS = 32  # the depth of LLaMA-2-7B, to which the paper's numbers of injected layers belong


def known_policies() -> tuple[str, ...]:
    """The selection policies: one file of `selection/policies/` each, named like the policy."""
    folder = Path(__file__).parents[1] / "selection" / "policies"
    return tuple(sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")))


@dataclass(frozen=True, kw_only=True)
class SharedLLMConfig:
    """The numbers of the method (paper, section 3).

    Attributes:
        injection_layers: M, how many layers, always the bottom ones, are injected and make up the lower model.
        chunk_tokens: C, tokens in a chunk of past context. The last chunk of a document may be shorter.
        tree_depth: h, levels of the context tree below the chunk, which is level 0.
        compression_ratio: β, past tokens per retained state, overall (≥ 1).
        policy: which half of a node is split further: `"right"` (the most recent), `"similarity"` (to the query, by
            last tokens), and beyond the paper `"pooled"` (by means), `"lexical"` (more of the query's rare tokens) and
            `"two_looks"` (these, and then what the best place found names in its turn).
        sample_at: which token of an interval is kept: its last (`"interval_end"`, which has seen the whole interval)
            or its first (`"interval_start"`, the authors' code).
        key_positions: `"chunk"`: keys carry the position of their chunk alone; `"local_plus_chunk"`: also their place
            in the node (the authors' code).
        lower_attention: how the lower model reads a node. `"causal"`: each token sees those before it, as in the upper
            model (the paper). `"full"`: each sees the whole node; beyond the paper, for models trained so: a value
            that stands before its name then knows whose it is.
        node_encoding: `"alone"`: each node is run by itself (the paper), so that a tree of all nodes costs a run of the
            chunk for every level. `"shared"`: the states of all nodes are taken from one run of the whole chunk; beyond
            the paper, all nodes for the cost of one level. States then know what stands before the node in its chunk.
        query_position_offset: added to the running text's position, which is 1 + the largest chunk position.
        split_noise_tokens: σ, standard deviation of the split point in tokens. Used in training mode only.
        scope: of what β is the ratio. `"chunk"`: of each chunk, of which every question retains one path through the
            tree (the paper). `"past"`: of the whole past context; beyond the paper, best-first search over all trees
            spends the states where a question finds most, and retains other chunks whole. Needs policy `"lexical"` or
            `"two_looks"`.
        finest_compression_ratio: α_h, tokens per state at the finest level; by default β (h+1) / 2^h.
        min_injected_states: with scope `"past"`, what a question may always retain: of short past contexts β would
            leave too little to reach even one leaf.
        max_injected_states: with scope `"past"`, the most states a question retains, however long the past context is.
            Where whole chunks would be more than half of them, those in which a question finds least are left out, and
            an answer cannot rest on them; one chunk is always retained. By default no limit.
        min_score_share: with scope `"past"`, leaves that score less than this share of the best leaf's are not looked
            for, even where states are left: what says little only distracts.
        min_node_tokens: with scope `"past"`, nodes are not halved into shorter ones; from level to level they are only
            retained more finely. Without it, short documents would fall into pieces of a few words.
        sharpen_above: S₀, a number of states that a model was trained with; in a past context of more, S, the logits of
            the injection are multiplied by ln S / ln S₀, so that one state is found among many times more. Beyond the
            paper; by default nothing is multiplied.
        split_after, split_before: token ids that end a sentence, and those that may begin the next one (none given:
            any). Nodes are split and documents cut into chunks between two such where that is near, a quarter of the
            node or chunk at most; by default in the middle, and behind the last token that fits.
            `tokenization.sentence_borders` knows a tokenizer's.
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
        for name, least in _LEAST_WHOLE.items():
            check_whole(name, getattr(self, name), at_least=least)
        for name, least in _LEAST_IF_GIVEN.items():
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), at_least=least)
        for name, least in _LEAST_NUMBER.items():
            check_number(name, getattr(self, name), at_least=least)
        if self.finest_compression_ratio is not None:
            check_number("finest_compression_ratio", self.finest_compression_ratio, at_least=1)
        for name, kind in _CHOICES.items():
            check_one_of(name, getattr(self, name), get_args(kind))
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
                "no places in their nodes",
                limit=f"and {setting('key_positions', 'local_plus_chunk')} keeps those",
                remedy=f"use {setting('key_positions', 'chunk')}",
            )

    # ---------------------------------------------------------------------------------------------- presets

    @classmethod
    def language_modelling(cls, num_layers: int = _PAPER_LAYERS, **changes: Any) -> Self:
        """The paper's language-modelling setting, M = 4 of 32 layers and policy `right`, scaled to `num_layers`."""
        preset: dict[str, Any] = {"injection_layers": _share_of(num_layers, 4), "policy": "right"}
        return cls(**preset | changes)

    @classmethod
    def instruction(cls, num_layers: int = _PAPER_LAYERS, **changes: Any) -> Self:
        """The paper's instruction-tuning setting, M = 16 of 32 and policy `similarity`, scaled to `num_layers`."""
        preset: dict[str, Any] = {"injection_layers": _share_of(num_layers, 16), "policy": "similarity"}
        return cls(**preset | changes)

    @classmethod
    def encoder_decoder(cls, num_layers: int, **changes: Any) -> Self:
        """An encoder-decoder in the manner of CEPE, to compare with.

        All layers encode whole chunks, nothing is compressed, and all layers are injected.

        Args:
            num_layers: N, the depth of the base model.
            changes: other values, such as `chunk_tokens`.
        """
        preset: dict[str, Any] = {
            "injection_layers": num_layers,
            "tree_depth": 0,
            "compression_ratio": 1,
            "policy": "right",
        }
        return cls(**preset | changes)

    def with_policy(self, policy: str) -> Self:
        """The same numbers with another policy; one path for each chunk where it cannot compare chunks."""
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
        """α_w, tokens per state for a node retained at `level`: α_h 2^(h−w), exactly; by default β (h+1) / 2^w."""
        if self.finest_compression_ratio is not None:
            return Fraction(str(self.finest_compression_ratio)) * 2 ** (self.tree_depth - level)
        return Fraction(str(self.compression_ratio)) * (self.tree_depth + 1) / 2**level

    def states_budget(self, past_tokens: int) -> int:
        """With scope `"past"`, the most states a question retains of so many tokens.

        Whole chunks may need more where there is no `max_injected_states`.
        """
        budget = max(floor(past_tokens / Fraction(str(self.compression_ratio))), self.min_injected_states)
        return budget if self.max_injected_states is None else min(budget, self.max_injected_states)

    def sharpness(self, states: int) -> float:
        """What the logits of the injection are multiplied by in a past context of so many states."""
        if self.sharpen_above is None or states <= self.sharpen_above:
            return 1.0
        return log(states) / log(self.sharpen_above)

    @property
    def compares_vectors(self) -> bool:
        """Whether the policy compares selection vectors, which the lower model makes and the cache keeps."""
        return self.policy not in {*_COMPARES_CHUNKS, "right"}

    def compares(self, level: int) -> bool:
        """Whether the policy may compare nodes of `level`, which then have selection vectors."""
        return self.compares_vectors and 0 < level < self.tree_depth

    @cached_property
    def sentence_tokens(self) -> tuple[frozenset[int], frozenset[int]]:
        """`split_after` and `split_before`, to look tokens up in."""
        return frozenset(self.split_after), frozenset(self.split_before)

    def longest_node_tokens(self, chunk_tokens: int) -> int:
        """Tokens in the longest node that the lower model runs of a chunk.

        Half of it, or all for a tree of depth 0, for scope `"past"` and for nodes that share a run; with `split_after`
        up to three quarters.
        """
        if self.tree_depth == 0 or self.scope == "past" or self.node_encoding == "shared":
            return chunk_tokens
        return ceil(chunk_tokens / 2) + (chunk_tokens // 4 if self.split_after else 0)

    def check_fits(self, num_layers: int) -> None:
        """Check this configuration against a base model's depth.

        Raises:
            ConfigError: more injection layers than layers.
        """
        if self.injection_layers > num_layers:
            raise ConfigError(
                setting("injection_layers", self.injection_layers),
                limit=f"but the base model has {num_layers} layers",
                remedy=f"use at most {num_layers}",
            )

    # ---------------------------------------------------------------------------------------------- saving

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The configuration that `to_dict` wrote.

        Raises:
            ConfigError: a name that this version does not know, or a missing one.
        """
        names = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - names):
            raise ConfigError(
                f"unknown settings {unknown}",
                remedy=f"known are {sorted(names)}. A checkpoint written by a newer sharedllm needs that version",
            )
        if "injection_layers" not in values:
            raise ConfigError(
                f"{setting('injection_layers')} is missing",
                remedy="it has no default, give the number of injected layers",
            )
        return cls(**values)

    # ---------------------------------------------------------------------------------------------- checks

    def _check_ids(self, name: str) -> None:
        ids = getattr(self, name)
        if isinstance(ids, list):  # as JSON and YAML have it
            object.__setattr__(self, name, ids := tuple(ids))
        if not isinstance(ids, tuple) or not all(type(one) is int and one >= 0 for one in ids):
            raise ConfigError(f"{setting(name, ids)} is no tuple of token ids", remedy="give ids of 0 or more")

    def _check_scope(self) -> None:
        use_past = f"use {setting('scope', 'past')}"
        if self.scope == "chunk":
            if (most := self.max_injected_states) is not None:
                raise ConfigError(
                    f"{setting('max_injected_states', most)} limits a search over all chunks", remedy=use_past
                )
            for name, none in (("min_injected_states", 0), ("min_score_share", 0), ("min_node_tokens", 1)):
                if (value := getattr(self, name)) != none:
                    raise ConfigError(f"{setting(name, value)} is for a search over all chunks", remedy=use_past)
            return
        if self.policy not in _COMPARES_CHUNKS:
            raise ConfigError(
                f"{setting('scope', 'past')} compares nodes of different chunks",
                limit=f"and {setting('policy', self.policy)} only halves of one node",
                remedy=f"use {setting('policy', 'lexical')} or 'two_looks'",
            )
        coarsest = self.level_compression_ratio(0)
        if self.tree_depth and coarsest <= Fraction(str(self.compression_ratio)):
            raise ConfigError(
                f"whole chunks have {float(coarsest):.3g} tokens per state, and all that is retained should have "
                f"{setting('compression_ratio', self.compression_ratio)}, so nothing is left to split with",
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
            least = Fraction(2**self.tree_depth, self.tree_depth + 1)
            raise ConfigError(
                f"{setting('compression_ratio', self.compression_ratio)} with {setting('tree_depth', self.tree_depth)} "
                f"asks for {float(1 / finest):.3g} states per token at the finest level",
                limit="and there is only one",
                remedy=f"use {setting('compression_ratio', ceil(least))} or more, or a smaller {setting('tree_depth')}",
            )


def _share_of(num_layers: int, paper_layers: int) -> int:
    return max(1, round(num_layers * paper_layers / _PAPER_LAYERS))
