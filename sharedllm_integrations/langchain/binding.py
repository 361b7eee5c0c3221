"""A chat model with bound arguments, which it keeps in `bind_tools` and `with_structured_output`.

LangChain's own binding hands these calls to the bare model, and drops what was bound.
"""

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableBinding

from .._shared.document_set import documents_given_twice
from .documents import DocumentSet
from .structured import structured_output

__all__ = ["BoundChat"]


class BoundChat(RunnableBinding[LanguageModelInput, AIMessage]):
    """The result of `ChatSharedLLM.bind`. Documents are not in its `kwargs`: the bound model holds them."""

    @classmethod
    def lc_id(cls) -> list[str]:
        """Return the id under which LangChain knows bindings."""
        return [*cls.get_lc_namespace(), "RunnableBinding"]

    def bind(self, **kwargs: Any) -> "BoundChat":
        """Return a copy with more arguments bound.

        Raises:
            InputError: documents, if there are some already.
        """
        if kwargs.get("documents") is not None:
            if self.kwargs.get("documents") is not None:
                raise documents_given_twice()
            kwargs["documents"] = DocumentSet.wrap(kwargs["documents"])
        rebound: Any = self.bound.bind(**kwargs)
        return self.__class__(
            bound=rebound.bound,
            kwargs={**self.kwargs, **rebound.kwargs},
            config=self.config,
            config_factories=self.config_factories,
            custom_input_type=self.custom_input_type,
            custom_output_type=self.custom_output_type,
        )

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> "BoundChat":
        """Bind tools, as `ChatSharedLLM.bind_tools`, and keep what is bound already."""
        model: Any = self.bound
        return self.bind(**model.bind_tools(tools, **kwargs).kwargs)

    def with_structured_output(
        self,
        schema: Any = None,
        *,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Build structured output, as `ChatSharedLLM.with_structured_output`, and keep what is bound already.

        Except what could prevent the output from fitting: stop strings are dropped, and tools stay in the prompt but
        are not called.
        """
        overrides: dict[str, Any] = {}
        if self.kwargs.get("stop"):
            overrides["stop"] = None
        if self.kwargs.get("tools"):
            overrides["tool_choice"] = "none"
        return structured_output(self, schema, **{**overrides, **kwargs})
