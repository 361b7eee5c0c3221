"""Word files: what Word shows, nothing lost, nothing changed."""

import docx
import pytest
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .reading import extract, places, text_of, words_in_order
from .word_files import level, numbered, paragraph, run, saved, word_file

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
W14 = "{http://schemas.microsoft.com/office/word/2010/wordml}"
FIELD = '<w:r><w:fldChar w:fldCharType="{}"/></w:r>'
CELL = "<w:tc><w:tcPr>{1}</w:tcPr>{0}</w:tc>"
BOX = "<w:txbxContent>{}</w:txbxContent>"


def table(*rows, properties=""):
    return f"<w:tbl><w:tblPr>{properties}</w:tblPr>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"


def cell(text, properties=""):
    return CELL.format(paragraph(run(text)), properties)


CASES = {
    "insertions are accepted and deletions gone": (
        paragraph(
            run("within "),
            '<w:del w:id="1"><w:r><w:delText>30</w:delText></w:r></w:del>',
            f'<w:ins w:id="2">{run("90 days")}</w:ins>',
            f'<w:moveFrom w:id="3">{run(" gone")}</w:moveFrom><w:moveTo w:id="4">{run(" here")}</w:moveTo>',
        ),
        "within 90 days here",
    ),
    "a paragraph whose end was deleted goes on in the next": (
        paragraph(run("one "), properties='<w:rPr><w:del w:id="1"/></w:rPr>') + paragraph(run("two")),
        "one two",
    ),
    "content controls and smart tags": (
        paragraph(f"<w:sdt><w:sdtContent>{run('Ann')}</w:sdtContent></w:sdt>", f"<w:smartTag>{run(' Bo')}</w:smartTag>")
        + f"<w:sdt><w:sdtContent>{paragraph(run('salary'))}</w:sdtContent></w:sdt>",
        "Ann Bo\nsalary",
    ),
    "hidden text": (
        paragraph(run("seen "), run("secret", "<w:vanish/>"), run("too", '<w:vanish w:val="0"/>')),
        "seen too",
    ),
    "results of fields, not their instructions": (
        paragraph(
            FIELD.format("begin"),
            "<w:r><w:instrText>REF x</w:instrText></w:r>",
            run("hidden instruction"),
            FIELD.format("separate"),
            run("clause 4"),
            FIELD.format("end"),
            f"<w:fldSimple>{run(' of 9')}</w:fldSimple>",
        ),
        "clause 4 of 9",
    ),
    "boxes of forms": (
        paragraph(
            '<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:checkBox><w:checked/></w:checkBox></w:ffData>'
            "</w:fldChar></w:r>",
            FIELD.format("end"),
            run(" yes"),
        ),
        "☒ yes",
    ),
    "equations": (
        paragraph(
            "<m:oMath><m:r><m:t>E=m</m:t></m:r><m:sSup><m:e><m:r><m:t>c</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r>"
            "</m:sup></m:sSup><m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f>"
            "</m:oMath>"
        ),
        "E=mc^2(a+b)/2",
    ),
    "superscripts": (paragraph(run("10"), run("6", '<w:vertAlign w:val="superscript"/>'), run(" m")), "10^6 m"),
    "text boxes once": (
        paragraph(
            run("outside"),
            "<w:r><mc:AlternateContent><mc:Choice Requires='wps'><w:drawing><wps:txbx>"
            + BOX.format(paragraph(run("inside")))
            + "</wps:txbx></w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox>"
            + BOX.format(paragraph(run("inside")))
            + "</v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r>",
        ),
        "outside\ninside",
    ),
    "breaks, tabs and symbols": (
        paragraph(
            "<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/><w:t>d</w:t>"
            '<w:softHyphen/><w:sym w:font="Wingdings" w:char="F0FE"/></w:r>'
        ),
        "a\tb\nc-d☒",
    ),
    "merged cells keep the columns": (
        table(
            cell("Item") + cell("2023") + cell("2024"),
            cell("Rent", '<w:vMerge w:val="restart"/>') + cell("both", '<w:gridSpan w:val="2"/>'),
            cell("", "<w:vMerge/>") + cell("10") + cell("12"),
            "<w:trPr><w:gridBefore w:val='1'/></w:trPr>" + cell("20") + cell("22"),
            "<w:trPr><w:del w:id='1'/></w:trPr>" + cell("gone"),
        ),
        "Item | 2023 | 2024\nItem: Rent; 2023: both; 2024: \nItem: ; 2023: 10; 2024: 12\nItem: ; 2023: 20; 2024: 22",
    ),
    "rows without names": (table(cell("rent") + cell("900"), cell("heat") + cell("80")), "rent | 900\nheat | 80"),
    "rows that are marked as names": (
        table("<w:trPr><w:tblHeader/></w:trPr>" + cell("name") + cell("town"), cell("Ann") + cell("Ulm")),
        "name | town\nname: Ann; town: Ulm",
    ),
    "nested tables": (
        table(
            cell("left") + CELL.format(table(cell("Item") + cell("Price"), cell("Door") + cell("10")) + "<w:p/>", "")
        ),
        "left\nItem | Price\nItem: Door; Price: 10",
    ),
    "cells of several lines": (
        table(cell("Item") + cell("Price"), CELL.format(paragraph(run("a")) + paragraph(run("b")), "") + cell("10")),
        "Item | Price\nItem: a b; Price: 10",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_text_is_what_word_shows(tmp_path, case):
    body, expected = CASES[case]
    assert text_of(tmp_path, "a.docx", word_file(body)) == expected


def test_clauses_have_their_numbers(tmp_path):
    body = "".join(
        [
            numbered("Rent", 0),
            numbered("Due date", 1),
            numbered("Bank", 1),
            numbered("Account", 2),
            paragraph(run("plain text between")),
            numbered("Term", 0),
            numbered("Notice", 1),
            numbered("Annex", 0, 78),
            numbered("Again", 1),
        ]
    )
    levels = (
        level(0, "Article %1", "upperRoman") + level(1, "%1.%2", more="<w:isLgl/>") + level(2, "(%3)", "lowerLetter")
    )
    nums = (
        '<w:num w:numId="78"><w:abstractNumId w:val="77"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="9"/>'
        "</w:lvlOverride></w:num>"
    )
    assert text_of(tmp_path, "a.docx", word_file(body, levels=levels, nums=nums)).split("\n") == [
        "Article I Rent",
        "1.1 Due date",
        "1.2 Bank",
        "(a) Account",
        "plain text between",
        "Article II Term",
        "2.1 Notice",
        "Article IX Annex",
        "9.1 Again",
    ]


def test_numbers_of_styles_and_bullets_are_shown(tmp_path):
    document = docx.Document()
    for text, style in (("one", "List Number"), ("two", "List Number"), ("point", "List Bullet")):
        document.add_paragraph(text, style)
    assert text_of(tmp_path, "a.docx", saved(document)) == "1. one\n2. two\n• point"


def test_headers_and_footers_are_read_once_and_only_those_that_are_shown(tmp_path):
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Contract 7"
    document.sections[0].footer.paragraphs[0].text = "Confidential"
    document.sections[0].first_page_header.paragraphs[0].text = "Cover"
    document.sections[0].different_first_page_header_footer = False
    document.add_paragraph("Rent")
    section = document.add_section()
    section.header.is_linked_to_previous = False
    section.header.paragraphs[0].text = "Contract 7"
    document.add_paragraph("Term")
    assert text_of(tmp_path, "a.docx", saved(document)) == "Contract 7\nRent\nTerm\nConfidential"


def test_footnotes_follow_their_paragraph(tmp_path):
    reference = '<w:r><w:footnoteReference w:id="2"/></w:r>'
    footnotes = f'<w:footnote w:type="separator" w:id="0">{paragraph(run("line"))}</w:footnote><w:footnote w:id="2">'
    footnotes += f"{paragraph('<w:r><w:footnoteRef/></w:r>', run(' Except Sundays.'))}</w:footnote>"
    body = paragraph(run("Every day"), reference, run(" at nine.")) + paragraph(run("Next."))
    text = text_of(tmp_path, "a.docx", word_file(body, footnotes=footnotes))
    assert text == "Every day[1] at nine.\n[1] Except Sundays.\nNext."


def commented(*comments):
    """A Word file with `Rent: 900.`, to which comments refer, and `Next.`

    Args:
        comments: id, author, text, and the id of the comment that it answers.
    """
    document = docx.Document()
    rent = document.add_paragraph()
    for _, author, text, _ in comments:
        document.add_comment(rent.add_run("Rent: 900.") if not rent.runs else rent.runs[0], text, author)
    document.add_paragraph("Next.")
    part = document.part._comments_part
    entries = ""
    for comment, (name, _, _, answered) in zip(part.element.iter(f"{W}comment"), comments, strict=True):
        comment.findall(f"{W}p")[-1].set(f"{W14}paraId", name)
        answers = f' w15:paraIdParent="{answered}"' if answered else ""
        entries += f'<w15:commentEx w15:paraId="{name}" w15:done="1"{answers}/>'
    content = (
        f'<w15:commentsEx xmlns:w15="http://schemas.microsoft.com/office/word/2012/wordml">{entries}</w15:commentsEx>'
    )
    kind = "http://schemas.microsoft.com/office/2011/relationships/commentsExtended"
    uri = PackURI("/word/commentsExtended.xml")
    document.part.relate_to(Part(uri, "application/xml", content.encode(), document.part.package), kind)
    return saved(document)


def test_comments_stand_behind_their_paragraph_with_their_authors(tmp_path):
    text = text_of(tmp_path, "a.docx", commented(("1", "Ann", "Is this\nright?", ""), ("2", "Bo", "Ask Cy.", "")))
    assert text == "Rent: 900. [Comment by Ann: Is this right?] [Comment by Bo: Ask Cy.]\nNext."


def test_replies_follow_the_comment_that_they_answer(tmp_path):
    comments = ("1", "Ann", "Right?", ""), ("2", "Bo", "Tax?", ""), ("3", "Cy", "Yes.", "1"), ("4", "Di", "Sure.", "3")
    text = text_of(tmp_path, "a.docx", commented(*comments)).split("\n")[0]
    written = ("Ann: Right?", "Cy: Yes.", "Di: Sure.", "Bo: Tax?")
    assert text == " ".join(["Rent: 900.", *(f"[Comment by {comment}]" for comment in written)])


def test_a_comment_of_a_heading_is_no_part_of_the_place(tmp_path):
    document = docx.Document()
    document.add_comment(document.add_heading("Rent", 1).runs[0], "Too high?", "Ann")
    extracted = extract(tmp_path, "a.docx", saved(document))
    assert extracted.text == "# Rent\n[Comment by Ann: Too high?]"
    assert places(extracted, "heading") == {"Rent": "# Rent"}


def test_comments_in_tables_stay_in_their_cells(tmp_path):
    document = docx.Document()
    grid = document.add_table(2, 2)
    for at, text in enumerate(("Item", "Price", "Door", "10")):
        cell = grid.cell(at // 2, at % 2)
        cell.text = text
        if text == "Door":
            document.add_comment(cell.paragraphs[0].runs[0], "Oak?", "Ann")
    assert "Door [Comment by Ann: Oak?]" in text_of(tmp_path, "a.docx", saved(document)).split("\n")[1]


def test_headings_and_pages_are_places(tmp_path):
    document = docx.Document()
    document.add_heading("Lease", 0)
    document.add_heading("Rent", 2)
    document.add_paragraph("on page one")
    document.add_page_break()
    document.add_paragraph("on page two")
    extracted = extract(tmp_path, "a.docx", saved(document))
    assert extracted.text == "# Lease\n## Rent\non page one\non page two"
    assert places(extracted, "heading") == {"Lease": "# Lease", "Rent": "## Rent"}
    assert places(extracted, "page") == {"1": "# Lease", "2": "on page two"}


def test_a_chain_of_styles_hides_text(tmp_path):
    document = docx.Document()
    document.styles.add_style("Secret", 2).font.hidden = True
    document.styles.add_style("Deeper", 2).base_style = document.styles["Secret"]
    document.add_paragraph("seen ").add_run("hidden", "Deeper")
    assert text_of(tmp_path, "a.docx", saved(document)) == "seen "


PARTS = st.lists(
    st.tuples(
        st.sampled_from(["paragraph", "heading", "insertion", "table", "list", "control", "box", "link"]),
        st.integers(1, 4),
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PARTS)
def test_written_files_come_back_complete_in_order_and_once(tmp_path, parts):
    words = []

    def next_word(_=None):
        words.append(f"w{len(words)}x")
        return words[-1]

    def write(kind, size):
        runs = [run(f"{next_word()} ") for _ in range(size)]
        if kind == "table":
            return table(*(f"{CELL.format(paragraph(part), '')}{cell(next_word())}" for part in runs[:1]))
        if kind == "insertion":
            return paragraph(
                f'<w:ins w:id="1">{"".join(runs)}</w:ins>',
                '<w:del w:id="2"><w:r><w:delText>x</w:delText></w:r></w:del>',
            )
        if kind == "control":
            return f"<w:sdt><w:sdtContent>{paragraph(*runs)}</w:sdtContent></w:sdt>"
        if kind == "link":
            return paragraph(f"<w:hyperlink>{''.join(runs)}</w:hyperlink>")
        if kind == "box":
            return paragraph(f"<w:r><w:pict><v:textbox>{BOX.format(paragraph(*runs))}</v:textbox></w:pict></w:r>")
        style = {"heading": '<w:pStyle w:val="Heading1"/>', "list": '<w:pStyle w:val="ListNumber"/>'}.get(kind, "")
        return paragraph(*runs, properties=style)

    body = "".join(write(kind, 1 if kind == "table" else size) for kind, size in parts)
    assert words_in_order(words, text_of(tmp_path, "a.docx", word_file(body)))
