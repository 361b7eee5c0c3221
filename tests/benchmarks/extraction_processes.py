"""Extraction of a folder's texts in one process and in several: seconds of each, one run after the other.

python -m tests.benchmarks.extraction_processes FOLDER [PROCESSES …]
"""

import json
import sys
import time

from sharedllm_core.text.documents import read_documents


def main() -> None:
    """Print a line of JSON per number of processes."""
    folder, *counts = sys.argv[1:]
    for count in map(int, counts or ["1", "2"]):
        begin = time.perf_counter()
        found = read_documents(folder, on_error="skip", processes=count)
        seconds = time.perf_counter() - begin
        characters = sum(len(document.text) for document in found.documents)
        row = {
            "processes": count,
            "files": len(found.documents),
            "characters": characters,
            "seconds": round(seconds, 1),
        }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
