"""What an engine refuses, and how it says so; and what it must not refuse."""

import time

import pytest
from transformers import PreTrainedTokenizerFast

from sharedllm_core import (
    CheckpointError,
    Document,
    DocumentError,
    InputError,
    SharedLLMEngine,
    TokenizerError,
    UntrainedInjectionError,
    WindowError,
)
from tests import tiny_engine
from tests.tiny_engine import BOTH_READINGS


@pytest.fixture
def library(engine):
    return engine.read(tiny_engine.documents(1))


@BOTH_READINGS
@pytest.mark.parametrize("question", ["", "   \n", [], [{"role": "user", "content": " "}]])
def test_an_empty_question(engine, library, question):
    for way in (engine.ask, engine.stream, lambda q, of: engine.ask_batch([q], of)):
        with pytest.raises(InputError, match="give a question"):
            way(question, library)


@BOTH_READINGS
@pytest.mark.parametrize("message", ["hello", {"role": "user"}, {"role": "user", "content": None}, 7])
def test_what_is_no_message(engine, library, message):
    with pytest.raises(InputError, match="is no message; give"):
        engine.ask([message], library)


@BOTH_READINGS
def test_no_documents(engine, tmp_path):
    for sources in ([], tmp_path):
        with pytest.raises(DocumentError, match=r"there are no documents in .*; give files, folders or Documents"):
            engine.read(sources)
        with pytest.raises(DocumentError, match="there are no documents"):
            engine.ask("Who?", sources)
    with pytest.raises(InputError, match="no documents to inspect"):
        engine.inspect("Who?", None)


@BOTH_READINGS
def test_documents_without_text(engine, library):
    with pytest.raises(DocumentError, match="the 2 documents hold no text"):
        engine.read([Document("", id="a"), Document("", id="b")])
    with_one = engine.read([Document("", id="a"), *library])
    assert engine.ask("Who?", with_one, max_new_tokens=5).text == engine.ask("Who?", library, max_new_tokens=5).text


@BOTH_READINGS
def test_a_path_that_does_not_exist_is_named(engine, tmp_path):
    with pytest.raises(DocumentError, match=r"nowhere\.txt does not exist"):
        engine.read(tmp_path / "nowhere.txt")
    with pytest.raises(DocumentError, match=r"The notice period is 90 days does not exist; .*put text into Document"):
        engine.ask("Who?", "The notice period is 90 days")


@BOTH_READINGS
@pytest.mark.parametrize("source", ["The lease began in May. " * 500, "null\0byte", 5, None, b"bytes"])
def test_what_is_no_path_is_told_where_text_goes(engine, source):
    with pytest.raises(DocumentError, match="Document"):
        engine.read([source])


@BOTH_READINGS
def test_a_chat_template_that_knows_only_users_hears_everything_from_the_user(engine, library):
    strict = (
        "{% for m in messages %}"
        "{% if m.role not in ('user', 'assistant') or (m.role == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('only user and assistant, in turns') }}{% endif %}"
        "<|{{ m.role }}|>{{ m.content }}{% endfor %}"
    )
    engine.tokenizer.tokenizer.chat_template = strict
    said = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Who?"}]
    merged = [{"role": "user", "content": "Be short.\n\nWho?"}]
    asked = {"max_new_tokens": 6, "num_evidence": 0}
    tokens = [engine.ask(messages, library, **asked).usage.running_text_tokens for messages in (said, merged)]
    assert tokens[0] == tokens[1]
    with pytest.raises(InputError, match=r"chat template refuses messages of the roles assistant, user: only user"):
        engine.ask([{"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Who?"}], library)


def test_an_empty_turn_before_a_tools_is_no_query(engine, library):
    turns = [{"role": "user", "content": ""}, {"role": "tool", "content": "The lease is signed."}]
    assert engine.ask(turns, library, max_new_tokens=4).usage.injected_states > 0


@BOTH_READINGS
def test_a_binary_file_is_an_error_where_it_is_named_and_listed_where_a_folder_holds_it(engine, tmp_path):
    (tmp_path / "a.txt").write_text(tiny_engine.words(30))
    (tmp_path / "b.bin").write_bytes(bytes(range(256)) * 40)
    with pytest.raises(DocumentError, match=r"b\.bin cannot be read"):
        engine.read(tmp_path / "b.bin")
    library = engine.read(tmp_path)  # in a folder it is passed over, and listed
    assert [skipped.path for skipped in library.skipped] == [(tmp_path / "b.bin").as_posix()]
    assert len(library) == 1
    (tmp_path / "a.txt").unlink()
    with pytest.raises(DocumentError, match=r"1 files were skipped, the first: .*b\.bin"):
        engine.read(tmp_path, on_error="skip")


def test_a_file_of_300_megabytes_is_refused_by_its_size_at_once(engine, tmp_path):
    big = tmp_path / "big.txt"
    with big.open("wb") as file:
        file.truncate(300_000_000)
    begin = time.monotonic()
    with pytest.raises(
        DocumentError, match=r"big\.txt cannot be read: it has 300,000,000 bytes and the limit is 100,0"
    ):
        engine.read(big)
    assert time.monotonic() - begin < 5


def test_text_that_is_not_utf8_is_read_right(engine, tmp_path):
    (tmp_path / "old.txt").write_bytes(
        "Die Kündigungsfrist beträgt drei Monate, Größe über alles.".encode("latin-1") * 3
    )
    assert "Kündigungsfrist beträgt" in engine.read(tmp_path).documents[0].text


def test_links_in_a_circle_do_not_hang(engine, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "text.txt").write_text(tiny_engine.words(30))
    assert len(engine.read(tmp_path)) == 1
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(DocumentError, match="loop"):
        engine.read(tmp_path)


def test_a_folder_of_three_thousand_files_is_read(checkpoint, tmp_path):
    for number in range(3_000):
        (tmp_path / f"{number:05}.txt").write_text(f"Key {number} is {number * 7}.")
    engine = tiny_engine.make_engine(checkpoint)
    library = engine.read(tmp_path)
    assert len(library) == 3_000
    assert engine.cached_tokens(library) == library.num_tokens
    assert max(library.chunk_positions) < 2_880  # short neighbours share a position
    answer = engine.ask("What is key 77?", library, max_new_tokens=4)
    assert answer.usage.cached_tokens == library.num_tokens


def test_an_untrained_injection_is_refused_where_it_is_asked_for_unless_that_is_allowed(tmp_path):
    checkpoint = tiny_engine.make_checkpoint(tmp_path, trained=False)
    engine = tiny_engine.make_engine(checkpoint, reading="injected")
    library = engine.read(tiny_engine.documents(1))
    for way in (engine.ask, engine.stream, lambda q, of: engine.ask_batch([q], of)):
        with pytest.raises(UntrainedInjectionError, match="sharedllm train"):
            way("Who?", library)
    plain = engine.ask("Who?", max_new_tokens=8)  # without documents there is nothing to ignore
    open_minded = tiny_engine.make_engine(checkpoint, allow_untrained=True)
    assert open_minded.ask("Who?", library, max_new_tokens=8).text == plain.text


def test_an_untrained_injection_is_refused_only_where_nothing_is_quoted(tmp_path):
    checkpoint = tiny_engine.make_checkpoint(tmp_path, trained=False)
    library = tiny_engine.documents(1)
    assert tiny_engine.make_engine(checkpoint).ask("Who signed?", library, max_new_tokens=4).reading.mode == "quoted"
    both = tiny_engine.make_engine(checkpoint, reading="both")
    assert both.ask("Who signed?", library, max_new_tokens=4).reading.quoted_tokens
    assert both.ask("Who signed?", max_new_tokens=4, quote_tokens=0).reading.mode is None
    with pytest.raises(UntrainedInjectionError, match=r"ignore the documents; raise quote_tokens: passages are then"):
        both.ask("Who signed?", library, max_new_tokens=4, quote_tokens=0)


def test_messages_that_an_untrained_injection_would_ignore_are_named_so(tmp_path):
    engine = tiny_engine.make_engine(tiny_engine.make_checkpoint(tmp_path, trained=False), reading="injected")
    turns = [{"role": role, "content": tiny_engine.words(300)} for role in ("user", "assistant")]
    messages = [*turns, {"role": "user", "content": "Who?"}]
    with pytest.raises(UntrainedInjectionError, match="ignore the messages that do not fit into the window; leave rea"):
        engine.ask(messages, max_new_tokens=4)


@BOTH_READINGS
def test_a_turn_that_is_longer_than_the_window(engine, library):
    with pytest.raises(WindowError, match=r"the last turn has \d+ tokens"):
        engine.ask(tiny_engine.words(2000), library)
    with pytest.raises(WindowError, match="9999 to generate"):
        engine.ask("Who?", library, max_new_tokens=9999)


@BOTH_READINGS
@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens=0 is not a whole number of at least 1; give one"),
        ({"temperature": -1}, "temperature=-1 is not a finite number of at least 0 and at most 100; give one"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"top_p": 0}, "top_p=0"),
        ({"top_k": -1}, "top_k=-1"),
        ({"repetition_penalty": 0}, "repetition_penalty=0"),
        ({"seed": "x"}, "seed='x'"),
        ({"stop": ""}, "stop=''"),
        ({"stop": ["a", ""]}, "stop="),
        ({"stop": [7]}, "stop="),
        ({"num_evidence": -1}, "num_evidence=-1"),
        ({"max_tokens": 5}, r"unknown settings \['max_tokens'\]; known are \["),
    ],
)
def test_settings_out_of_range(engine, library, options, fault):
    with pytest.raises(InputError, match=fault):
        engine.ask("Who?", library, **options)


@BOTH_READINGS
def test_batches_that_make_no_sense(engine, library):
    with pytest.raises(InputError, match="questions is one string"):
        engine.ask_batch("Who?", library)
    with pytest.raises(InputError, match="2 libraries for 1 questions"):
        engine.ask_batch(["Who?"], libraries=[library, library])
    with pytest.raises(InputError, match="batch_size=0"):
        engine.ask_batch(["Who?"], library, batch_size=0)
    with pytest.raises(InputError, match=r"documents is a list with libraries in it; .* libraries=\["):
        engine.ask_batch(["Who?", "When?"], [library, library])
    with pytest.raises(InputError, match="documents and libraries are both given; give one"):
        engine.ask_batch(["Who?"], library, libraries=[library])
    assert engine.ask_batch([], library) == []
    assert engine.ask_batch([], libraries=[]) == []


def test_a_library_of_another_engine(engine, tmp_path):
    from dataclasses import replace

    other = tiny_engine.make_checkpoint(tmp_path, replace(tiny_engine.METHOD, chunk_tokens=64))
    library = tiny_engine.make_engine(other).read(tiny_engine.documents(1))
    for way in (engine.read, engine.forget, lambda of: engine.ask("Who?", of)):
        with pytest.raises(
            InputError, match=r"chunk_tokens=64 \(this one has 32\); read its documents with this engine"
        ):
            way(library)


def test_a_model_that_is_none(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="empty"):
        SharedLLMEngine.from_pretrained(tmp_path / "empty")
    with pytest.raises(CheckpointError):
        SharedLLMEngine.from_pretrained(tmp_path / "nowhere")


def test_a_tokenizer_that_is_missing_is_asked_for(checkpoint, tmp_path):
    engine = tiny_engine.make_engine(checkpoint)
    engine.model.save_pretrained(tmp_path)
    with pytest.raises(
        TokenizerError, match=r"no tokenizer was found \(.* holds none.*say where it is with tokenizer="
    ):
        SharedLLMEngine.from_pretrained(tmp_path)
    found = SharedLLMEngine.from_pretrained(tmp_path, tokenizer=checkpoint, cache=tiny_engine.memory_cache())
    assert isinstance(found.tokenizer.tokenizer, PreTrainedTokenizerFast)
