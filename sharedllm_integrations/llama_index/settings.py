"""The model of `Settings`, without LlamaIndex's own default, which calls a remote service."""

from llama_index.core.llms import LLM
from llama_index.core.settings import Settings

from sharedllm_core import InputError

from .llm import SharedLLM

__all__ = ["shared_llm"]


def shared_llm(llm: LLM | None) -> SharedLLM:
    """Return `llm`, or that of `Settings` if one was set there, or the packaged model.

    Raises:
        InputError: it is no `SharedLLM`, and so cannot read whole documents.
    """
    if llm is None and Settings._llm is None:  # `Settings.llm` would look for OpenAI
        return SharedLLM(callback_manager=Settings.callback_manager)
    # `Settings.llm` gives the model the callback manager of `Settings`, which may have been set later.
    chosen = llm if llm is not None else Settings.llm
    if not isinstance(chosen, SharedLLM):
        where = "llm" if llm is not None else "Settings.llm"
        raise InputError(
            f"{where} is a {type(chosen).__name__}, which cannot read whole documents",
            remedy=["give llm=SharedLLM(…)", "set Settings.llm = SharedLLM(…)"],
        )
    return chosen
