"""A chat model with arguments bound to it, which stay bound whatever is made of it.

LangChain's own binding hands `bind_tools` and `with_structured_output` to the bare model: what was bound is gone.
"""

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableBinding

from .documents import DocumentSet, given_twice
from .structured import structured_output

__all__ = ["BoundChat"]


class BoundChat(RunnableBinding[LanguageModelInput, AIMessage]):
    """What `ChatSharedLLM.bind` makes. Documents are not among its `kwargs`: the model that is bound has them."""

    @classmethod
    def lc_id(cls) -> list[str]:
        """As LangChain knows bindings."""
        return [*cls.get_lc_namespace(), "RunnableBinding"]

    def bind(self, **kwargs: Any) -> "BoundChat":
        """This, with more bound to it.

        Raises:
            InputError: documents, where there are some already.
        """
        if kwargs.get("documents") is not None:
            if self.kwargs.get("documents") is not None:
                raise given_twice()
            kwargs["documents"] = DocumentSet.of(kwargs["documents"])
        made: Any = self.bound.bind(**kwargs)
        return self.__class__(
            bound=made.bound,
            kwargs={**self.kwargs, **made.kwargs},
            config=self.config,
            config_factories=self.config_factories,
            custom_input_type=self.custom_input_type,
            custom_output_type=self.custom_output_type,
        )

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> "BoundChat":
        """As that of `ChatSharedLLM`; what is bound already stays so."""
        model: Any = self.bound
        return self.bind(**model.bind_tools(tools, **kwargs).kwargs)

    def with_structured_output(
        self,
        schema: Any = None,
        *,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """As that of `ChatSharedLLM`; what is bound already stays so, but for what could keep the output from fitting.

        So strings that end an answer are gone, and tools are told to the model, but not called.
        """
        fitting: dict[str, Any] = {}
        if self.kwargs.get("stop"):
            fitting["stop"] = None
        if self.kwargs.get("tools"):
            fitting["tool_choice"] = "none"
        return structured_output(self, schema, **{**fitting, **kwargs})
