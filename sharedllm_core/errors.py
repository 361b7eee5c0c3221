"""Every error of the library, and its message as data: what was given, the limit it met, and the remedy.

Settings are named by `setting(…)`, so that the command line and each integration show the name that exists there.

SharedLLMError
├── ConfigError             a number of the method is wrong, or does not fit the base model
├── UnsupportedBaseError    the base model's family or kind of RoPE is not supported
├── CheckpointError         a checkpoint folder is not one, is incomplete, or belongs to another base
├── InputError              chunks, queries, token ids or running text that cannot be read
│   ├── TokenIdError            ids outside the vocabulary
│   └── WindowError             more running text than the base model's window holds
├── DocumentError           a file or folder that cannot be read as documents
├── PastContextError        a past context that does not fit the model or the batch
├── UntrainedInjectionError a model that would ignore every document
├── TokenizerError          a tokenizer that cannot be used
├── DeviceMemoryError       the device has too little memory, even in the smallest batches
└── TreeCacheError          inside the tree cache; answers never see it, only `CacheWarning`
    ├── DamagedEntryError       an entry is not what was stored
    └── CacheUnavailableError   a store cannot be reached for now

`BaseWeightsWarning` is given where an adapter is used on other weights of its base than it was trained on,
`ReadingWarning` where the text of a file is incomplete or its encoding was guessed, `DefaultModelWarning` once per
process where the model of the package is used without being named, `CutOffWarning` once per process and model where the
default token budget cut off an answer, and `SchemaWarning` where a class is bound that checks more than a grammar can
enforce.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "PYTHON",
    "BaseWeightsWarning",
    "CacheUnavailableError",
    "CacheWarning",
    "CheckpointError",
    "ConfigError",
    "CutOffWarning",
    "DamagedEntryError",
    "DefaultModelWarning",
    "DeviceMemoryError",
    "DocumentError",
    "InputError",
    "PastContextError",
    "ReadingWarning",
    "SchemaWarning",
    "SharedLLMError",
    "TokenIdError",
    "TokenizerError",
    "TreeCacheError",
    "UnsupportedBaseError",
    "UntrainedInjectionError",
    "WindowError",
    "Wording",
    "setting",
]

#: Encloses a setting in a message until it is shown; documents and file names hold no such character.
_MARK = "\x1f"
_SETTING = re.compile(f"{_MARK}([a-z0-9_]+)(?:=([^{_MARK}]*))?{_MARK}")
_NAME_ALONE = object()


def setting(name: str, value: object = _NAME_ALONE) -> str:
    """A setting in a message, by its Python name; with a value, as it is given."""
    return f"{_MARK}{name}{'' if value is _NAME_ALONE else f'={value!r}'}{_MARK}"


@dataclass(frozen=True)
class Wording:
    """How settings are written where a message shows.

    Attributes:
        names: of each setting that exists there, by its Python name; `None` where all exist and keep it. A setting with
            a value may have a name of its own: `{"on_error='skip'": "--skip-unreadable"}`.
        assigned: a setting with a value.
        switched_on: a setting that is `True`.
    """

    names: Mapping[str, str] | None = None
    assigned: str = "{name}={value}"
    switched_on: str = "{name}=True"

    def has_all_of(self, text: str) -> bool:
        """Whether every setting in `text` exists there."""
        return all(self._own_name(found) is not None for found in _SETTING.finditer(text))

    def text(self, text: str) -> str:
        """`text` with its settings written out; those that do not exist there keep their Python names."""
        return _SETTING.sub(self._written, text)

    def _own_name(self, found: re.Match[str]) -> str | None:
        if self.names is None:
            return found[1]
        return self._own_name_with_value(found) or self.names.get(found[1])

    def _own_name_with_value(self, found: re.Match[str]) -> str | None:
        return None if self.names is None else self.names.get(f"{found[1]}={found[2]}")

    def _written(self, found: re.Match[str]) -> str:
        own, value = self._own_name(found), found[2]
        if own is None:
            return PYTHON.text(found[0])
        if value is None or own == self._own_name_with_value(found):
            return own
        return (self.switched_on if value == "True" else self.assigned).format(name=own, value=value)


PYTHON = Wording()


class _Message(BaseException):
    """A message with its parts; shared by errors and warnings.

    Args:
        what: what was given, or what happened.
        limit: the limit that it met; continues the sentence of `what`.
        remedy: what to do about it, or several ways, the best first. Where the message shows, ways that name a setting
            that does not exist there are left out.
    """

    wording = PYTHON

    def __init__(self, what: str = "", *, limit: str = "", remedy: str | Sequence[str] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.limit = limit
        self.remedies = tuple(way for way in ((remedy,) if isinstance(remedy, str) else remedy) if way)

    @property
    def remedy(self) -> str:
        """The ways that exist where the message shows, in one sentence; empty where there are none."""
        *first, last = [self.wording.text(way) for way in self.remedies if self.wording.has_all_of(way)] or [""]
        return f"{', '.join(first)}, or {last}" if first else last

    def __str__(self) -> str:
        sentence = f"{self.what}, {self.limit}" if self.limit else self.what
        remedy = self.remedy
        return self.wording.text(f"{sentence}; {remedy}" if remedy else sentence)


class SharedLLMError(_Message, Exception):
    """Anything that this library refuses or cannot do.

    Attributes:
        what: what was given, or what happened.
        limit: the limit that it met; may be empty.
        remedies: ways to go on, the best first.
        wording: how settings are named in the message; integrations and the command line set theirs.
    """


class ConfigError(SharedLLMError, ValueError):
    """A number of the method is wrong in itself or does not fit the base model."""


class UnsupportedBaseError(SharedLLMError, ValueError):
    """The base model's family or kind of RoPE is not one that self-injection can be added to."""


class CheckpointError(SharedLLMError, OSError):
    """A checkpoint folder is missing, is not one, is incomplete, or belongs to another base model."""


class InputError(SharedLLMError, ValueError):
    """Token ids, chunks or a query that cannot be read."""


class TokenIdError(InputError):
    """Token ids outside the base model's vocabulary."""


class WindowError(InputError):
    """More running text than the base model's window holds."""


class DocumentError(SharedLLMError, ValueError):
    """A file or folder that cannot be read as documents."""


class TokenizerError(SharedLLMError, ValueError):
    """A tokenizer that cannot be used."""


class PastContextError(SharedLLMError, ValueError):
    """A past context that was made by another model, or that does not fit the batch."""


class UntrainedInjectionError(SharedLLMError, RuntimeError):
    """The model's injection is as it was made, zero: answers would ignore the documents in silence."""


class DeviceMemoryError(SharedLLMError, MemoryError):
    """The device has too little memory: for a single node, or for what a baseline holds of a text."""


class TreeCacheError(SharedLLMError, OSError):
    """Something failed inside the tree cache."""


class DamagedEntryError(TreeCacheError):
    """An entry of the tree cache is not what was stored. It is deleted and made again."""


class CacheUnavailableError(TreeCacheError):
    """A store of the tree cache cannot be reached for now."""


class CacheWarning(_Message, UserWarning):
    """A tier of the tree cache failed; what it should have given is computed instead."""


class DefaultModelWarning(_Message, UserWarning):
    """No model was named, and the small reader of the package is used."""


class CutOffWarning(_Message, UserWarning):
    """The default token budget cut off an answer, or thoughts used up the budget before the answer began.

    Given once per process and model; `finish_reason` of every such answer is `"length"`.
    """


class SchemaWarning(_Message, UserWarning):
    """A class for structured output or tool arguments checks more than a grammar can enforce.

    Answers fit its JSON schema, and may still fail its validation. The message names each field and the reason.
    """


class BaseWeightsWarning(_Message, UserWarning):
    """An adapter is used on weights of its base in another precision than it was trained on."""


class ReadingWarning(_Message, UserWarning):
    """Text of a file is missing, or something about it was guessed."""
