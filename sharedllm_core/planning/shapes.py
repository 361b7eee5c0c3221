"""The shape of a base model: what its costs follow from, and how many parameters it has.

A shape is read from a configuration of transformers, or from the `config.json` of a checkpoint folder, plain or
sharedllm. No weights are read.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from ..errors import CheckpointError, ConfigError, UnsupportedBaseError, setting
from ..method.checks import check_whole

__all__ = ["COPY_AGAIN", "ModelShape", "bytes_of_dtype", "read_json"]

#: What to do about a damaged `config.json`.
COPY_AGAIN = "copy the checkpoint again"

_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


def bytes_of_dtype(dtype: str) -> int:
    """Bytes of one number of `dtype`.

    Raises:
        ConfigError: a dtype that weights are not kept in.
    """
    name = dtype.removeprefix("torch.")
    if name not in _BYTES:
        raise ConfigError(f"{setting('dtype', dtype)} is not known", remedy=f"use one of {', '.join(_BYTES)}")
    return _BYTES[name]


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """The sizes of a Llama, Mistral, Qwen2 or Qwen3 model.

    Attributes:
        layers: N, decoder layers.
        hidden: width of the hidden states.
        intermediate: width of the MLP.
        heads: query heads.
        kv_heads: key/value heads.
        head_size: numbers in one head.
        vocabulary: tokens in the vocabulary.
        window_tokens: the most tokens that the model's positions reach.
        bytes_per_parameter: of weights, states and keys and values alike.
        tied: whether the output head is the embedding table.
        query_key_norms: whether heads have norms of queries and keys (Qwen3).
        qkv_bias: whether the projections to queries, keys and values have biases (Qwen2).
        output_bias: whether attention's output projection has one.
        mlp_bias: whether the MLP's projections have.

    Raises:
        ConfigError: a size that is no whole number of at least 1, or heads that cannot share key/value heads.
    """

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    window_tokens: int
    bytes_per_parameter: int = 2
    tied: bool = False
    query_key_norms: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.type is int:
                check_whole(field.name, getattr(self, field.name), at_least=1)
        if self.heads % self.kv_heads:
            raise ConfigError(
                f"heads={self.heads} cannot share kv_heads={self.kv_heads} evenly",
                remedy=f"give a divisor of {self.heads}",
            )

    # ---------------------------------------------------------------------------------------------- reading

    @classmethod
    def from_config(cls, config: Any) -> Self:
        """The shape that a configuration describes.

        Args:
            config: a configuration of transformers, its dictionary, or a checkpoint's folder. Of a sharedllm
                configuration it is the base model's. Where no dtype is named it is float32, as torch has it;
                quantised weights are counted at the dtype that is named.

        Raises:
            CheckpointError: the folder has no readable `config.json`, or a size is missing in it.
            UnsupportedBaseError: the base model's family is not supported.
            ConfigError: a size or dtype that cannot be.
        """
        values, source = _values(config)
        family = values.get("model_type")
        if family not in _FAMILY_DEFAULTS:
            raise UnsupportedBaseError(
                f"{source} is of type {family!r}, whose parameters cannot be counted",
                remedy=f"use one of {', '.join(_FAMILY_DEFAULTS)}",
            )
        # A configuration says None for what follows from other sizes.
        said = _FAMILY_DEFAULTS[family] | {name: value for name, value in values.items() if value is not None}
        if missing := [name for name in _SIZES if name not in said]:
            raise CheckpointError(f"{source} says nothing of {missing[0]!r}", remedy="give a complete configuration")
        heads, hidden = said["num_attention_heads"], said["hidden_size"]
        check_whole("num_attention_heads", heads, at_least=1)
        check_whole("hidden_size", hidden, at_least=1)
        return cls(
            layers=said["num_hidden_layers"],
            hidden=hidden,
            intermediate=said["intermediate_size"],
            heads=heads,
            kv_heads=said.get("num_key_value_heads", heads),
            head_size=said.get("head_dim", hidden // heads),
            vocabulary=said["vocab_size"],
            window_tokens=said["max_position_embeddings"],
            bytes_per_parameter=bytes_of_dtype(str(said.get("dtype", said.get("torch_dtype", "float32")))),
            tied=said["tie_word_embeddings"],
            query_key_norms=family == "qwen3",
            qkv_bias=said["qkv_bias"] or said["attention_bias"],
            output_bias=said["attention_bias"],
            mlp_bias=said["mlp_bias"],
        )

    # ---------------------------------------------------------------------------------------------- parameters

    @property
    def query_width(self) -> int:
        """Numbers in all query heads of a token."""
        return self.heads * self.head_size

    @property
    def kv_width(self) -> int:
        """Numbers in all keys, or all values, of a token in one layer."""
        return self.kv_heads * self.head_size

    @property
    def layer_matrix_elements(self) -> int:
        """Elements of the matrices that each token passes in a layer: q, k, v, o, and the MLP's three."""
        return self.hidden * (2 * self.query_width + 2 * self.kv_width + 3 * self.intermediate)

    @property
    def injection_matrix_elements(self) -> int:
        """Elements of the matrices that each token passes in one layer's injection: W_q' and W_o'."""
        return 2 * self.hidden * self.query_width

    @property
    def layer_parameters(self) -> int:
        """Parameters of a decoder layer: matrices, biases, two norms, and norms of queries and keys."""
        biases = self.qkv_bias * (self.query_width + 2 * self.kv_width) + self.output_bias * self.hidden
        biases += self.mlp_bias * (2 * self.intermediate + self.hidden)
        return self.layer_matrix_elements + biases + 2 * self.hidden + self.query_key_norms * 2 * self.head_size

    @property
    def embedding_parameters(self) -> int:
        """Elements of the embedding table."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """Parameters of the base model; a tied head counts once."""
        tables = self.embedding_parameters * (1 if self.tied else 2)
        return tables + self.layers * self.layer_parameters + self.hidden

    @property
    def parameters_read(self) -> int:
        """Parameters that one forward pass reads: all but the embedding table, unless that is the head as well."""
        return self.parameters - (0 if self.tied else self.embedding_parameters)

    def injection_parameters(self, injection_layers: int) -> int:
        """Parameters that the injection adds: in each of M layers W_q', W_o', a norm, and q's bias and norm if any."""
        extra = self.hidden + self.qkv_bias * self.query_width + self.query_key_norms * self.head_size
        return injection_layers * (self.injection_matrix_elements + extra)


_SIZES = (
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "vocab_size",
    "max_position_embeddings",
)
_NO_BIAS: dict[str, Any] = {
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
    "qkv_bias": False,
}

#: What a family's configuration means by leaving something out.
_FAMILY_DEFAULTS: dict[str, dict[str, Any]] = {
    "llama": _NO_BIAS,
    "mistral": _NO_BIAS,
    "qwen2": _NO_BIAS | {"qkv_bias": True},
    "qwen3": _NO_BIAS | {"head_dim": 128},
}


def _values(config: Any) -> tuple[dict[str, Any], str]:
    """The base model's values, and what to call their source in a message."""
    if isinstance(config, str | Path):
        values, source = read_json(Path(config)), str(Path(config) / "config.json")
    else:
        source = f"the {type(config).__name__} given"
        values = dict(config) if isinstance(config, Mapping) else _attributes(config)
    if values.get("model_type") != "sharedllm":
        return values, source
    base = values.get("text_config")
    if not isinstance(base, dict):
        raise CheckpointError(f"{source} says nothing of its base model under 'text_config'", remedy=COPY_AGAIN)
    return {"dtype": values.get("dtype")} | base, source


def _attributes(config: Any) -> dict[str, Any]:
    if hasattr(config, "to_dict"):
        values: dict[str, Any] = config.to_dict()
        return values
    if not hasattr(config, "__dict__"):
        raise ConfigError(
            f"config={config!r} is no configuration", remedy="give one of transformers, its dictionary, or a folder"
        )
    return vars(config)


def read_json(folder: Path) -> dict[str, Any]:
    """What the `config.json` of a checkpoint's folder says.

    Raises:
        CheckpointError: there is none, or it is not a JSON object.
    """
    file = folder / "config.json"
    if not file.is_file():
        raise CheckpointError(
            f"{folder} is not a checkpoint: it has no config.json", remedy="give a folder of save_pretrained"
        )
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read as JSON ({error})", remedy=COPY_AGAIN) from error
    if isinstance(values, dict):
        return values
    raise CheckpointError(f"{file} holds no JSON object", remedy=COPY_AGAIN)
