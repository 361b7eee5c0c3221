"""The library's messages in the words of the command line: its remedies name options, not arguments of Python."""

import re
from collections.abc import Collection

__all__ = ["in_options", "visible"]

_REMEDIES = {
    "skip it with on_error='skip'": "leave it out with --skip-unreadable",
    "give a path or a glob (text goes into Document(text=…))": "give a path or a glob",
    "raise max_file_bytes": "raise --max-file-bytes",
    "raise its max_bytes": "raise --cache-bytes",
    "pass allow_untrained=True": "give --allow-untrained",
    "say where it is with tokenizer=…": "put its files beside the checkpoint's",
    "ask for fewer new tokens": "lower --max-new-tokens",
}
_RENAMED = {"past_tokens": "tokens", "num_evidence": "evidence"}
_ARGUMENT = re.compile(r"\b([a-z][a-z0-9_]*)=(?=\S)")
_UNSEEN = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def in_options(message: str, names: Collection[str] = ()) -> str:
    """A message of the library as the command line says it.

    Args:
        message: of an error or a warning.
        names: of the command's parameters; `name=value` of one becomes `--name value`.
    """
    for remedy, said in _REMEDIES.items():
        message = message.replace(remedy, said)

    def option(found: re.Match[str]) -> str:
        name = _RENAMED.get(found[1], found[1])
        return f"--{name.replace('_', '-')} " if name in names else found[0]

    return _ARGUMENT.sub(option, message)


def visible(text: str) -> str:
    """Text without what would move a terminal's cursor or change its colours: documents may say anything."""
    return text.translate(_UNSEEN)
