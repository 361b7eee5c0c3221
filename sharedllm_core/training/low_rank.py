"""Low-rank updates (LoRA, by PEFT) of the layers above the injected ones, while they are trained."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from ..errors import ConfigError, setting
from ..model.low_rank import LowRankUpdate
from ..model.modeling import SharedLLMForCausalLM

if TYPE_CHECKING:
    from peft.tuners.lora import LoraLayer

__all__ = ["add_updates", "has_updates", "rank_of", "remove_updates", "updates_of"]

_NAME = "default"  # PEFT's, of an adapter


def add_updates(
    model: SharedLLMForCausalLM, rank: int, dropout: float, known: Mapping[str, LowRankUpdate] | None = None
) -> None:
    """Put trainable updates on every linear layer above the injected ones, in place.

    Args:
        model: with the weights of its base.
        rank: of the updates.
        dropout: share of the updates' inputs that is left out in a step.
        known: updates to go on from; by default they begin as zero.

    Raises:
        ConfigError: `known` has updates of another rank, or of other layers.
    """
    from peft import LoraConfig, inject_adapter_in_model  # optional: sharedllm[train]

    layers = "|".join(str(n) for n in range(model.method.injection_layers, model.config.text_config.num_hidden_layers))
    # alpha = rank: an update is the plain product of its matrices.
    config = LoraConfig(
        r=rank,
        lora_alpha=rank,
        lora_dropout=dropout,
        target_modules=rf"model\.layers\.({layers})\..*_proj",
    )
    inject_adapter_in_model(config, model)
    if known:
        _go_on_from(dict(_layers(model)), known, rank)


def has_updates(model: SharedLLMForCausalLM) -> bool:
    """Whether there are updates on a model's layers."""
    return any(".lora_A." in name for name, _ in model.named_parameters())


def rank_of(updates: Mapping[str, LowRankUpdate]) -> int:
    """Return the rank of updates, of which there is at least one."""
    return len(next(iter(updates.values())).down)


def updates_of(model: SharedLLMForCausalLM) -> dict[str, LowRankUpdate]:
    """Return the updates that were trained, by the weights' names."""
    updates: dict[str, LowRankUpdate] = {}
    for name, layer in _layers(model):
        down: Any = layer.lora_A[_NAME]
        up: Any = layer.lora_B[_NAME]
        scaled = up.weight.detach() * layer.scaling[_NAME]
        updates[f"{name}.weight"] = LowRankUpdate(down.weight.detach().clone(), scaled)
    return updates


def remove_updates(model: SharedLLMForCausalLM) -> None:
    """Take the updates off again; the weights are those of the base."""
    for name, layer in _layers(model):
        parent, _, own_name = name.rpartition(".")
        setattr(model.get_submodule(parent), own_name, layer.get_base_layer())


def _layers(model: SharedLLMForCausalLM) -> "list[tuple[str, LoraLayer]]":
    from peft.tuners.lora import LoraLayer

    return [(name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer)]


@torch.no_grad()
def _go_on_from(layers: "dict[str, LoraLayer]", known: Mapping[str, LowRankUpdate], rank: int) -> None:
    if other := sorted({f"{name}.weight" for name in layers} ^ known.keys()):
        raise ConfigError(f"the model has low-rank updates of other layers: {other[0]}", remedy="begin from its base")
    for name, layer in layers.items():
        update = known[f"{name}.weight"]
        if len(update.down) != rank:
            raise ConfigError(
                f"{setting('lora_rank', rank)}, and the model's low-rank updates have {len(update.down)}",
                remedy="give that",
            )
        down: Any = layer.lora_A[_NAME].weight
        up: Any = layer.lora_B[_NAME].weight
        down.copy_(update.down)
        up.copy_(update.up / layer.scaling[_NAME])
