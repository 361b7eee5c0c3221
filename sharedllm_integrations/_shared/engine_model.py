"""The fields that the models of both integrations have, and the engine behind them."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sharedllm_core import InputError, SharedLLMEngine, TreeCache
from sharedllm_core.engine.model_names import READER
from sharedllm_core.engine.model_summary import model_summary

from .engines import shared_engine
from .errors import worded_errors
from .prompt_rules import DocumentsFromPrompt

__all__ = ["EngineModel"]

_LOADING = ("device", "dtype", "policy", "reading")  # options of `SharedLLMEngine.from_pretrained`


class EngineModel(BaseModel):
    """A model of a framework that answers with a `SharedLLMEngine`; the weights are loaded at first use.

    The integrations' classes document the fields.

    Raises:
        InputError: an unknown parameter.
    """

    model_config = ConfigDict(protected_namespaces=(), arbitrary_types_allowed=True)

    #: Parameters of other models that are accepted and ignored, since this model runs in the same process.
    ignored_parameters: ClassVar[frozenset[str]] = frozenset()

    model: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    max_tokens: int | None = None
    stop: list[str] | None = None
    seed: int | None = None
    timeout: float | None = None
    num_evidence: int = 5
    quote_tokens: int | None = None
    thinking: bool | None = None
    evidence_text: bool = False
    documents_from_prompt: DocumentsFromPrompt = "overflow"
    min_document_tokens: int = Field(default=400, ge=1)
    tree_cache: TreeCache | None = Field(default=None, repr=False, exclude=True)
    engine: SharedLLMEngine | None = Field(default=None, repr=False, exclude=True)
    device: str | None = None
    dtype: str | None = None
    policy: str | None = None
    reading: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _check_parameters(cls, parameters: Any) -> Any:
        """Refuse unknown parameters, and accept `model_name` for `model`."""
        if not isinstance(parameters, dict):
            return parameters
        known = set(cls.model_fields) | cls.ignored_parameters | {"model_name"}
        if unknown := sorted(set(parameters) - known):
            raise InputError(f"unknown parameters {unknown}", remedy=f"known are {sorted(cls.model_fields)}")
        if "model_name" not in parameters:
            return parameters
        others = {name: value for name, value in parameters.items() if name != "model_name"}
        return {"model": parameters["model_name"], **others}

    @property
    def model_name(self) -> str:
        """The model's name in answers, usage and traces: that of `engine`, if there is one."""
        return (self.model or READER) if self.engine is None else self.engine.model_name

    @worded_errors()
    def get_engine(self, model: str | None = None) -> SharedLLMEngine:
        """Return the engine that answers, or that of another `model`; it is loaded at first use.

        Raises:
            CheckpointError: there is no such checkpoint.
        """
        if model is None and self.engine is not None:
            return self.engine
        options = {name: value for name in _LOADING if (value := getattr(self, name)) is not None}
        return shared_engine(model or self.model, self.tree_cache, **options)

    def context_tokens(self) -> int | None:
        """Return the most tokens that the model reads for one answer; see `SharedLLMEngine.context_tokens`.

        Loads no weights, so a checkpoint whose injection was never trained counts as one that injects; `None` while the
        checkpoint's configuration is not on this machine.
        """
        if self.engine is not None:
            return self.engine.context_tokens
        summary = model_summary(self.model, quoted=self.reading == "quoted")
        return None if summary is None else summary.context_tokens

    def calls_tools(self) -> bool | None:
        """Whether the model was made to call tools; see `SharedLLMEngine.calls_tools`.

        Loads no weights; `None` while the checkpoint's chat template is not on this machine.
        """
        if self.engine is not None:
            return self.engine.calls_tools
        summary = model_summary(self.model)
        return None if summary is None else summary.calls_tools
