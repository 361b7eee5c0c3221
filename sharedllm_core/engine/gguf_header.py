"""Read the header of a GGUF file: its metadata and its table of tensors, without the weights.

    magic, version, number of tensors, number of metadata entries
    metadata: key, type, value
    tensors: name, shape, type, offset in the data
    padding, data

See https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

import mmap
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from ..errors import CheckpointError

__all__ = ["FLOAT32", "GgufHeader", "GgufTensor", "check_magic", "read_header"]

#: The type number of unquantised float32 tensors.
FLOAT32 = 0
_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_FORMATS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_ALIGNMENT = 32  # bytes, where the metadata has no other


@dataclass(frozen=True)
class GgufTensor:
    """An entry of the table of tensors.

    Attributes:
        name: of the tensor.
        shape: as in PyTorch; the file has the dimensions in reverse.
        kind: its type number, such as `FLOAT32`.
        offset: in bytes, from the beginning of the file.
    """

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    @property
    def num_values(self) -> int:
        """The product of the shape."""
        return prod(self.shape)


@dataclass(frozen=True)
class GgufHeader:
    """The header of a GGUF file.

    Attributes:
        metadata: values by key; arrays are left out.
        tensors: the table of tensors.
    """

    metadata: dict[str, Any]
    tensors: list[GgufTensor]

    @property
    def architecture(self) -> str:
        """The model's family, such as `"llama"`; empty where the file does not say."""
        return str(self.metadata.get("general.architecture", ""))


def check_magic(file: Path) -> None:
    """Check that a file begins as a GGUF file of a supported version does.

    Raises:
        CheckpointError: it is empty, no GGUF file, or of another version.
    """
    try:
        with file.open("rb") as opened:
            beginning = opened.read(8)
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read ({error})", remedy="check its permissions") from error
    if not beginning:
        raise CheckpointError(f"{file} is empty", remedy="download it again")
    if beginning[:4] != _MAGIC:
        raise CheckpointError(
            f"{file} is a file", limit="and no GGUF file", remedy="give a GGUF file or the checkpoint's folder"
        )
    version = int.from_bytes(beginning[4:], "little")
    if len(beginning) == 8 and version not in _VERSIONS:
        raise CheckpointError(
            f"{file} is of GGUF version {version}",
            limit=f"and versions {' and '.join(map(str, _VERSIONS))} are supported",
            remedy="download a newer file of this model",
        )


def read_header(file: Path) -> GgufHeader:
    """Read the header of a GGUF file.

    Raises:
        CheckpointError: no GGUF file, or one that ends or is damaged within its header.
    """
    check_magic(file)
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        try:
            return _Reader(mapped).header()
        except (struct.error, UnicodeDecodeError, KeyError, OverflowError, MemoryError) as error:
            raise CheckpointError(
                f"the header of {file} is damaged or cut off after {file.stat().st_size:,} bytes",
                remedy="download it again",
            ) from error


class _Reader:
    """Read values in the order of the file; `struct.error` at its end."""

    def __init__(self, mapped: mmap.mmap) -> None:
        self._mapped = mapped
        self._position = 8  # behind magic and version

    def header(self) -> GgufHeader:
        num_tensors, num_entries = self._number("<Q"), self._number("<Q")
        metadata = {}
        for _ in range(num_entries):
            key, value = self._string(), self._value(self._number("<I"))
            if value is not None:
                metadata[key] = value
        entries = [self._tensor_entry() for _ in range(num_tensors)]
        alignment = int(metadata.get("general.alignment", _ALIGNMENT)) or _ALIGNMENT
        data = -(-self._position // alignment) * alignment
        return GgufHeader(metadata, [GgufTensor(name, shape, kind, data + at) for name, shape, kind, at in entries])

    def _tensor_entry(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._string()
        shape = [self._number("<Q") for _ in range(self._number("<I"))]
        return name, tuple(reversed(shape)), self._number("<I"), self._number("<Q")

    def _value(self, kind: int) -> Any:
        """Return a metadata value, or `None` for an array, which is skipped."""
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            return self._number(_FORMATS[kind])
        item_kind, length = self._number("<I"), self._number("<Q")
        if item_kind in _FORMATS:
            self._skip(length * struct.calcsize(_FORMATS[item_kind]))
        else:
            for _ in range(length):
                self._skip(self._number("<Q")) if item_kind == _STRING else self._value(item_kind)
        return None

    def _string(self) -> str:
        length = self._number("<Q")
        first = self._position
        self._skip(length)
        return self._mapped[first : self._position].decode()

    def _number(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self._mapped, self._position)
        self._position += struct.calcsize(form)
        return value

    def _skip(self, num_bytes: int) -> None:
        if self._position + num_bytes > len(self._mapped):
            raise struct.error("the file ends")
        self._position += num_bytes
