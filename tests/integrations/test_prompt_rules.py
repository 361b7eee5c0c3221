"""Which text of a prompt stays: properties that hold for any list of messages."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sharedllm_core import WindowError
from sharedllm_integrations._shared.prompt_rules import PromptSplitter
from sharedllm_integrations._shared.split_messages import ParsedMessage, SplitMessage, engine_messages
from tests import tiny_engine

NEW_TOKENS = 16
WINDOW = 512
LINES = st.builds(tiny_engine.words, st.integers(1, 120), st.integers(0, 9))
BORDERS = st.sampled_from([" ", "\n", "\n\n", "\n\n\n"])
TEXTS = st.lists(st.tuples(LINES, BORDERS), min_size=1, max_size=12).map(lambda parts: "".join(map("".join, parts)))
FENCED = TEXTS.map(lambda text: f"Context:\n<context>\n{text}\n</context>\n\nWhat is due?")
ROLES = st.sampled_from(["user", "assistant", "tool", "user"])
MESSAGES = st.builds(ParsedMessage, ROLES, st.lists(TEXTS | FENCED, min_size=1, max_size=2))
SYSTEM = st.lists(
    st.builds(ParsedMessage, st.just("system"), st.lists(LINES | FENCED, min_size=1, max_size=1)), max_size=1
)
LAST = st.builds(ParsedMessage, st.just("user"), st.lists(TEXTS, min_size=1, max_size=2))


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    checkpoints = tiny_engine.checkpoints_of_each_reading(tmp_path_factory.mktemp("rules"))
    return [tiny_engine.make_engine(checkpoint) for checkpoint in checkpoints.values()]


def split(engine, messages, rule="overflow"):
    whole = [SplitMessage.whole(message) for message in messages]
    return PromptSplitter(engine, rule, 50, {"max_new_tokens": NEW_TOKENS}).split(whole)


def size(engine, messages):
    return engine.prompt_size(engine_messages(messages), max_new_tokens=NEW_TOKENS)


def blocks_of(message):
    texts = [""] * len(message.message.texts)
    for part in message.parts:
        texts[part.block] += part.text
    return texts


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(system=SYSTEM, history=st.lists(MESSAGES, max_size=3), last=LAST)
def test_kept_and_moved_text_are_the_whole_message_and_its_ends_stay(engines, system, history, last):
    messages = [*system, *history, last]
    for engine in engines:
        whole = [SplitMessage.whole(message) for message in messages]
        try:
            made = split(engine, messages)
        except WindowError:
            assert any(engine.tokenizer.count(text) >= WINDOW for message in system for text in message.texts)
            continue
        assert [blocks_of(message) for message in made] == [list(message.texts) for message in messages]
        if size(engine, whole).fits:
            assert made == whole, "nothing moves when all of it fits"
        for message in made:
            for block in range(len(message.message.texts)):
                parts = [part for part in message.parts if part.block == block]
                is_marked = any("<context>" in part.text for part in parts)
                if message.role == "system":
                    assert is_marked or all(part.stays for part in parts)
                elif not is_marked and any(not part.stays for part in parts):
                    head, *middle, tail = parts
                    assert head.stays
                    assert tail.stays
                    assert [part.stays for part in middle] == [False]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(last=LAST)
def test_of_one_long_text_a_quarter_of_the_window_stays_at_each_end_and_the_prompt_fits(engines, last):
    for engine in engines:
        [made] = split(engine, [last])
        assert size(engine, [made]).fits
        longest = max(last.texts, key=engine.tokenizer.count)
        if len(last.texts) == 1 and made.is_split:
            head, _, tail = made.parts
            least = WINDOW // 4 - 2  # a cut between tokens of the part and not of the whole may differ by one
            assert engine.tokenizer.count(head.text) >= least
            assert engine.tokenizer.count(tail.text) >= least
            assert longest.startswith(head.text)
            assert longest.endswith(tail.text)
