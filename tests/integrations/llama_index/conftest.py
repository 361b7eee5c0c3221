"""Models of LlamaIndex on a tiny engine, and nothing that could reach a network."""

import socket

import pytest
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler

from sharedllm_integrations.llama_index import SharedLLM


@pytest.fixture
def llm(engine):
    return SharedLLM(engine=engine, max_tokens=12)


@pytest.fixture(autouse=True)
def offline_and_without_settings(monkeypatch):
    """No test may connect to anything, nor find what another one has set."""

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, _local_alone(getattr(socket.socket, name)))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("IS_TESTING", raising=False)
    for name in ("_llm", "_embed_model", "_prompt_helper", "_chat_prompt_helper", "_node_parser"):
        monkeypatch.setattr(Settings, name, None)
    monkeypatch.setattr(Settings, "_callback_manager", CallbackManager([]))


def _local_alone(connect):
    def refuse(self, address):
        if self.family != socket.AF_UNIX:
            raise AssertionError(f"something wants to connect to {address}")
        return connect(self, address)

    return refuse


class Events(BaseEventHandler):
    """Every event, in order."""

    seen: list = []

    @classmethod
    def class_name(cls):
        return "Events"

    def handle(self, event, **kwargs):
        self.seen.append(event)

    def names(self, part=""):
        return [type(event).__name__ for event in self.seen if part in type(event).__name__]


@pytest.fixture
def events():
    handler = Events(seen=[])
    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(handler)
    yield handler
    dispatcher.event_handlers.remove(handler)
