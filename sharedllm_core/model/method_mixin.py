"""The method of a model: the numbers it reads and answers with, and models on the same weights with other numbers."""

import copy
from typing import Any, Self
from weakref import WeakSet

from ..errors import ConfigError
from ..method.config import SharedLLMConfig
from .lower_model import LowerModel
from .past_context import PastContext

__all__ = ["AcceptedPasts", "MethodMixin"]


class AcceptedPasts(WeakSet[PastContext]):
    """Past contexts whose origin was checked; a copy of the model starts with none."""

    def __reduce__(self) -> Any:
        return AcceptedPasts, ()


class MethodMixin:
    """The part of `SharedLLMForCausalLM` that holds the method; it stands in the lower model and nowhere else."""

    config: Any
    lower_model: LowerModel
    _accepted: AcceptedPasts

    @property
    def method(self) -> SharedLLMConfig:
        """The numbers of the method that the model reads and answers with."""
        return self.lower_model.method

    @method.setter
    def method(self, method: SharedLLMConfig) -> None:
        self.set_method(method)

    def set_policy(self, policy: str) -> None:
        """Select by another policy from now on than the one that the checkpoint was trained with.

        A policy that cannot compare nodes of different chunks retains one path of each chunk (scope `"chunk"`).

        Raises:
            ConfigError: there is no such policy, or the model belongs to an engine.
        """
        self.set_method(self.method.with_policy(policy))

    def set_method(self, method: SharedLLMConfig) -> None:
        """Continue with other numbers of the method; the weights fit all that have as many injection layers.

        States and past contexts made before keep the old numbers. A model answers best with those it was trained with.

        Raises:
            ConfigError: another number of injection layers, or the model belongs to an engine.
        """
        if method.injection_layers != self.method.injection_layers:
            raise ConfigError(
                f"injection_layers={method.injection_layers}, and the model has {self.method.injection_layers}",
                remedy="add an injection to its base anew with from_base",
            )
        self.config.method = method  # refuses where the model belongs to an engine
        self.lower_model = self.lower_model.with_method(method)

    def frozen(self) -> Self:
        """A model that shares this one's weights and refuses every change of its method, as engines need."""
        if self.config.method_is_frozen:
            return self
        view = self.with_method(self.method)
        view.config.freeze_method(True)
        return view

    def with_method(self, method: SharedLLMConfig) -> Self:
        """A model that shares this one's weights and has other numbers of the method.

        Raises:
            ConfigError: another number of injection layers.
        """
        other = copy.copy(self)
        other._accepted = AcceptedPasts()
        other.config = copy.copy(self.config)
        other.config.freeze_method(False)
        other.set_method(method)
        return other
