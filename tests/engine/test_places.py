"""Libraries report what was guessed in files, and evidence names lines of the file."""

import pytest

from sharedllm_core import SharedLLMEngine
from sharedllm_core.errors import ReadingWarning
from tests import tiny_engine


def test_a_library_reports_guesses_and_evidence_names_the_line(checkpoint, tmp_path):
    file = tmp_path / "lease.txt"
    lines = [f"Haus {number} gehört Frau Müller." for number in range(40)]
    file.write_bytes("\r\n".join(lines).encode("cp1252"))
    engine: SharedLLMEngine = tiny_engine.make_engine(checkpoint)
    with pytest.warns(ReadingWarning, match=r"lease\.txt: its encoding .* Windows-1252"):
        library = engine.library(file)
    assert [warning.path for warning in library.warnings] == [file.as_posix()]
    answer = engine.ask("Wem gehört Haus 12?", library, max_new_tokens=8)
    assert answer.evidence
    written = file.read_bytes().decode("cp1252")
    for span in answer.evidence:
        first, last = span.original
        assert written[first:last].replace("\r\n", "\n") == span.text
        named = int(span.place.split()[1])
        assert span.text.split("\n")[0] in written.split("\r\n")[named - 1]
