"""Run an example as a user does: in this process, which has imported torch already, or in one of its own."""

import runpy
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
from io import StringIO

import pytest
from llama_index.core import Settings
from transformers.utils import logging

from sharedllm_integrations._shared import engines
from tests.tiny_engine import ROOT

EXAMPLES = ROOT / "examples"


def run_in_own_process(script, *arguments):
    """Run a script of `examples/`; what it prints."""
    command = [sys.executable, EXAMPLES / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_here(script, *arguments):
    """The same in this process, which afterwards is as it was before."""
    modules, verbosity = set(sys.modules), logging.get_verbosity()
    printed = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(sys, "argv", [str(EXAMPLES / script), *map(str, arguments)])
        patch.setattr(sys, "path", [str((EXAMPLES / script).parent), *sys.path])
        patch.setattr(tempfile, "tempdir", None)  # so that TMPDIR counts
        patch.setattr(engines, "_with_default_cache", type(engines._with_default_cache)())
        for name in ("_llm", "_embed_model", "_tokenizer", "_prompt_helper", "_node_parser"):
            patch.setattr(Settings, name, None)
        try:
            runpy.run_path(str(EXAMPLES / script), run_name="__main__")
        finally:
            logging.set_verbosity(verbosity)
            logging.enable_progress_bar()
            for name in set(sys.modules) - modules:
                if str(getattr(sys.modules[name], "__file__", None)).startswith(str(EXAMPLES)):
                    del sys.modules[name]
    return printed.getvalue()
