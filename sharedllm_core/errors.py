"""Every error of the library. A message says what was given, which limit it met, and what to do about it.

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
"""

__all__ = [
    "CacheUnavailableError",
    "CacheWarning",
    "CheckpointError",
    "ConfigError",
    "DamagedEntryError",
    "DeviceMemoryError",
    "DocumentError",
    "InputError",
    "PastContextError",
    "SharedLLMError",
    "TokenIdError",
    "TokenizerError",
    "TreeCacheError",
    "UnsupportedBaseError",
    "UntrainedInjectionError",
    "WindowError",
]


class SharedLLMError(Exception):
    """Anything that this library refuses or cannot do."""


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


class CacheWarning(UserWarning):
    """A tier of the tree cache failed; what it should have given is computed instead."""
