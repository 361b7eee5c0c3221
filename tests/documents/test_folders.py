"""Folders, links, globs, and files that are not text."""

import gzip

import pytest

from sharedllm_core import DocumentError
from sharedllm_core.text.documents import extraction, read_documents

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def ids(*sources, **options):
    return [document.id for document in read_documents(list(sources), **options).documents]


def test_a_linked_folder_is_read_after_the_folder_and_once(folder):
    write(folder / "docs" / "z.txt", "z")
    write(folder / "elsewhere" / "a.txt", "a")
    (folder / "docs" / "first").symlink_to(folder / "elsewhere")
    (folder / "docs" / "second").symlink_to(folder / "elsewhere")
    assert ids("docs") == ["docs/z.txt", "docs/first/a.txt"]


def test_links_that_form_a_circle_end(folder):
    write(folder / "docs" / "one.txt", "one")
    write(folder / "other" / "two.txt", "two")
    (folder / "docs" / "there").symlink_to(folder / "other")
    (folder / "other" / "back").symlink_to(folder / "docs")
    (folder / "docs" / "up").symlink_to(folder)
    assert ids("docs") == ["docs/one.txt", "docs/there/two.txt"]


def test_a_file_that_several_paths_lead_to_is_one_document(folder):
    write(folder / "docs" / "a.txt", "a")
    (folder / "link.txt").symlink_to(folder / "docs" / "a.txt")
    assert ids("docs/a.txt", "./docs/../docs/a.txt", folder / "docs" / "a.txt", "link.txt", "docs") == ["docs/a.txt"]


def test_equal_files_are_documents_of_their_own(folder):
    write(folder / "a.txt", "same")
    write(folder / "b.txt", "same")
    assert ids("a.txt", "b.txt") == ["a.txt", "b.txt"]


def test_a_glob_that_matches_folders_reads_them(folder):
    write(folder / "archive" / "2023" / "a.txt", "a")
    write(folder / "archive" / "2024" / "deep" / "b.txt", "b")
    write(folder / "archive" / "other" / "c.txt", "c")
    assert ids("archive/20*") == ["archive/2023/a.txt", "archive/2024/deep/b.txt"]


def test_a_glob_that_matches_a_folder_and_files_in_it_reads_only_these_files(folder):
    write(folder / "docs" / "a.txt", "a")
    write(folder / "docs" / "deep" / "b.md", "b")
    write(folder / "docs" / "deep" / ".hidden", "never")
    assert ids("docs/**") == ["docs/a.txt", "docs/deep/b.md"]


def test_images_archives_and_programs_in_folders_and_globs_are_listed_and_passed_over(folder):
    write(folder / "docs" / "a.txt", "a")
    write(folder / "docs" / "photo.PNG", PNG)
    write(folder / "docs" / "picture", PNG)
    write(folder / "docs" / "tool", b"\x7fELF\x02\x01\0\0")
    write(folder / "docs" / "old.txt.gz", gzip.compress(b"old"))
    write(folder / "docs" / "state.db", b"\x01\0\0")
    for source in ("docs", "docs/*"):
        found = read_documents(source)
        assert [document.id for document in found.documents] == ["docs/a.txt"]
        assert {skipped.path: skipped.reason for skipped in found.skipped} == {
            "docs/photo.PNG": "it is an image",
            "docs/picture": "it is an image",
            "docs/tool": "it is a program",
            "docs/old.txt.gz": "it is an archive",
            "docs/state.db": "it is a database",
        }


def test_such_a_file_that_is_named_is_an_error(folder):
    write(folder / "photo.png", PNG)
    with pytest.raises(DocumentError, match=r"photo\.png cannot be read: it is a binary file"):
        read_documents("photo.png")


def test_text_is_read_whatever_its_name_suggests(folder):
    write(folder / "docs" / "notes.dat", "measured on Monday")
    write(folder / "docs" / "schema.db", "create table lease")
    assert ids("docs") == ["docs/notes.dat", "docs/schema.db"]


def test_a_format_whose_library_is_not_installed_is_an_error_that_names_file_and_remedy(folder, monkeypatch):
    def extract(_):
        raise ImportError("reading it needs a library; pip install 'sharedllm[documents]'")

    monkeypatch.setattr(extraction, "extract_text", extract)
    write(folder / "docs" / "letter.doc", "x")
    with pytest.raises(DocumentError, match=r"docs/letter\.doc cannot be read: .*'sharedllm\[documents\]'"):
        read_documents("docs")
    [skipped] = read_documents("docs", on_error="skip").skipped
    assert skipped.path == "docs/letter.doc"
    assert "sharedllm[documents]" in skipped.reason
