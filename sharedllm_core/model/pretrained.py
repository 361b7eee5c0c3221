"""Load a model with injection from a base, an adapter or a full checkpoint, and save it.

`checkpoint.py` reads and writes the files; this module applies them to the model.
"""

import copy
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedModel

from ..errors import BaseWeightsWarning, CheckpointError, ConfigError, SharedLLMError, setting
from ..method.config import SharedLLMConfig
from . import checkpoint
from .base_families import check_base, check_base_type
from .configuration import SharedLLMModelConfig
from .low_rank import LowRankUpdate, is_part_of_update, merge_updates, tensors_of_updates, updates_in_tensors
from .lower_model import LowerModel

__all__ = ["Preset", "PretrainedMixin"]

Preset = Literal["language_modelling", "instruction"]


class PretrainedMixin(PreTrainedModel):
    """Add `from_base`, `from_pretrained`, `save_adapter` and `save_pretrained` to the model."""

    # `from_base` initialises the injection; `from_pretrained` checks that a full checkpoint has all of it.
    _keys_to_ignore_on_load_missing = [r"^injection\."]

    injection: nn.ModuleList
    lower_model: LowerModel

    def reset_injection(self) -> None:
        """Initialise the injection: copies of the layers' weights, and a zero output projection."""
        injections: Any = self.injection
        for injection, layer in zip(injections, self.lower_model.layers, strict=True):
            injection.reset(layer)

    @property
    def has_trained_injection(self) -> bool:
        """Whether the injection was trained: an untrained one has output projections of zeros."""
        layers: Any = self.injection
        # Row by row: the first row of a trained injection is not zero.
        return any(bool(row.any()) for layer in layers for row in layer.o_proj.weight)

    # ---------------------------------------------------------------------------------------------- loading

    @classmethod
    def from_base(cls, base: str | Path, config: SharedLLMConfig | Preset = "instruction", **kwargs: Any) -> Self:
        """Add an untrained injection to a base model; it has no effect until trained.

        Args:
            base: folder or hub id of a Llama, Mistral, Qwen2 or Qwen3 checkpoint in safetensors.
            config: the configuration of the method, or the name of a preset, scaled to the base's depth.
            kwargs: passed to transformers' `from_pretrained` (`dtype`, `device_map`, `attn_implementation`, …).

        Raises:
            CheckpointError: not a checkpoint, or one that already has an injection.
            UnsupportedBaseError: an unsupported family or kind of RoPE.
            ConfigError: a configuration that does not fit the base.
        """
        return _with_loading_info(*cls._load_base(base, config, **kwargs), kwargs)

    @classmethod
    def from_pretrained(cls, name: str | Path, *args: Any, base: str | Path | None = None, **kwargs: Any) -> Self:
        """Load a full checkpoint or an adapter.

        Args:
            name: folder or hub id.
            base: location of an adapter's base model, if it has moved since the adapter was saved.
            args, kwargs: passed to transformers' `from_pretrained` (`dtype`, `device_map`, `attn_implementation`, …).

        Raises:
            CheckpointError: not a checkpoint of this library, an incomplete or damaged one, or a base model whose
                weights are not those the adapter was made for.
        """
        folder = checkpoint.checkpoint_folder(name, **kwargs)
        if (kind := checkpoint.model_type(folder)) != SharedLLMModelConfig.model_type:
            raise CheckpointError(
                f"{name} is a {kind!r} model without injection",
                remedy="add one with from_base",
            )
        saved = _saved_config(folder)
        if checkpoint.has_adapter(folder):
            return _with_loading_info(*cls._load_adapter(folder, saved, base, **kwargs), kwargs)
        if base is not None:
            raise CheckpointError(
                f"{name} is a full checkpoint and needs no base",
                remedy=f"leave {setting('base', str(base))} out",
            )
        model, info = cls._load(folder, *args, **kwargs)
        checkpoint.check_names(folder, [name for name in model.state_dict() if name.startswith("injection.")])
        return _with_loading_info(model, info, kwargs)

    @classmethod
    def _load_base(
        cls, base: str | Path, config: SharedLLMConfig | Preset, **kwargs: Any
    ) -> tuple[Self, dict[str, Any]]:
        folder = checkpoint.checkpoint_folder(base, **kwargs)
        kind = checkpoint.model_type(folder)
        if kind == SharedLLMModelConfig.model_type:
            raise CheckpointError(
                f"{base} has an injection already",
                remedy="load it with from_pretrained",
            )
        check_base_type(kind)
        text_config = AutoConfig.from_pretrained(folder)
        check_base(text_config)
        method = _preset(config, text_config.num_hidden_layers) if isinstance(config, str) else config
        method.check_fits(text_config.num_hidden_layers)
        model_config = SharedLLMModelConfig(
            text_config=text_config,
            method=method,
            base=str(Path(base).resolve() if Path(base).is_dir() else base),
            base_revision=kwargs.get("revision"),
        )
        model, info = cls._load(folder, config=model_config, **kwargs)
        model.reset_injection()
        return model, info

    @classmethod
    def _load_adapter(
        cls, folder: Path, saved: SharedLLMModelConfig, base: str | Path | None, **kwargs: Any
    ) -> tuple[Self, dict[str, Any]]:
        adapter = checkpoint.read_adapter(folder)
        config = kwargs.pop("config", None) or saved  # AutoModelForCausalLM passes overrides in `config`
        location = str(base or config.base)
        loading = checkpoint.drop_repository_arguments(kwargs)
        if location == saved.base and saved.base_revision:
            loading["revision"] = saved.base_revision
        try:
            base_folder = checkpoint.checkpoint_folder(location, **loading)
        except CheckpointError as error:
            raise CheckpointError(
                f"the adapter's base model: {error.what}",
                limit=error.limit,
                remedy=[*error.remedies, f"give its location as {setting('base')}=…"],
            ) from error
        _check_base_weights(folder, adapter, location, base_folder)
        tensors = checkpoint.read_adapter_tensors(folder, adapter)
        loading.setdefault("dtype", saved.dtype)
        if config._attn_implementation:
            loading.setdefault("attn_implementation", config._attn_implementation)
        model, info = cls._load_base(location, saved.method, **loading)
        model.name_or_path = model.config._name_or_path = str(folder)  # the adapter's, not its base's
        own = model.state_dict()
        model._take_updates(updates_in_tensors(tensors), own)
        for name, tensor in tensors.items():
            if is_part_of_update(name):
                continue
            if name not in own or own[name].shape != tensor.shape:
                raise CheckpointError(
                    f"{name} of the adapter in {folder} does not fit the model",
                    remedy="copy the adapter again",
                )
            with torch.no_grad():
                own[name].copy_(tensor)
        return model, info

    @classmethod
    def _load(cls, folder: Path, *args: Any, **kwargs: Any) -> tuple[Self, dict[str, Any]]:
        checkpoint.check_weights(folder)
        if isinstance(devices := kwargs.get("device_map"), dict):
            injected = [f"model.layers.{i}" for i in range(_num_injected_layers(folder, kwargs))]
            if any(
                devices.get(name) == "disk"
                for name in ("", "model", "model.embed_tokens", "model.layers", "injection", *injected)
            ):
                raise _offloading_error()
        kwargs = checkpoint.drop_hub_arguments(kwargs) | {
            "output_loading_info": True,
            "use_safetensors": True,
            "ignore_mismatched_sizes": True,  # reported below as CheckpointError
        }
        try:
            model, info = super().from_pretrained(folder, *args, **kwargs)
        except SafetensorError as error:
            raise CheckpointError(
                f"the weights in {folder} are damaged ({error})",
                remedy="copy the checkpoint again",
            ) from error
        if missing := sorted(info["missing_keys"]):
            raise CheckpointError(
                f"{folder} lacks {len(missing)} tensors, {missing[0]} among them",
                remedy="copy all its files",
            )
        if mismatched := sorted(str(key) for key in info["mismatched_keys"]):
            raise CheckpointError(
                f"{len(mismatched)} tensors in {folder} have other shapes than its config.json says, "
                f"{mismatched[0]} among them",
                remedy="copy the checkpoint again",
            )
        if any(weight.is_meta for part in (model.injection, *model.lower_model.layers) for weight in part.parameters()):
            raise _offloading_error()
        return model, info

    def _take_updates(self, updates: dict[str, LowRankUpdate], state: dict[str, Tensor]) -> None:
        """Take over an adapter's low-rank updates; training overrides this to go on with them."""
        merge_updates(state, updates)

    # ---------------------------------------------------------------------------------------------- saving

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """Save a full checkpoint as transformers does, and delete an adapter in the folder, which would shadow it."""
        super().save_pretrained(save_directory, **kwargs)
        checkpoint.remove_adapter(Path(save_directory))

    def save_adapter(
        self,
        folder: str | Path,
        base: str | Path | None = None,
        max_shard_size: str = "5GB",
        updates: Mapping[str, LowRankUpdate] | None = None,
        other_bases: Sequence[str] = (),
        base_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Save the injection, if it is trained, and those upper layers that differ from the base model's.

        Args:
            folder: the target folder; created if missing.
            base: location of the base model, if it has moved since `from_base`.
            updates: low-rank updates that were trained beside this model's own weights, by the weights' names.
            other_bases: hub ids and folders with the base in another precision, on which the adapter may be loaded as
                well, with a `BaseWeightsWarning`.
            base_name: what the adapter calls its base, in place of its location: a short name of `SharedLLMEngine`.
            max_shard_size: maximum size of a file of weights.
            kwargs: hub arguments (`cache_dir`, `token`, …), if the base is a hub id.

        Raises:
            CheckpointError: the base model was not found; bottom layers, embeddings or head differ from its own; or the
                folder has another checkpoint.
        """
        location = base or self.config.base
        if location is None:
            raise CheckpointError(
                "an adapter needs its base model, which is not known here",
                remedy=f"give {setting('base')}=…",
            )
        if base is None and self.config.base_revision:
            kwargs.setdefault("revision", self.config.base_revision)
        base_folder = checkpoint.checkpoint_folder(location, **kwargs)
        state = self.state_dict()
        changed = set(checkpoint.changed_tensors(state, base_folder))
        layers = range(len(self.injection), self.config.text_config.num_hidden_layers)
        upper = tuple(f"model.layers.{layer}." for layer in layers)
        if outside := sorted(name for name in changed if not name.startswith(upper)):
            raise CheckpointError(
                f"{outside[0]} differs from the base model in {location}, and an adapter holds only the "
                "injection and upper layers",
                remedy="save everything with save_pretrained",
            )
        injection = {name: state[name] for name in state if name.startswith("injection.")}
        tensors = {name: state[name] for name in changed} | (injection if self.has_trained_injection else {})
        tensors |= tensors_of_updates(updates or {})
        config = copy.deepcopy(self.config)
        config.base = base_name or str(Path(location).resolve() if Path(location).is_dir() else location)
        config.base_revision = kwargs.get("revision")
        config.dtype = self.dtype
        if base_name:
            config.text_config._name_or_path = base_name
        fingerprint = checkpoint.weights_fingerprint(base_folder)
        checkpoint.write_adapter(Path(folder), config, tensors, fingerprint, max_shard_size, other_bases)


def _check_base_weights(folder: Path, adapter: checkpoint.Adapter, location: str, base_folder: Path) -> None:
    """Check that a base has the weights that an adapter was made for, or is listed as fitting.

    Raises:
        CheckpointError: it is neither.
    """
    if (fingerprint := checkpoint.weights_fingerprint(base_folder)) == adapter.base_fingerprint:
        return
    if location not in adapter.other_bases:
        raise CheckpointError(
            f"the adapter in {folder} belongs to a base model with weights "
            f"{adapter.base_fingerprint}, and {location} has {fingerprint}",
            remedy=f"give that base model with {setting('base')}=…",
        )
    warning = BaseWeightsWarning(
        f"the adapter in {folder} was trained on weights {adapter.base_fingerprint}, and {location} has others of the "
        "same model",
        limit="with which its quality was not measured",
    )
    warnings.warn(warning, stacklevel=2)


def _num_injected_layers(folder: Path, kwargs: dict[str, Any]) -> int:
    config = kwargs.get("config") or SharedLLMModelConfig.from_pretrained(folder)
    injected: int = config.method.injection_layers
    return injected


def _with_loading_info(model: Any, info: dict[str, Any], kwargs: dict[str, Any]) -> Any:
    return (model, info) if kwargs.get("output_loading_info") else model


def _saved_config(folder: Path) -> SharedLLMModelConfig:
    checkpoint.check_config(folder, ["method", "text_config"])
    try:
        config: SharedLLMModelConfig = SharedLLMModelConfig.from_pretrained(folder)
    except SharedLLMError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{folder / 'config.json'} cannot be used ({error})",
            remedy="copy the checkpoint again",
        ) from error
    return config


def _preset(name: str, num_layers: int) -> SharedLLMConfig:
    if name == "language_modelling":
        return SharedLLMConfig.language_modelling(num_layers)
    if name == "instruction":
        return SharedLLMConfig.instruction(num_layers)
    raise ConfigError(
        f"config={name!r} is not a preset",
        remedy="use 'language_modelling', 'instruction' or a SharedLLMConfig",
    )


def _offloading_error() -> CheckpointError:
    return CheckpointError(
        "device_map keeps injected layers off the devices, and they are needed to read past context",
        remedy="place embeddings, the injected layers and injection on devices",
    )
