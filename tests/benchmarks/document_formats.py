"""Compares readers of HTML, Word, ODT and RTF files with LibreOffice's own text export.

LibreOffice converts HTML pages to the other formats and to text; each reader extracts the text of the same files.

    python -m tests.benchmarks.document_formats FOLDER_OF_HTML_PAGES --work /tmp/formats [--facts FIXTURES]

Readers that are not installed are left out.
"""

import argparse
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sharedllm_core.text.documents.formats import extract_text

Reader = Callable[[Path], str]
WORD = re.compile(r"\w+")
#: What must be in the text of the fixtures, white space aside, and what must not.
FACTS = {
    "docx_tracked_insert.docx": ["notice period is 90 days for either", "-30"],
    "docx_content_controls.docx": ["Employee: Maria Keller", "The salary is 4,350 euros"],
    "docx_header_footer.docx": ["Contract No. 2024-117", "Confidential, version 7"],
    "docx_equation.docx": ["E=mc^2"],
    "docx_short_row_vmerge.docx": ["Signed in Bremen."],
    "docx_hidden_text.docx": ["Visible.", "-Hidden"],
    "html_comment_pre_form.html": [
        "-PUBLISH",
        "-Hidden div",
        "-Display none",
        "-106",
        "    if x:",
        "Maria Keller",
        "Notes here",
        "revenue 2024 was 5.2 million",
        "https://example.com/terms",
        "2. Second clause",
    ],
    "rtf_file.rtf": ["The notice period is ninety days.", "€", "-Times"],
}


def docx_paragraphs(path: Path) -> str:
    import docx

    return "\n".join(paragraph.text for paragraph in docx.Document(str(path)).paragraphs)


def docx2python(path: Path) -> str:
    from docx2python import docx2python

    with docx2python(path) as read:
        return str(read.text)


def mammoth(path: Path) -> str:
    import mammoth

    with path.open("rb") as file:
        return str(mammoth.extract_raw_text(file).value)


def markitdown(path: Path) -> str:
    from markitdown import MarkItDown

    return str(MarkItDown().convert(str(path)).text_content)


def kreuzberg(path: Path) -> str:
    import kreuzberg

    return str(kreuzberg.extract_file_sync(str(path)).content)


def striprtf(path: Path) -> str:
    from striprtf.striprtf import rtf_to_text

    return str(rtf_to_text(path.read_bytes().decode("latin-1")))


def odfdo(path: Path) -> str:
    from odfdo import Document

    return str(Document(str(path)).get_formatted_text())


def inscriptis(path: Path) -> str:
    from inscriptis import get_text

    return str(get_text(path.read_text(encoding="utf-8", errors="replace")))


def trafilatura(path: Path) -> str:
    from trafilatura import extract

    return extract(path.read_text(encoding="utf-8", errors="replace"), include_links=True, include_tables=True) or ""


def markdownify(path: Path) -> str:
    from markdownify import markdownify as convert

    return str(convert(path.read_text(encoding="utf-8", errors="replace")))


def own(path: Path) -> str:
    return extract_text(path).text


READERS: dict[str, list[Reader]] = {
    "html": [own, inscriptis, trafilatura, markdownify, markitdown, kreuzberg],
    "docx": [own, docx_paragraphs, docx2python, mammoth, kreuzberg],
    "odt": [own, odfdo, kreuzberg],
    "rtf": [own, striprtf, kreuzberg],
}


def convert(files: list[Path], kind: str, folder: Path) -> None:
    """Convert files with LibreOffice unless it was done before."""
    filters = {"docx": "docx:MS Word 2007 XML", "txt": "txt:Text (encoded):UTF8"}
    todo = [str(file) for file in files if not (folder / f"{file.stem}.{kind}").exists()]
    if todo:
        reads = ["--infilter=HTML (StarWriter)"] if files[0].suffix == ".html" else []
        command = ["soffice", "--headless", *reads, "--convert-to", filters.get(kind, kind), "--outdir", str(folder)]
        subprocess.run([*command, *todo], check=True, capture_output=True)


def lost_words(reference: list[str], text: list[str]) -> int:
    """How many words of the reference do not stand in the text in their order."""
    with tempfile.TemporaryDirectory() as folder:
        names = [Path(folder, name) for name in ("reference", "text")]
        for name, words in zip(names, (reference, text), strict=True):
            name.write_text("\n".join(words) + "\n")
        found = subprocess.run(
            ["/usr/bin/diff", "-d", "--speed-large-files", *names], capture_output=True, text=True, check=False
        )
    return sum(line.startswith("<") for line in found.stdout.splitlines())


def facts(reader: Reader, suffix: str, folder: Path) -> Iterator[bool]:
    for name, passages in FACTS.items():
        if name.endswith(suffix):
            try:
                text = reader(folder / name)
            except Exception:
                text = "-"
            joined = " ".join(text.split())
            for passage in passages:
                if passage.startswith("-"):
                    yield text != "-" and passage[1:] not in joined
                else:
                    yield passage in joined or passage in text


def row(kind: str, reader: Reader, work: Path, fixtures: Path | None) -> str:
    total = lost = 0
    seconds = 0.0
    for file in sorted(work.glob(f"*.{kind}")):
        reference = WORD.findall((work / f"{file.stem}.txt").read_text(encoding="utf-8-sig"))
        start = time.process_time()
        text = reader(file)
        seconds += time.process_time() - start
        total += len(reference)
        lost += lost_words(reference, WORD.findall(text))
    kept = list(facts(reader, kind, fixtures)) if fixtures else []
    share = f"{100 * (1 - lost / total):.2f} %"
    return f"| {kind} | {reader.__name__} | {share} | {sum(kept)} of {len(kept)} | {total / seconds:,.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--facts", type=Path)
    options = parser.parse_args()
    options.work.mkdir(exist_ok=True)
    pages = sorted(options.pages.glob("*.html"))
    for page in pages:
        (options.work / page.name).write_bytes(page.read_bytes())
    convert([options.work / page.name for page in pages], "docx", options.work)
    written = [options.work / f"{page.stem}.docx" for page in pages]
    for kind in ("txt", "odt", "rtf"):
        convert(written, kind, options.work)
    print("| format | reader | words in order | facts kept | words a second |\n|---|---|---|---|---|")
    for kind, readers in READERS.items():
        for reader in readers:
            try:
                print(row(kind, reader, options.work, options.facts), flush=True)
            except ImportError as error:
                print(f"| {kind} | {reader.__name__} | not installed: {error.name} | | |", flush=True)


if __name__ == "__main__":
    main()
