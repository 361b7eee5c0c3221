"""Facts in files of every kind: the place that a quoted passage names holds the fact in the original file."""

import csv
import io
import json
import random

import docx
import openpyxl
import pptx
import pytest
from pypdf import PdfReader

from sharedllm_core import SharedLLMEngine
from tests import tiny_engine

from .test_pdf import lines, pdf

FACTS = [
    (f"{animal}{number}", random.Random(number).randint(1000, 9999))
    for number in range(10)
    for animal in ("heron", "otter", "lynx", "stork", "badger")
]
QUESTION = "What is the code of {}?"


def sentence(name, code):
    return f"The code of {name} is {code}."


def write_text(path, facts):
    path.write_bytes("\r\n".join(sentence(*fact) for fact in facts).encode("utf-8-sig"))
    written = path.read_bytes().decode("utf-8-sig").split("\r\n")
    return lambda place: written[int(number_of(place, "line")) - 1]


def write_markdown(path, facts):
    path.write_text("\n\n".join(f"# About {name}\n\n{sentence(name, code)}" for name, code in facts))
    parts = path.read_text().split("# About ")
    return lambda place: next(
        part for part in parts[1:] if part.split()[0] == place.split("'")[1].removeprefix("About ")
    )


def write_table(path, facts):
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows([("name", "code"), *facts])
    rows = list(csv.reader(io.StringIO(path.read_text()), delimiter=";"))
    return lambda place: " ".join(rows[int(number_of(place, "row")) - 1])


def write_json_lines(path, facts):
    path.write_text("\n".join(json.dumps({"name": name, "code": code}) for name, code in facts))
    written = path.read_text().split("\n")
    return lambda place: written[int(number_of(place, "line")) - 1]


def write_pdf(path, facts):
    path.write_bytes(pdf(*(lines("A page of the register.", sentence(*fact)) for fact in facts)))
    pages = PdfReader(path).pages
    return lambda place: pages[int(number_of(place, "page")) - 1].extract_text()


def write_word(path, facts):
    document = docx.Document()
    for name, code in facts:
        document.add_heading(f"About {name}", level=2)
        document.add_paragraph(sentence(name, code))
    document.save(path)
    paragraphs = [paragraph.text for paragraph in docx.Document(path).paragraphs]
    return lambda place: paragraphs[paragraphs.index(place.split("'")[1]) + 1]


def write_sheet(path, facts):
    book = openpyxl.Workbook()
    book.active.append(("name", "code"))
    for fact in facts:
        book.active.append(fact)
    book.save(path)
    sheet = openpyxl.load_workbook(path).active
    return lambda place: " ".join(str(cell.value) for cell in sheet[int(number_of(place, "row"))])


def write_slides(path, facts):
    show = pptx.Presentation()
    for name, code in facts:
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text = f"About {name}"
        slide.placeholders[1].text = sentence(name, code)
    show.save(path)
    slides = list(pptx.Presentation(path).slides)
    return lambda place: " ".join(shape.text for shape in slides[int(number_of(place, "slide")) - 1].shapes)


def write_page(path, facts):
    path.write_text("".join(f"<h2>About {name}</h2><p>{sentence(name, code)}</p>" for name, code in facts))
    parts = path.read_text().split("<h2>")
    return lambda place: next(part for part in parts if part.split("</h2>")[0] == place.split("'")[1])


def write_notebook(path, facts):
    cells = [{"cell_type": "markdown", "source": sentence(*fact), "metadata": {}} for fact in facts]
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return lambda place: cells[int(number_of(place, "cell")) - 1]["source"]


WRITERS = {
    ".txt": write_text,
    ".md": write_markdown,
    ".csv": write_table,
    ".jsonl": write_json_lines,
    ".pdf": write_pdf,
    ".docx": write_word,
    ".xlsx": write_sheet,
    ".pptx": write_slides,
    ".html": write_page,
    ".ipynb": write_notebook,
}


def number_of(place, kind):
    """The number of a place such as "page 3" or "sheet Fees, row 7"."""
    [number] = [part.split()[-1] for part in place.split(", ") if part.startswith(f"{kind} ")]
    return number


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    return tiny_engine.make_engine(tiny_engine.checkpoints_of_each_reading(folder)["quoted"])


@pytest.mark.parametrize("suffix", WRITERS)
def test_the_place_of_a_passage_holds_the_fact_in_the_original(engine: SharedLLMEngine, tmp_path, suffix):
    file = tmp_path / f"register{suffix}"
    open_place = WRITERS[suffix](file, FACTS)
    library = engine.library(file)
    for name, code in random.Random(suffix).sample(FACTS, 5):
        passages = engine.passages(QUESTION.format(name), library, max_tokens=600)
        [passage] = [one for one in passages if str(code) in one.text]
        start = library.documents[0].text.index(str(code), passage.start)
        place = library.documents[0].place(start, start + len(str(code)))
        assert str(code) in open_place(place), place
        assert passage.place, "a passage names its place too"
