"""Low-rank updates of a base model's weights, as an adapter stores them: two small matrices for each large one.

Such an update is merged when an adapter is loaded, so that a model with updates runs as fast as its base.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import CheckpointError

__all__ = ["LowRankUpdate", "is_part_of_update", "merge_updates", "tensors_of_updates", "updates_in_tensors"]

_PREFIX = "low_rank."
_DOWN, _UP = ".down", ".up"


@dataclass(frozen=True)
class LowRankUpdate:
    """What is added to a weight [outputs, inputs].

    Attributes:
        down: [rank, inputs].
        up: [outputs, rank], with the scale of the update in it.
    """

    down: Tensor
    up: Tensor

    @property
    def delta(self) -> Tensor:
        """The product of both [outputs, inputs], in float32."""
        return self.up.float() @ self.down.float()


def tensors_of_updates(updates: Mapping[str, LowRankUpdate]) -> dict[str, Tensor]:
    """Return the tensors that an adapter stores, by name."""
    tensors: dict[str, Tensor] = {}
    for name, update in updates.items():
        tensors[f"{_PREFIX}{name}{_DOWN}"] = update.down
        tensors[f"{_PREFIX}{name}{_UP}"] = update.up
    return tensors


def updates_in_tensors(tensors: Mapping[str, Tensor]) -> dict[str, LowRankUpdate]:
    """Find the updates among an adapter's tensors, by the name of the weight.

    Raises:
        CheckpointError: one of two matrices is missing, or they do not fit each other.
    """
    names = sorted({name.removesuffix(_DOWN).removesuffix(_UP) for name in tensors if is_part_of_update(name)})
    updates: dict[str, LowRankUpdate] = {}
    for name in names:
        down, up = tensors.get(name + _DOWN), tensors.get(name + _UP)
        if down is None or up is None or down.ndim != 2 or up.ndim != 2 or len(down) != up.shape[1]:
            raise CheckpointError(f"the adapter's update of {name} is incomplete", remedy="copy the adapter again")
        updates[name.removeprefix(_PREFIX)] = LowRankUpdate(down, up)
    return updates


def is_part_of_update(name: str) -> bool:
    """Whether an adapter's tensor belongs to an update."""
    return name.startswith(_PREFIX)


@torch.no_grad()
def merge_updates(state: Mapping[str, Tensor], updates: Mapping[str, LowRankUpdate]) -> None:
    """Add updates to the weights of a model, in place.

    Args:
        state: of the model.
        updates: by the names of the weights.

    Raises:
        CheckpointError: a weight does not exist, or has another shape.
    """
    for name, update in updates.items():
        weight = state.get(name)
        if weight is None or tuple(weight.shape) != (len(update.up), update.down.shape[1]):
            raise CheckpointError(f"the adapter's update of {name} does not fit the model", remedy="copy it again")
        weight.copy_((weight.float() + update.delta.to(weight.device)).to(weight.dtype))
