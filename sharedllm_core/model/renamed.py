"""Names that transformers changed, as the installed version has them; the old ones are going to be removed."""

from dataclasses import fields
from typing import Final

from transformers.modeling_outputs import CausalLMOutputWithPast

__all__ = ["KV_CACHE", "present_name"]


def present_name(kind: type, new: str, old: str) -> str:
    """Return the name of a field of a dataclass of transformers that was renamed from `old` to `new`."""
    return new if new in {field.name for field in fields(kind)} else old


#: The argument and the output of models that hold the KV cache: `past_key_values` before transformers 5.24.
KV_CACHE: Final = present_name(CausalLMOutputWithPast, "cache", "past_key_values")
