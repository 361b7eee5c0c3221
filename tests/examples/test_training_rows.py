"""Rows for training that the scripts of `examples/default_model` write: their documents have the answers."""

import json
import re
from itertools import pairwise

import pytest
import yaml
from jsonschema import validate
from transformers import AutoTokenizer

from sharedllm_core.generation.tool_notations.notation import ToolNotation
from sharedllm_core.text.tokenization import TextTokenizer
from sharedllm_core.training.config import TrainingConfig
from sharedllm_core.training.instruction import InstructionDataset
from sharedllm_core.training.tasks import KINDS, NO_ANSWER, FillerTexts, read_kinds
from tests.examples.running import EXAMPLES, run_here
from tests.real_models import smollm2_folder

RECIPE = EXAMPLES / "default_model"
AS_JSON = ('Answer as JSON: {"answer": …}', "Reply with a JSON object that has the field answer.")
AS_SENTENCE = ("Answer in a whole sentence.", "Quote the sentence that says it.", "Write a full sentence.")


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def text_of(row):
    return "\n".join(document["text"] for document in row["documents"])


@pytest.fixture(scope="module")
def tokenizer():
    return TextTokenizer(AutoTokenizer.from_pretrained(smollm2_folder()))


def training_data(path, tokenizer):
    """Rows as training with `reader.yaml` reads them."""
    config = TrainingConfig.from_file(RECIPE / "reader.yaml")
    method = config.method_config(30)  # the base's layers
    limits = (config.max_past_tokens, config.max_running_tokens)
    return InstructionDataset([str(path)], tokenizer, method, *limits, config.readings, config.distractors)


# ------------------------------------------------------------------------------- questions about real documents

USED, KEPT_AWAY = range(4), range(4, 6)


class Mill:
    """A thing that one passage is about, and the questions about it."""

    def __init__(self, kind, line, place):
        self.name = f"{kind}{line}{'abcdef'[place]} mill"
        self.year = str(1700 + 10 * line + place + (100 if kind == "Oak" else 0))
        self.owner = f"Mr {kind}man, number {place} of row {line}"
        self.text = f"The {self.name} was built in {self.year}. Later it was sold to {self.owner}. " + (
            "Nothing else is known about the stones, the wheel and the pond behind the house. " * 7
        )
        self.questions = {
            f"When was the {self.name} built?": self.year,
            f"To whom was the {self.name} sold?": self.owner,
            f"Who painted the {self.name}?": None,
        }


def pairs(mill):
    for question, answer in mill.questions.items():
        yield {"question": question, "answers": [] if answer is None else [answer, f"it is {answer}"]}


@pytest.fixture(scope="module")
def mills():
    """Those of articles as SQuAD has them, and those of sets of documents with questions, line by line."""
    articles = [[Mill("Ash", line, place) for place in range(6)] for line in (*USED, *KEPT_AWAY)]
    sets = [[Mill("Oak", line, place) for place in range(4)] for line in (*USED, *KEPT_AWAY)]
    return articles, sets


@pytest.fixture(scope="module")
def files(mills, tmp_path_factory):
    folder = tmp_path_factory.mktemp("questions")
    articles, sets = mills
    squad = [
        {"title": f"Ash_row_{line}", "paragraphs": [{"context": mill.text, "qas": list(pairs(mill))} for mill in some]}
        for line, some in enumerate(articles)
    ]
    sets_of_documents = [
        {
            "documents": [{"id": str(half), "text": "".join(mill.text for mill in some[half::2])} for half in (0, 1)],
            "questions": [
                {"document": str(place % 2), **pair} for place, mill in enumerate(some) for pair in pairs(mill)
            ],
        }
        for some in sets
    ]
    paths = [write_lines(folder / "squad.jsonl", squad), write_lines(folder / "sets.jsonl", sets_of_documents)]
    return [f"{path}@:{len(USED)}" for path in paths]


def write_real_questions(files, out, *options):
    shares = ("--not-said", 0.5, "--formats", 0.4, "--single", 1)
    run_here("default_model/real_questions.py", *files, "--base", smollm2_folder(), "--out", out, *shares, *options)


@pytest.fixture(scope="module")
def real_questions(files, tmp_path_factory):
    """Rows by their seed; more of the rare sorts than by default."""
    made = {}

    def rows_of_seed(seed):
        if seed not in made:
            out = tmp_path_factory.mktemp("rows") / "rows.jsonl"
            write_real_questions(files, out, "--seed", seed)
            made[seed] = out
        return made[seed]

    return rows_of_seed


@pytest.fixture(scope="module")
def questions(mills):
    """The mill and the answer of each question."""
    return {
        question: (mill, answer)
        for lines in mills
        for some in lines
        for mill in some
        for question, answer in mill.questions.items()
    }


@pytest.fixture(scope="module")
def turns(real_questions):
    """Each turn with its row, the question that it is made of, and the format that is asked for."""
    found = []
    for row in read_lines(real_questions(0)):
        for turn in row["turns"]:
            asked, mark, wanted = turn["question"].partition("?")
            found.append((row, turn["answer"], asked + mark, wanted.strip()))
    assert len(found) > 50
    return found


def test_an_answer_is_the_files_own_and_stands_in_a_document_of_its_row(turns, questions):
    plain = 0
    for row, answer, question, wanted in turns:
        _, expected = questions[question]
        if answer != NO_ANSWER and not wanted:
            assert answer == expected
            assert answer in text_of(row)
            plain += 1
    assert plain > 20


def test_a_question_that_the_passages_do_not_answer_has_the_refusal_as_its_answer(turns, questions):
    answered_elsewhere = unanswered = 0
    for row, answer, question, _ in turns:
        mill, expected = questions[question]
        is_answered = expected is not None and mill.name in text_of(row) and expected in text_of(row)
        assert (answer == NO_ANSWER) == (not is_answered)
        answered_elsewhere += expected is not None and not is_answered
        unanswered += expected is None
    assert answered_elsewhere > 0
    assert unanswered > 3


def test_the_passages_of_a_row_are_parts_of_the_documents_and_fit_the_prompt(real_questions, mills):
    texts = {mill.text for lines in mills for some in lines for mill in some}
    for row in read_lines(real_questions(0)):
        for document in row["documents"]:
            parts = [part.strip() for part in re.split(r"(?<=house\.)\s", document["text"])]
            assert all(any(part in text for text in texts) for part in parts if part)
        assert len(text_of(row)) < 6000


def test_an_answer_in_json_or_as_a_sentence_is_what_the_question_asks_for(turns, questions):
    in_json = as_sentence = 0
    for row, answer, question, wanted in turns:
        _, expected = questions[question]
        if wanted in AS_JSON:
            assert json.loads(answer) == {"answer": expected}
            in_json += 1
        elif wanted:
            assert wanted in AS_SENTENCE
            assert answer in text_of(row)
            assert expected in answer
            assert re.fullmatch(r"(The|Later) [^.]*\.", answer)
            as_sentence += 1
    assert min(in_json, as_sentence) > 3


def test_lines_beyond_the_slice_are_neither_asked_about_nor_shown(real_questions, mills):
    text = real_questions(0).read_text(encoding="utf-8")
    for lines in mills:
        for line, some in enumerate(lines):
            for mill in some:
                assert (mill.name in text) == (line in USED)


def test_the_same_seed_gives_the_same_questions(real_questions, files, tmp_path):
    again = tmp_path / "again.jsonl"
    write_real_questions(files, again, "--seed", 0)
    assert again.read_bytes() == real_questions(0).read_bytes()
    assert real_questions(1).read_bytes() != real_questions(0).read_bytes()


def test_at_most_so_many_rows_are_written(files, tmp_path):
    out = tmp_path / "few.jsonl"
    write_real_questions(files, out, "--rows", 3)
    assert len(read_lines(out)) == 3


def test_training_accepts_rows_of_real_questions(real_questions, tokenizer):
    data = training_data(real_questions(0), tokenizer)
    assert len(data) == len(read_lines(real_questions(0)))
    assert (data.item(0).labels >= 0).any()


# ------------------------------------------------------------------------------- questions about statements

STATEMENTS = {
    "The `retry_limit` field sets the number of attempts, and nothing else.": {
        "What does the retry_limit field set?": "the number of attempts",
        "Which field sets the number of attempts?": "retry_limit",
    },
    "``drain()`` returns the messages that were left.": {
        "What does drain() return?": "the messages that were left",
    },
    "The `flush` command is a shorter way to\nempty the buffer.": {
        "What is the flush command?": "a shorter way to empty the buffer",
        "Which command is a shorter way to empty the buffer?": "flush",
    },
}
NO_STATEMENTS = (
    "The `size` field is large enough for them.",
    "It returns the messages that were left.",
    "`x` contains 3.",
)


def test_a_statement_of_a_manual_is_asked_for_in_both_directions(tmp_path):
    texts = [{"title": f"part {at}", "text": f"# Part {at}\n\n{text}\n"} for at, text in enumerate(STATEMENTS)]
    texts.append({"title": "others", "text": "\n\n".join(NO_STATEMENTS)})
    manuals, out = write_lines(tmp_path / "manuals.jsonl", texts), tmp_path / "rows.jsonl"
    sizes = ("--look-ups", 0, "--calls", 0, "--texts-that-go-on", 0, "--stated", 40)
    options = ("--texts", manuals, "--manuals", manuals, "--base", smollm2_folder(), "--out", out)
    run_here("default_model/made_questions.py", *options, *sizes)
    rows, asked = read_lines(out), {}
    for row in rows:
        for turn in row["turns"]:
            asked[turn["question"]] = turn["answer"]
            assert turn["answer"] in " ".join(text_of(row).replace("`", "").split())
    assert len(rows) == 40
    assert asked == {question: answer for some in STATEMENTS.values() for question, answer in some.items()}


# ------------------------------------------------------------------------------- questions that are made


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return write_lines(tmp_path_factory.mktemp("texts") / "texts.jsonl", FillerTexts(40))


def make_questions(texts, out):
    sizes = ("--look-ups", 30, "--calls", 60, "--texts-that-go-on", 5)
    run_here("default_model/made_questions.py", "--texts", texts, "--base", smollm2_folder(), "--out", out, *sizes)
    return out


@pytest.fixture(scope="module")
def made(texts, tmp_path_factory):
    return make_questions(texts, tmp_path_factory.mktemp("made") / "rows.jsonl")


@pytest.fixture(scope="module")
def look_ups(made):
    rows = [row for row in read_lines(made) if "turns" in row]
    assert len(rows) == 30
    return rows


@pytest.fixture(scope="module")
def calls(made):
    """Rows with tools: the offered functions, the messages behind them, and the answer."""
    found = []
    for row in read_lines(made):
        if "turns" not in row and not isinstance(row["question"], str):
            system, *messages = row["question"]
            assert system["role"] == "system"
            offered = [json.loads(line)["function"] for line in system["content"].splitlines() if '"type"' in line]
            found.append((row, {function["name"]: function for function in offered}, messages, row["answer"]))
    assert len(found) == 60
    return found


def test_the_answer_to_a_look_up_stands_in_its_documents_or_is_a_count_or_json(look_ups):
    sorts = {"stated": 0, "refused": 0, "counted or JSON": 0}
    for row in look_ups:
        text = text_of(row)
        for turn in row["turns"]:
            if turn["answer"] == NO_ANSWER:
                sorts["refused"] += 1
            elif all(part in text for part in turn["answer"].split(", ")) and not turn["answer"].isdecimal():
                sorts["stated"] += 1
            else:
                parsed = json.loads(turn["answer"])
                assert isinstance(parsed, dict) or turn["answer"] in text or 1 <= parsed <= 9
                sorts["counted or JSON"] += 1
    assert min(sorts.values()) > 0
    assert sorts["stated"] > 10


def test_texts_that_go_on_follow_their_beginnings(made, texts):
    rows = [row for row in read_lines(made) if isinstance(row.get("question"), str)]
    whole = ["".join(line["text"].split()) for line in read_lines(texts)]
    assert len(rows) == 5
    for row in rows:
        assert any("".join(f"{row['documents'][0]} {row['answer']}".split()) in text for text in whole)


def asks_about(text, kinds):
    """Whether a question has one of the wordings of these kinds."""
    ends = [question.split("{key}") for kind in kinds for question in kind.questions]
    return any(text.startswith(head) and text.endswith(tail) for head, tail in ends)


def test_look_ups_ask_about_the_kinds_beside_the_script_and_about_none_that_is_held_out(look_ups):
    asked = [turn["question"] for row in look_ups for turn in row["turns"]]
    beside, held_out = read_kinds(RECIPE / "kinds"), [kind for kind in KINDS.values() if kind.held_out]
    assert sum(asks_about(text, beside) for text in asked) > len(asked) / 4
    assert not any(asks_about(text, held_out) for text in asked)


def test_a_call_is_one_of_an_offered_tool_whose_schema_it_fits(calls, look_ups, tokenizer):
    notation = ToolNotation.for_tokenizer(tokenizer)
    about_documents = [(row["documents"], turn["question"]) for row in look_ups for turn in row["turns"]]
    called = plain = after_results = 0
    for row, offered, messages, answer in calls:
        written = answer
        if messages[-1]["role"] == "tool":
            assert answer.rstrip(".") == messages[-1]["content"].rstrip(".")
            written = messages[-2]["content"]
            after_results += 1
        parsed = notation.parse_calls(written)
        if not parsed:
            assert (row["documents"], messages[-1]["content"]) in about_documents, "a question that needs no tool"
            plain += 1
            continue
        (call,) = parsed
        validate(call.arguments, offered[call.name]["parameters"])
        assert notation.format_calls([{"function": {"name": call.name, "arguments": call.arguments}}]) == written
        called += 1
    assert min(called, plain, after_results) > 3


def test_each_argument_of_a_call_is_said_by_the_request(calls, tokenizer):
    notation = ToolNotation.for_tokenizer(tokenizer)
    checked = 0
    for _, _, messages, answer in calls:
        said = [*(message["content"] for message in messages), answer]
        for request, written in pairwise(said):
            for call in notation.parse_calls(written):
                for value in map(str, call.arguments.values()):
                    assert value.lower() in request.lower()
                    checked += 1
    assert checked > 40


def test_the_agent_that_is_measured_has_tools_and_requests_of_its_own(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES / "langchain"))
    from agent import REQUESTS, TOOLS

    tools = yaml.safe_load((RECIPE / "tools.yaml").read_text(encoding="utf-8"))["tools"]
    assert not {tool.__name__ for tool in TOOLS} & {name for tool in tools for name in tool["names"]}
    requests = [re.escape(text) for tool in tools for text in tool["requests"]]
    patterns = [re.sub(r"\\\{\w+\\\}", r"\\S+(?: \\S+)?", text) for text in requests]
    same = [request for request in REQUESTS if any(re.fullmatch(pattern, request) for pattern in patterns)]
    assert not same


def test_the_same_seed_makes_the_same_questions(made, texts, tmp_path):
    assert make_questions(texts, tmp_path / "again.jsonl").read_bytes() == made.read_bytes()


def test_training_accepts_rows_of_made_questions(made, tokenizer):
    data = training_data(made, tokenizer)
    assert len(data) == 95
    for number in range(0, 95, 10):
        assert (data.item(number).labels >= 0).any()
