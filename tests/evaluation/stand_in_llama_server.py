"""The part of llama.cpp's HTTP interface that `LlamaServer` uses, without a model: words are tokens."""

import argparse
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import takewhile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

WINDOW = 400
slot = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        properties = {"model_ftype": "Q4_1", "build_info": "b1-stand-in"}
        self.reply({"/health": {"status": "ok"}, "/props": properties}[self.path])

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        address = urlsplit(self.path)
        if address.path == "/v1/chat/completions":
            self.complete(body)
        else:
            file = Path(options.slot_save_path) / body["filename"]
            (action,) = parse_qs(address.query)["action"]
            if action == "save":
                file.write_text(json.dumps(slot))
            else:
                slot[:] = json.loads(file.read_text())
            self.reply({"filename": file.name})

    def complete(self, body):
        assert body["stream"]
        tokens = " ".join(message["content"] for message in body["messages"]).split()
        if len(tokens) > WINDOW:
            error = {"type": "exceed_context_size_error", "n_prompt_tokens": len(tokens), "n_ctx": WINDOW}
            self.reply({"error": error}, 400)
            return
        cached = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(slot, tokens, strict=False))))
        slot[:] = tokens
        timings = {"prompt_n": len(tokens) - cached, "cache_n": cached}
        deltas = [{"role": "assistant", "content": None}, {"content": "yes"}, {}]
        events = [{"choices": [{"delta": delta}]} for delta in deltas]
        events[-1]["timings"] = timings
        text = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        self.send(text.encode(), "text/event-stream", 200)

    def reply(self, content, status=200):
        self.send(json.dumps(content).encode(), "application/json", status)

    def send(self, content, kind, status):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


parser = argparse.ArgumentParser()
parser.add_argument("--model")
parser.add_argument("--port", type=int)
parser.add_argument("--slot-save-path")
options, _ = parser.parse_known_args()
if not Path(options.model).is_file():
    sys.exit(f"error: failed to open {options.model}")
HTTPServer(("127.0.0.1", options.port), Handler).serve_forever()
