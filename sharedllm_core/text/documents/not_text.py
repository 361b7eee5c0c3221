"""Files that are known not to be text: they are passed over in folders, and listed."""

from pathlib import Path

__all__ = ["kind_of_content", "kind_of_name"]

_SUFFIXES = {
    "an image": "avif bmp cr2 dng gif heic heif icns ico jfif jp2 jpeg jpg nef png psd raw tga tif tiff webp xcf",
    "a sound file": "aac aif aiff amr flac m4a mid midi mp3 oga ogg opus wav wma",
    "a film": "3gp avi flv m4v mkv mov mp4 mpeg mpg ogv webm wmv",
    "an archive": "7z apk ar bz2 cab cpio deb dmg gz iso jar lz lz4 lzma rar rpm tar tbz2 tgz txz war whl xz z zip zst",
    "a program": "a class com dll dylib elf exe lib msi o obj pdb pyc pyd pyo so wasm",
    "a font": "eot otf ttc ttf woff woff2",
    "a database": "accdb db dbf frm ibd ldb mdb mdf sqlite sqlite3",
    "binary data": (
        "arrow avro bin blend ckpt dat dcm feather fits gguf h5 hdf5 joblib lock-db mat mo npy npz onnx orc parquet pb "
        "pickle pkl pt pth rdata rds safetensors shp tflite tfrecord"
    ),
}
_KIND_OF_SUFFIX = {f".{suffix}": kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}

#: How files begin, for those whose name does not say.
_BEGINNINGS = {
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"\xcf\xfa\xed\xfe": "a program",
    b"\xca\xfe\xba\xbe": "a program",
    b"\0asm": "a program",
    b"PK\x03\x04": "an archive",
    b"\x1f\x8b": "an archive",
    b"BZh": "an archive",
    b"\xfd7zXZ": "an archive",
    b"7z\xbc\xaf": "an archive",
    b"Rar!": "an archive",
    b"\x28\xb5\x2f\xfd": "an archive",
    b"SQLite format 3": "a database",
    b"ID3": "a sound file",
    b"OggS": "a sound file",
    b"fLaC": "a sound file",
}
_AMBIGUOUS = frozenset({".dat", ".db", ".bin", ".com", ".lib", ".mat", ".raw", ".pb", ".a", ".o", ".z", ".obj", ".mid"})
_HEAD_BYTES = 8192


def kind_of_name(path: Path) -> str | None:
    """What a file is by its suffix, such as `"an image"`; `None` if it may be text."""
    suffix = path.suffix.lower()
    if suffix in _AMBIGUOUS:  # some of these are text: their content decides
        return None
    return _KIND_OF_SUFFIX.get(suffix)


def kind_of_content(path: Path) -> str | None:
    """What a file that could not be read is by its first bytes; `None` if it is not known.

    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    kind = next((kind for beginning, kind in _BEGINNINGS.items() if head.startswith(beginning)), None)
    if kind is None and path.suffix.lower() in _AMBIGUOUS and b"\0" in head:
        return _KIND_OF_SUFFIX[path.suffix.lower()]
    return kind
