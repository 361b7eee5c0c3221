"""FSDP: weights, gradients and optimizer states in shards, one per process, under `accelerate launch --use_fsdp`.

The lower model calls parts of the bottom layers, the embeddings and the norm, so these must be whole for as long as a
forward pass lasts: they are the root unit, which stays gathered until its backward pass has ended. Each injection and
each upper layer is only ever called as a whole, and is a unit of its own: gathered while it runs, and no longer. Which
units there are follows from the model, so accelerate's own wrap policy is not asked.

Arithmetic is that of one process: trained weights are gathered as they are (float32), autocast makes bfloat16 of them.
"""

import os
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import Trainer

from ..errors import ConfigError, setting
from ..model.modeling import SharedLLMForCausalLM
from .config import TrainingConfig

__all__ = ["check_sharding", "gather", "shard", "start_sharding"]

_REFUSED = {
    "FSDP_ACTIVATION_CHECKPOINTING": "write gradient_checkpointing: true into the training configuration instead",
    "FSDP_OFFLOAD_PARAMS": "use more processes",
}


def check_sharding(config: TrainingConfig) -> None:
    """Check what the launcher asks of FSDP, before anything is loaded.

    Raises:
        ConfigError: FSDP of version 1, or something that it cannot do.
    """
    if not _is_asked_for():
        return
    if (version := os.environ.get("FSDP_VERSION", "1")) != "2":
        raise ConfigError(
            f"FSDP of version {version} is not supported, since its units hold weights of one type only",
            remedy="give --fsdp_version 2, or fsdp_version: 2 under fsdp_config",
        )
    for name, remedy in _REFUSED.items():
        if os.environ.get(name, "false").lower() in ("true", "1"):
            raise ConfigError(f"{name.lower()}=true is not supported", remedy=remedy)
    if config.trained == "injection+lora":
        raise ConfigError(
            f"{setting('trained', config.trained)} cannot be sharded (FSDP)",
            remedy="run it in one process, or train the upper layers whole",
        )
    if config.optimizer != "adamw":
        raise ConfigError(
            f"{setting('optimizer', config.optimizer)} cannot work on shards (FSDP)",
            remedy="use adamw, which is sharded, too",
        )


def start_sharding(trainer: Trainer) -> None:
    """Let a trainer's accelerator shard on CPUs, too, where accelerate would quietly keep whole copies."""
    from accelerate import PartialState
    from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin  # optional: sharedllm[train]

    state = trainer.accelerator.state
    if _is_asked_for() and state.distributed_type == DistributedType.MULTI_CPU:
        state.distributed_type = PartialState().distributed_type = DistributedType.FSDP
        state.fsdp_plugin = FullyShardedDataParallelPlugin()
        trainer.is_fsdp_enabled = True


def shard(model: SharedLLMForCausalLM, device: torch.device) -> None:
    """Give each process its part of the weights, in place, and move it to the kind of `device`."""
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    layers: Any = model.model.layers
    for unit in (*model.injection, *layers[model.method.injection_layers :]):
        fully_shard(unit, mesh=mesh, reshard_after_forward=True)
    fully_shard(model, mesh=mesh, reshard_after_forward=False)


def gather(trainer: Trainer, dtype: torch.dtype) -> SharedLLMForCausalLM | None:
    """The whole model of a trainer's shards, in `dtype` on the CPU; `None` in all processes but the first.

    Every process must call this.
    """
    state = trainer.accelerator.get_state_dict(trainer.model)
    if not trainer.is_world_process_zero():
        return None
    with torch.device("meta"):
        whole = SharedLLMForCausalLM(trainer.model.config)
    whole.load_state_dict({name: weight.to(dtype) for name, weight in state.items()}, assign=True)
    whole.tie_weights()
    return whole


def _is_asked_for() -> bool:
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
