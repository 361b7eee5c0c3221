"""The configuration of the method of a model, and models on the same weights with another configuration."""

import copy
from typing import Any, Self
from weakref import WeakSet

from ..errors import ConfigError
from ..method.config import SharedLLMConfig
from .lower_model import LowerModel
from .past_context import PastContext

__all__ = ["MethodMixin", "VerifiedPasts"]


class VerifiedPasts(WeakSet[PastContext]):
    """Past contexts whose origin was verified; a copied or pickled model starts with an empty set."""

    def __reduce__(self) -> Any:
        return VerifiedPasts, ()


class MethodMixin:
    """Access to the method of a `SharedLLMForCausalLM`, which is stored only in its lower model."""

    config: Any
    lower_model: LowerModel
    _verified_pasts: VerifiedPasts

    @property
    def method(self) -> SharedLLMConfig:
        """The configuration of the method that the model reads and answers with."""
        return self.lower_model.method

    @method.setter
    def method(self, method: SharedLLMConfig) -> None:
        self.set_method(method)

    def set_policy(self, policy: str) -> None:
        """Replace the selection policy that the checkpoint was trained with.

        A policy that cannot compare nodes of different chunks retains one path of each chunk (scope `"chunk"`).

        Raises:
            ConfigError: an unknown policy, or the model belongs to an engine.
        """
        self.set_method(self.method.with_policy(policy))

    def set_method(self, method: SharedLLMConfig) -> None:
        """Replace the configuration of the method; the number of injection layers must stay.

        States and past contexts computed before keep the old configuration. Quality is best with that of training.

        Raises:
            ConfigError: a different number of injection layers, or the model belongs to an engine.
        """
        if method.injection_layers != self.method.injection_layers:
            raise ConfigError(
                f"injection_layers={method.injection_layers}, and the model has {self.method.injection_layers}",
                remedy="add a new injection to its base with from_base",
            )
        self.config.method = method  # raises if the model belongs to an engine
        self.lower_model = self.lower_model.with_method(method)

    def frozen(self) -> Self:
        """Return a model that shares this one's weights and rejects changes of its method, as engines require."""
        if self.config.method_is_frozen:
            return self
        view = self.with_method(self.method)
        view.config.freeze_method(True)
        return view

    def with_method(self, method: SharedLLMConfig) -> Self:
        """Return a model that shares this one's weights and has another configuration of the method.

        Raises:
            ConfigError: a different number of injection layers.
        """
        other = copy.copy(self)
        other._verified_pasts = VerifiedPasts()
        other.config = copy.copy(self.config)
        other.config.freeze_method(False)
        other.set_method(method)
        return other
