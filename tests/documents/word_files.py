"""Writes Word files whose body is given as WordprocessingML."""

import io

import docx
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml

NAMESPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:v="urn:schemas-microsoft-com:vml"'
)


def run(text, properties=""):
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def paragraph(*runs, properties=""):
    return f"<w:p><w:pPr>{properties}</w:pPr>{''.join(runs)}</w:p>"


def level(number, text, kind="decimal", more=""):
    rules = f'<w:start w:val="1"/><w:numFmt w:val="{kind}"/>{more}<w:lvlText w:val="{text}"/>'
    return f'<w:lvl w:ilvl="{number}">{rules}</w:lvl>'


def numbered(text, level_number, list_id=77):
    return paragraph(
        run(text), properties=f'<w:numPr><w:ilvl w:val="{level_number}"/><w:numId w:val="{list_id}"/></w:numPr>'
    )


def word_file(body, *, levels="", nums="", footnotes=""):
    """A Word file of these blocks.

    Args:
        body: its blocks.
        levels: of a list with the id 77.
        nums: further lists.
        footnotes: of its footnotes part.
    """
    document = docx.Document()
    element = document.element.body
    for block in reversed(list(parse_xml(f"<w:body {NAMESPACES}>{body}</w:body>"))):
        element.insert(0, block)
    if levels:
        numbering = document.part.numbering_part.element
        rules = f'<w:abstractNum {NAMESPACES} w:abstractNumId="77">{levels}</w:abstractNum>'
        numbering.insert(0, parse_xml(rules))
        for num in [
            f'<w:num {NAMESPACES} w:numId="77"><w:abstractNumId w:val="77"/></w:num>',
            *([nums] if nums else []),
        ]:
            numbering.append(
                parse_xml(num.replace("<w:num ", f"<w:num {NAMESPACES} ") if "xmlns:w" not in num else num)
            )
    if footnotes:
        content = f"<w:footnotes {NAMESPACES}>{footnotes}</w:footnotes>".encode()
        kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
        part = Part(PackURI("/word/footnotes.xml"), kind, content, document.part.package)
        document.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)
    return saved(document)


def saved(document):
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()
