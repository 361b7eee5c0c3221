"""Reading many small files and asking about them: seconds, bytes on disk, and peak memory of each command.

PYTHONPATH=. python tests/benchmarks/small_files.py --files 1000 --model tests/models/lookup

With PYTHONPATH naming another checkout, that one is measured.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_WORDS = """
notice period tenant lease rent paid month year contract party clause signed agreed shall within days written deposit
returned damage insured building keys storage fee warehouse manager number called north harbour ledger
"""

_COMMAND = """
import atexit, resource, sys
from sharedllm_core.cli.main import main

atexit.register(lambda: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr))
main()
"""


def write_files(folder, count):
    chosen = random.Random(0)
    for number in range(count):
        text = " ".join(chosen.choices(_WORDS.split(), k=32)).capitalize()
        (folder / f"{number:05}.txt").write_text(f"File {number}. {text}. Code {chosen.randrange(10**6)}.\n")


def run(*arguments):
    """Run a command; its standard output, seconds, seconds of processor, and peak memory in bytes."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime, time.perf_counter()
    done = subprocess.run([sys.executable, "-c", _COMMAND, *arguments], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - begin
    processor = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    return done.stdout, seconds, processor, int(done.stderr.splitlines()[-1]) * 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--model", default="tests/models/lookup")
    parser.add_argument("--int8", action="store_true", help="keep trees in 8 bits")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        docs, cache = Path(scratch) / "docs", Path(scratch) / "cache"
        docs.mkdir()
        write_files(docs, options.files)
        os.environ |= {"SHAREDLLM_MODEL": options.model, "SHAREDLLM_CACHE_DIR": str(cache)}
        int8 = ["--int8"] if options.int8 else []
        read, *of_read = run("read", str(docs), "--json", *int8)
        on_disk = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file())
        answer, *of_ask = run(
            "ask", "What is the code of file 77?", "--docs", str(docs), "--json", "--max-new-tokens", "16", *int8
        )
    found = {"files": options.files, "model": options.model, "int8": options.int8, "tokens": json.loads(read)["tokens"]}
    found |= {"disk_bytes": on_disk, "answer": json.loads(answer)["answer"]}
    for name, (seconds, processor, peak) in (("read", of_read), ("ask", of_ask)):
        found |= {f"{name}_s": round(seconds, 1), f"{name}_cpu_s": round(processor, 1), f"{name}_peak_bytes": peak}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
