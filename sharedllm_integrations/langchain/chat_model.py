"""`ChatSharedLLM`: a chat model of LangChain that reads whole document sets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self
from uuid import uuid4

from langchain_core.language_models import LangSmithParams, LanguageModelInput
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import field_serializer, field_validator

from sharedllm_core import DocumentError, InputError
from sharedllm_core.engine.checkpoint_fingerprint import checkpoint_fingerprint

from .._shared.answer_options import OPTION_FIELDS, response_constraint, stop_strings
from .._shared.answer_options import tool_choice as engine_tool_choice
from .._shared.document_set import documents_given_twice
from .._shared.errors import worded_errors
from .binding import BoundChat
from .documents import DocumentSet
from .generation import GeneratingModel
from .structured import check_tools, openai_tools, structured_output

__all__ = ["ChatSharedLLM"]

#: Fields that decide about answers, beside the answer options.
_IDENTIFYING_FIELDS = (
    "model",
    "stop",
    "evidence_text",
    "documents_from_prompt",
    "min_document_tokens",
    "dtype",
    "policy",
    "reading",
)

#: Of a model whose files are not on this machine, such as a hub id before its download: no other process has it.
_UNKNOWN_FINGERPRINT = f"unknown-{uuid4().hex}"


class ChatSharedLLM(GeneratingModel):
    """A chat model that answers from whole document sets of 128K tokens and more, compressed once and cached.

    Documents are given by `documents=` (here, in `bind`, in `invoke`), by `with_documents`, as content blocks of
    messages, or in the prompts of existing chains, where they are found. The weights are loaded at first use, once per
    process.

    Attributes:
        model: folder or hub id of a checkpoint, a GGUF file, `"smollm2"`, or `"reader"`, the same with the updates of
            this package; `None` for the reader with a `DefaultModelWarning`.
        documents: paths, Documents of LangChain or of sharedllm, or a `Library`. Kept under a handle, of which
            LangChain's traces see only the fingerprint.
        temperature, top_p, top_k, repetition_penalty: see `AnswerSettings`; `None` for the checkpoint's own setting,
            and greedy decoding where it has none.
        seed, num_evidence, quote_tokens: see `AnswerSettings`.
        thinking: whether a reasoning model thinks before it answers; by default as its chat template has it. Thoughts
            are in `additional_kwargs["reasoning_content"]`, and in `content_blocks` as `reasoning` blocks.
        max_tokens: the most tokens to generate.
        stop: stop strings; they do not apply to answers that must fit a schema or call a tool.
        streaming: generate by streaming also when invoked.
        timeout: seconds after which a call raises `TimeoutError` and generation stops.
        evidence_text: whether `response_metadata["evidence"]`, and so traces, hold the text of spans of `documents`.
            By default they name document and characters; `evidence_documents` looks the text up.
        documents_from_prompt: when text of messages becomes past context: `"overflow"`, when they do not fit the
            window: marked documents, then the middle of the longest text; `"always"`, as soon as texts are long;
            `"never"`. What was moved is in `response_metadata["documents_from_messages"]`.
        min_document_tokens: the fewest tokens of a marked document, and with `"always"` of a long text.
        tree_cache: the cache of context trees; by default memory and the user's cache folder.
        engine: an engine to use instead of loading `model`; its model is the one that is reported everywhere.
        device, dtype, policy, reading: of `SharedLLMEngine.from_pretrained`.
    """

    streaming: bool = False
    ignored_parameters = frozenset({"api_key", "max_retries", "base_url"})

    @field_validator("stop", mode="before")
    @classmethod
    def _listed_stop(cls, stop: Any) -> Any:
        return [stop] if isinstance(stop, str) else stop

    @field_validator("documents", mode="before")
    @classmethod
    def _documents_handle(cls, documents: Any) -> DocumentSet | None:
        if isinstance(documents, Mapping) and set(documents) == {"fingerprint"}:
            raise InputError(
                f"this model was saved without the text of its documents (fingerprint {documents['fingerprint']})",
                remedy=["give them again with documents=…", "documents=None for none"],
            )
        return DocumentSet.wrap(documents)

    @field_serializer("documents")
    def _documents_fingerprint(self, documents: DocumentSet | None) -> dict[str, str] | None:
        return None if documents is None else {"fingerprint": documents.fingerprint}

    # ------------------------------------------------------------------------------------------ what LangChain reads

    @property
    def _llm_type(self) -> str:
        return "sharedllm"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """What decides about answers: LangChain's caches key on it.

        `fingerprint` is the hash of weights, method and tokenizer. It loads and downloads nothing: a hub id that is not
        on this machine has a value of this process alone, so that no cache answers for weights that nobody has seen.
        """
        values = {name: getattr(self, name) for name in sorted({*_IDENTIFYING_FIELDS, *OPTION_FIELDS})}
        values["model"] = self.model_name
        values["documents"] = None if self.documents is None else self.documents.fingerprint
        values["fingerprint"] = self._fingerprint(None)
        return values

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        """Return the identifying parameters of a call; its `model` may be another one than this model's."""
        params = super()._get_invocation_params(stop, **kwargs)
        return params if (model := kwargs.get("model")) is None else params | {"fingerprint": self._fingerprint(model)}

    def _fingerprint(self, model: str | None) -> str:
        """Return the hash of weights, method and tokenizer of this model, or of another `model` that a call names."""
        if model is None and self.engine is not None:
            return self.engine.answer_fingerprint
        return checkpoint_fingerprint(model or self.model) or _UNKNOWN_FINGERPRINT

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = LangSmithParams(
            ls_provider="sharedllm",
            ls_model_name=str(kwargs.get("model") or self.model_name),
            ls_model_type="chat",
        )
        if (temperature := kwargs.get("temperature", self.temperature)) is not None:
            params["ls_temperature"] = temperature
        elif self.engine is not None:
            params["ls_temperature"] = self.engine.sampling.temperature
        if (max_tokens := kwargs.get("max_tokens", self.max_tokens)) is not None:
            params["ls_max_tokens"] = max_tokens
        if stops := stop_strings(stop) or stop_strings(self.stop):
            params["ls_stop"] = list(stops)
        return params

    def _resolve_model_profile(self) -> ModelProfile:
        """Return what the model can do, without loading its weights.

        - `structured_output` and `tool_choice` hold for every model: output is generated along a grammar.
        - `tool_calling` is whether the model was made to choose tools and to fill in their arguments
          (`SharedLLMEngine.calls_tools`); where it is false, `bind_tools` still works, and calls fit their schema.
        - `max_input_tokens` is what is read for one answer. Documents may be longer: of a model that quotes, it is the
          window, and passages are searched in documents of any length.
        """
        profile = ModelProfile(
            name=self.model_name,
            text_inputs=True,
            image_inputs=False,
            image_url_inputs=False,
            image_tool_message=False,
            audio_inputs=False,
            video_inputs=False,
            text_outputs=True,
            image_outputs=False,
            audio_outputs=False,
            video_outputs=False,
            tool_choice=True,
            tool_call_streaming=True,
            structured_output=True,
        )
        if (calls_tools := self.calls_tools()) is not None:
            profile["tool_calling"] = calls_tools
        if (max_input_tokens := self.context_tokens()) is not None:
            profile["max_input_tokens"] = max_input_tokens
        return profile

    def get_token_ids(self, text: str) -> list[int]:
        """Tokenize as the model does; `trim_messages(token_counter=llm)` and others count these tokens."""
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        ids: list[int] = self.get_engine().tokenizer.encode(text).ids.tolist()
        return ids

    # ------------------------------------------------------------------------------------------ documents

    @worded_errors()
    def with_documents(self, documents: Any) -> Self:
        """Return a copy that answers from `documents`; they are read and compressed now, before the first question.

        Raises:
            DocumentError: documents that cannot be read.
        """
        handle = DocumentSet.wrap(documents)
        if handle is None:
            raise DocumentError("documents=None are no documents", remedy=f"give {DocumentSet.kinds}")
        engine = self.get_engine()
        engine.read(handle.library(engine))
        return self.model_copy(update={"documents": handle})

    def bind(self, **kwargs: Any) -> Any:
        """Return a `BoundChat`, which keeps what is bound in `bind_tools` and `with_structured_output` too.

        Raises:
            InputError: documents, if the model has some already.
        """
        documents = DocumentSet.wrap(kwargs.pop("documents", None))
        if documents is None:
            return BoundChat(bound=self, kwargs=kwargs)
        if self.documents is not None:
            raise documents_given_twice()
        return BoundChat(bound=self.model_copy(update={"documents": documents}), kwargs=kwargs)

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Bind a config, as in LangChain, to a `BoundChat`."""
        return BoundChat(bound=self).with_config(config, **kwargs)

    def with_listeners(self, **listeners: Any) -> Any:
        """Bind listeners, as in LangChain, to a `BoundChat`."""
        return BoundChat(bound=self).with_listeners(**listeners)

    @worded_errors()
    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any],
        *,
        tool_choice: Any = None,
        parallel_tool_calls: bool | None = None,
        strict: bool | None = None,
        response_format: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return a copy that may call tools.

        What the class of a tool's arguments checks beyond its schema is reported by a `SchemaWarning` here.

        Args:
            tools: functions, pydantic models, TypedDicts, LangChain's tools, or schemas of OpenAI's form.
            tool_choice: `None` or `"auto"`; `"any"`, `"required"` or `True` for at least one call; `"none"`; the name
                of a tool, alone or in OpenAI's form.
            parallel_tool_calls: whether one answer may hold several calls; by default it may.
            strict: arguments always fit their schema, so this changes nothing.
            response_format: the form of an answer that calls no tool, in OpenAI's form.
            kwargs: other arguments to bind.

        Raises:
            InputError: a choice that is none of the tools, or a schema that cannot be enforced.
        """
        formatted = openai_tools(tools)
        choice = engine_tool_choice(tool_choice, formatted)
        check_tools(tools, formatted, choice)
        bound: dict[str, Any] = {"tools": formatted, "tool_choice": choice, **kwargs}
        if parallel_tool_calls is not None:
            bound["parallel_tool_calls"] = parallel_tool_calls
        if response_format is not None:
            response_constraint(response_format)  # an unsupported schema raises now
            bound["response_format"] = response_format
        return self.bind(**bound)

    def with_structured_output(
        self,
        schema: Any = None,
        *,
        method: str = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Return a runnable whose answers always fit a JSON schema.

        What a pydantic model checks beyond it, such as its validators, is reported by a `SchemaWarning` here.

        Args:
            schema: a pydantic model, whose instances come back; a TypedDict or a JSON schema, for which dicts do.
            method: `"json_schema"` (the answer is JSON), `"function_calling"` (the answer is a call of a tool), or
                `"json_mode"` (JSON; of the schema, where one is given).
            include_raw: return `{"raw", "parsed", "parsing_error"}` in place of the parsed output.
            strict: output always fits, so this changes nothing.
            kwargs: other arguments to bind.

        Raises:
            InputError: an unknown method, or a schema that cannot be enforced.
        """
        return structured_output(self, schema, method=method, include_raw=include_raw, **kwargs)
