"""The systems that are measured, each with its ways to a first token, and the token after it.

All take ids and have the same weights. What is timed is left to `worker.py`.
"""

import shutil
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from threading import Event

import torch
from torch import Tensor

from ... import PastContext, SharedLLMConfig, SharedLLMForCausalLM, TreeCache
from ...engine.fair_lock import FairLock
from ...engine.progress import Progress
from ...engine.reading import TreeReader
from ...planning import ModelShape, formulas
from ...planning.trees import count_all
from ...text.library import Library, LibraryChunk
from ...text.tokenization import TokenizedText
from ...tree_cache import DiskTier, MemoryTier
from ..baselines.base_model import base_model
from ..baselines.reading import TextReader
from ..baselines.streaming import stream_reader
from .settings import SINK_TOKENS, EfficiencySettings, system_names
from .weights import with_method

__all__ = ["MeasuredSystem", "Opened", "SharedLLMMeasured", "make_systems"]

_SIGNED = "measured"  # stands for the weights in the keys of trees, which nobody else will see


class Opened:
    """An answer that has begun: its first token is known.

    Attributes:
        token: [1], the newest token.
        state_bytes: of what is kept of the past context (for a cache of keys and values, with the prompt's).
    """

    def __init__(self, reader: TextReader, prompt: Tensor, state_bytes: int | None = None) -> None:
        self._reader = reader
        self.token = self._read(prompt)
        self.state_bytes = _cache_bytes(reader) if state_bytes is None else state_bytes

    def decode(self) -> None:
        """One more token, greedily."""
        self.token = self._read(self.token)

    def _read(self, ids: Tensor) -> Tensor:
        chosen = self._reader.read(ids)[-1].argmax()[None]
        int(chosen)  # waits until it is known
        return chosen


class MeasuredSystem(ABC):
    """One system over one past context.

    Attributes:
        name: in tables.
    """

    name: str

    @abstractmethod
    def unread(self, prompt: Tensor) -> Opened:
        """From nothing to the first token."""

    @abstractmethod
    def warm(self, prompt: Tensor) -> Opened | None:
        """The first token of another prompt, with what memory still has of the past context; `None`: nothing is."""

    @abstractmethod
    def forget(self) -> None:
        """Drop what was kept of the past context."""


class SharedLLMMeasured(MeasuredSystem):
    """This library's model, through its tree cache as the engine asks it.

    Args:
        model: the model.
        past_ids: ids [n] of the past context.
        folder: for the trees on disk.
        cache_bytes: of each tier; 0 to keep nothing.
        name: in tables.
    """

    def __init__(
        self, model: SharedLLMForCausalLM, past_ids: Tensor, folder: Path, cache_bytes: int, name: str
    ) -> None:
        self.name = name
        self.model = model
        self.keeps_trees = cache_bytes > 0
        self._folder = folder
        self._cache_bytes = cache_bytes
        self._library = library_of(past_ids, model.method)
        self._kept: TreeReader | None = None

    def unread(self, prompt: Tensor) -> Opened:
        """See `MeasuredSystem`: the nodes that the prompt retains are encoded, and kept in memory."""
        cache = TreeCache([MemoryTier(self._cache_bytes)] if self.keeps_trees else [])
        return self._ask(self._reader(cache), prompt)

    def read(self) -> None:
        """Encode every node, and keep all in memory."""
        self._kept = self._reader(TreeCache([MemoryTier(self._cache_bytes)]))
        self._kept.read(self._library, Progress(), Event())

    @property
    def has_all_trees(self) -> bool:
        """Whether memory still has every tree that `read` made; what it has not, each question would make again."""
        return self._kept is not None and all(self._kept.cache.contains(key) for key in self._kept.keys(self._library))

    def warm(self, prompt: Tensor) -> Opened | None:
        """See `MeasuredSystem`: from the trees that `read` kept in memory."""
        return None if self._kept is None else self._ask(self._kept, prompt)

    def write_to_disk(self) -> None:
        """Put the trees that `read` kept on disk, too."""
        assert self._kept is not None
        disk = self._disk()
        memory = self._kept.cache.tiers[0]
        for key in dict.fromkeys(self._kept.keys(self._library)):
            if (blob := memory.get(key)) is not None:
                disk.put(key, blob)

    def from_disk(self, prompt: Tensor) -> Opened:
        """The first token with trees on disk alone."""
        return self._ask(self._reader(TreeCache([self._disk()])), prompt)

    @property
    def tree_bytes(self) -> int:
        """Bytes of the trees in memory."""
        return 0 if self._kept is None else self._kept.cache.tiers[0].stats.num_bytes

    def forget(self) -> None:
        """See `MeasuredSystem`."""
        self._kept = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _disk(self) -> DiskTier:
        return DiskTier(self._folder, "default", self._cache_bytes)

    def _reader(self, cache: TreeCache) -> TreeReader:
        return TreeReader(self.model.lower_model, cache, FairLock(), _SIGNED)

    def _ask(self, reader: TreeReader, prompt: Tensor) -> Opened:
        read = reader.past_context(self._library, "", prompt, Progress(), Event())  # token ids alone are measured
        assert read is not None
        return _with_past(self.model, read.past, prompt)


class _EncoderDecoder(MeasuredSystem):
    """All layers encode whole chunks, and all states are injected into all layers."""

    name = "encoder-decoder"

    def __init__(self, model: SharedLLMForCausalLM, past_ids: Tensor) -> None:
        self._model = model
        self._chunks = past_ids.split(model.method.chunk_tokens)
        self._past: PastContext | None = None

    def unread(self, prompt: Tensor) -> Opened:
        """See `MeasuredSystem`."""
        self._past = None  # not two of them at a time
        self._past = self._model.encode_past_context(self._chunks)
        return _with_past(self._model, self._past, prompt)

    def warm(self, prompt: Tensor) -> Opened | None:
        """See `MeasuredSystem`."""
        return None if self._past is None else _with_past(self._model, self._past, prompt)

    def forget(self) -> None:
        """See `MeasuredSystem`."""
        self._past = None


class _RunningText(MeasuredSystem):
    """The base model, with the past context as running text; another prompt goes on from where that ended."""

    def __init__(self, past_ids: Tensor) -> None:
        self._past_ids = past_ids
        self._kept: tuple[TextReader, object] | None = None

    @abstractmethod
    def _reader(self) -> TextReader: ...

    def unread(self, prompt: Tensor) -> Opened:
        """See `MeasuredSystem`."""
        self._kept = None
        reader = self._reader()
        reader.read(self._past_ids)
        self._kept = reader, reader.mark()
        return Opened(reader, prompt)

    def warm(self, prompt: Tensor) -> Opened | None:
        """See `MeasuredSystem`."""
        if self._kept is None:
            return None
        reader, mark = self._kept
        reader.go_back(mark)
        return Opened(reader, prompt)

    def forget(self) -> None:
        """See `MeasuredSystem`."""
        self._kept = None


class _FullAttention(_RunningText):
    name = "full attention"

    def __init__(self, model: SharedLLMForCausalLM, past_ids: Tensor) -> None:
        super().__init__(past_ids)
        self._base = base_model(model)

    def _reader(self) -> TextReader:
        return TextReader(self._base, len(self._past_ids))  # at once: only so does sdpa skip what is masked


class _Streaming(_RunningText):
    name = "streaming"

    def __init__(self, model: SharedLLMForCausalLM, past_ids: Tensor, window_tokens: int) -> None:
        super().__init__(past_ids)
        self._model = model
        self._window_tokens = window_tokens

    def _reader(self) -> TextReader:
        return stream_reader(self._model, window_tokens=self._window_tokens, sink_tokens=SINK_TOKENS)


def make_systems(
    model: SharedLLMForCausalLM, settings: EfficiencySettings, past_ids: Tensor, folder: Path
) -> list[MeasuredSystem]:
    """The systems that the settings name, all on the weights of `model`.

    Args:
        model: of `load_measured`.
        settings: what is measured.
        past_ids: ids [n] of the past context.
        folder: for trees on disk.
    """
    shape = shape_of(model)
    made: list[MeasuredSystem] = []
    for name in settings.systems:
        if name == "sharedllm":
            labels = system_names(settings, model.method.injection_layers)[name]
            for label, method in zip(labels, methods_of(model, settings), strict=True):
                own = model if method == model.method else with_method(model, method)
                trees = formulas.cache_bytes(shape, method, count_all(len(past_ids), method))
                fits = settings.cache_bytes if trees <= settings.cache_bytes else 0
                made.append(SharedLLMMeasured(own, past_ids, folder / label.replace(" ", ""), fits, label))
        elif name == "full_attention":
            made.append(_FullAttention(model, past_ids))
        elif name == "streaming":
            made.append(_Streaming(model, past_ids, window_of(model, settings)))
        else:
            made.append(_EncoderDecoder(with_method(model, encoder_decoder_of(model)), past_ids))
    return made


def methods_of(model: SharedLLMForCausalLM, settings: EfficiencySettings) -> list[SharedLLMConfig]:
    """The numbers of the method of each SharedLLM to measure."""
    own = model.method
    layers = settings.injection_layers or (own.injection_layers,)
    return [replace(own, injection_layers=number) for number in layers]


def encoder_decoder_of(model: SharedLLMForCausalLM) -> SharedLLMConfig:
    """The encoder-decoder on the base of a model, with chunks of the same length."""
    layers = model.config.get_text_config().num_hidden_layers
    return SharedLLMConfig.encoder_decoder(layers, chunk_tokens=model.method.chunk_tokens)


def shape_of(model: SharedLLMForCausalLM) -> ModelShape:
    """The base's sizes, with the bytes that its weights have here."""
    return replace(ModelShape.from_config(model.config), bytes_per_parameter=model.dtype.itemsize)


def window_of(model: SharedLLMForCausalLM, settings: EfficiencySettings) -> int:
    """What streaming sees."""
    window: int = model.config.get_text_config().max_position_embeddings
    return min(settings.window_tokens or 4096, window)


def library_of(past_ids: Tensor, method: SharedLLMConfig) -> Library:
    """Ids as a library of one text; nobody asks for its characters."""
    nowhere = torch.zeros(len(past_ids), 2, dtype=torch.long)
    parts = TokenizedText(past_ids, nowhere).chunks(method.chunk_tokens)
    return Library((), (), tuple(LibraryChunk(0, part) for part in parts), method.chunk_tokens)


def _with_past(model: SharedLLMForCausalLM, past: PastContext, prompt: Tensor) -> Opened:
    return Opened(TextReader(model, len(prompt), past_context=past), prompt, past.nbytes)


def _cache_bytes(reader: TextReader) -> int:
    return sum(layer.keys.nbytes + layer.values.nbytes for layer in reader.cache.layers)
