"""Messages to running text within the window, and nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_core.errors import InputError, WindowError
from sharedllm_core.generation.messages import query_text
from sharedllm_core.generation.prompting import build_prompt
from sharedllm_core.text.tokenization import TextTokenizer
from tests.test_tokenization import tokenizer

PLAIN = TextTokenizer(tokenizer("llama3"))
STRICT_TEMPLATE = """{% set ns = namespace(last='') %}{% for m in messages %}\
{% if m['role'] == ns.last %}{{ raise_exception('two in a row') }}{% endif %}{% set ns.last = m['role'] %}\
<{{ m['role'] }}>{{ m['content'] }}</{{ m['role'] }}>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"""


def strict():
    made = tokenizer("llama3")
    made.chat_template = STRICT_TEMPLATE
    return TextTokenizer(made)


def said(role, content):
    return {"role": role, "content": content}


def shown(prompt, of=PLAIN):
    return of.tokenizer.decode(prompt.ids)


LONG = [
    said("system", "Be brief."),
    said("user", "What is the rent?"),
    said("assistant", "900 EUR."),
    said("user", "And the notice period?"),
    said("assistant", "90 days."),
    said("user", "Who signs?"),
]


def test_a_question_alone_is_a_user_message():
    assert shown(build_prompt("Who signs?", PLAIN, 512, 8)) == "User: Who signs?\n\nAssistant:"


def test_the_tokenizers_chat_template_is_used():
    assert (
        shown(build_prompt(LONG[:2], strict(), 512, 8))
        == "<system>Be brief.</system><user>What is the rent?</user><assistant>"
    )


def test_neighbours_of_one_role_are_merged_and_unknown_roles_are_named():
    messages = [said("user", "One"), said("user", "Two"), said("critic", "Three")]
    assert shown(build_prompt(messages, strict(), 512, 8)) == "<user>One\n\nTwo\n\ncritic: Three</user><assistant>"


def test_what_does_not_fit_moves_from_the_oldest_turn():
    whole = len(build_prompt(LONG, PLAIN, 10_000, 0).ids)
    assert build_prompt(LONG, PLAIN, whole, 0).moved == []
    prompt = build_prompt(LONG, PLAIN, whole - 1, 0)
    assert prompt.moved == LONG[1:3]
    assert "rent" not in shown(prompt)
    assert shown(prompt).startswith("System: Be brief.\n\nUser: And the notice period?")
    assert build_prompt(LONG, PLAIN, whole + 5, 6).moved == LONG[1:3], "room is left for the answer"


@given(st.lists(st.text("abc ", min_size=1, max_size=30), min_size=1, max_size=7), st.integers(20, 200))
def test_every_message_is_in_the_running_text_or_named_as_moved(contents, window):
    roles = ["user", "assistant"] * 4
    messages = [said(role, f"{i}{content}") for i, (role, content) in enumerate(zip(roles, contents, strict=False))]
    try:
        prompt = build_prompt(messages, PLAIN, window, 5)
    except WindowError:
        return
    assert len(prompt.ids) + 5 <= window
    assert [m["content"] in shown(prompt) or m in prompt.moved for m in messages] == [True] * len(messages)
    assert prompt.moved == messages[: len(prompt.moved)]


def test_system_messages_stay_and_are_still_merged_when_turns_between_them_move():
    messages = [said("system", "A"), said("user", "long " * 60), said("system", "B"), said("user", "Who signs?")]
    prompt = build_prompt(messages, strict(), 100, 8)
    assert shown(prompt) == "<system>A\n\nB</system><user>Who signs?</user><assistant>"
    assert prompt.moved == [messages[1]]


def test_a_last_turn_that_does_not_fit_is_refused_with_the_numbers():
    with pytest.raises(
        WindowError, match=r"the last turn has \d+ tokens, with 8 to generate.*window is 16; give long text"
    ):
        build_prompt("word " * 50, PLAIN, 16, 8)


@pytest.mark.parametrize(
    ("messages", "query"),
    [
        ("What is the notice period?", "What is the notice period"),
        ('Who said "no"?!', 'Who said "no'),
        ("?", "?"),
        (LONG, "Who signs"),
        ([said("user", "Which tool?"), said("assistant", "x"), said("tool", "result.")], "Which tool"),
    ],
)
def test_selection_looks_at_the_last_question_without_its_punctuation(messages, query):
    assert query_text(messages) == query
    assert PLAIN.decode(build_prompt(messages, PLAIN, 512, 8).query_ids) == query


@pytest.mark.parametrize(
    ("messages", "fault"), [([], "no messages"), ("  ", "is empty"), ([said("user", "")], "is empty")]
)
def test_an_empty_question_is_refused(messages, fault):
    with pytest.raises(InputError, match=fault):
        build_prompt(messages, PLAIN, 512, 8)
