"""What prompts have in common at their beginning is read once."""

import pytest

from sharedllm_core.errors import InputError
from tests import tiny_engine

DOCUMENTS = tiny_engine.documents(2, num_words=80)
ASKED = {"max_new_tokens": 6, "num_evidence": 0}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return tiny_engine.checkpoints_of_each_reading(tmp_path_factory.mktemp("checkpoints"), max_position_embeddings=2048)


@pytest.fixture
def engine(checkpoints):
    return tiny_engine.make_engine(checkpoints["quoted"], quote_tokens=600)


@pytest.fixture
def read_tokens():
    """Counts the tokens that a model reads, answers included."""

    def counted(engine, call):
        counts = []
        hook = engine.model.register_forward_pre_hook(
            lambda _model, _args, kwargs: counts.append(kwargs["input_ids"].numel()), with_kwargs=True
        )
        try:
            return call(), sum(counts)
        finally:
            hook.remove()

    return counted


def fresh(engine):
    """An engine that has kept nothing."""
    return engine.with_cache(tiny_engine.memory_cache())


def test_a_second_question_over_documents_that_all_fit_reads_only_the_question(engine, read_tokens):
    library = engine.read(DOCUMENTS)
    engine.ask("Who signed the lease?", library, **ASKED)
    question = "When is the rent paid?"
    answer, tokens = read_tokens(engine, lambda: engine.ask(question, library, **ASKED))
    assert tokens < 60 < answer.usage.running_text_tokens / 3
    assert answer == fresh(engine).ask(question, library, **ASKED)


def test_a_conversation_reads_only_its_new_turns(engine, read_tokens):
    messages = [{"role": "user", "content": tiny_engine.words(150)}]
    for turn in ("And the deposit?", "And the keys of the building?"):
        reply = engine.ask(messages, **ASKED)
        messages += [{"role": "assistant", "content": reply.text}, {"role": "user", "content": turn}]
    answer, tokens = read_tokens(engine, lambda: engine.ask(messages, **ASKED))
    assert tokens < answer.usage.running_text_tokens / 3
    assert answer == fresh(engine).ask(messages, **ASKED)


def test_questions_of_one_batch_share_their_beginning(engine, read_tokens):
    library = engine.read(DOCUMENTS)
    questions = [f"Who signed contract number {number}?" for number in range(4)]
    answers, tokens = read_tokens(engine, lambda: engine.ask_batch(questions, library, **ASKED))
    assert tokens < 2 * answers[0].usage.running_text_tokens
    assert answers == [fresh(engine).ask(question, library, **ASKED) for question in questions]


def test_the_same_prompt_again_reads_its_last_token(engine, read_tokens):
    library = engine.read(DOCUMENTS)
    first = engine.ask("Who?", library, **ASKED)
    again, tokens = read_tokens(engine, lambda: engine.ask("Who?", library, **ASKED))
    assert tokens <= 1 + ASKED["max_new_tokens"]
    assert again == first


def test_a_changed_document_is_read_from_its_change_on(engine, read_tokens):
    engine.ask("Who signed?", DOCUMENTS, **ASKED)
    changed = [DOCUMENTS[0], *tiny_engine.documents(1, num_words=80, seed=9)]
    answer, tokens = read_tokens(engine, lambda: engine.ask("Who signed?", changed, **ASKED))
    assert 0.3 < tokens / answer.usage.running_text_tokens < 0.8
    assert answer == fresh(engine).ask("Who signed?", changed, **ASKED)


def test_the_oldest_prompt_gives_way_where_the_bytes_are_used_up(checkpoints, read_tokens):
    size = 4 * 2 * 2 * 8 * 4  # of a token's keys and values: layers, both, heads, numbers, bytes
    engine = tiny_engine.make_engine(checkpoints["quoted"], quote_tokens=600, kept_prompt_bytes=700 * size)
    libraries = [engine.read(tiny_engine.documents(2, num_words=80, seed=seed)) for seed in range(3)]
    for library in libraries:
        engine.ask("Who?", library, **ASKED)

    def tokens_of(library):
        answer, tokens = read_tokens(engine, lambda: engine.ask("When?", library, **ASKED))
        return tokens / answer.usage.running_text_tokens

    assert tokens_of(libraries[2]) < 0.2
    assert tokens_of(libraries[0]) > 1


@pytest.mark.parametrize("options", [{"kept_prompt_bytes": 0}, {"kept_prompt_bytes": 1000}])
def test_without_room_all_of_a_prompt_is_read(checkpoints, read_tokens, options):
    engine = tiny_engine.make_engine(checkpoints["quoted"], quote_tokens=600, **options)
    library = engine.read(DOCUMENTS)
    answers = []
    for _ in range(2):
        answer, tokens = read_tokens(engine, lambda: engine.ask("Who?", library, **ASKED))
        assert tokens >= answer.usage.running_text_tokens
        answers.append(answer)
    assert answers[0] == answers[1]


def test_documents_that_are_injected_are_part_of_what_a_prompt_means(checkpoints):
    engine = tiny_engine.make_engine(checkpoints["injected"])
    question = "Who signed the lease of the harbour and when does the manager pay the rent of the building?"
    answers = []
    for seed in range(3):
        library = engine.read(tiny_engine.documents(3, seed=seed))
        answers.append(engine.ask(question, library, **ASKED))
        assert answers[-1].text == fresh(engine).ask(question, library, **ASKED).text
    assert len({answer.text for answer in answers}) > 1


def test_tenants_keep_their_prompts_apart(engine, read_tokens):
    library = engine.read(DOCUMENTS)
    engine.ask("Who?", library, **ASKED)
    other = fresh(engine)
    answer, tokens = read_tokens(other, lambda: other.ask("Who?", library, **ASKED))
    assert tokens >= answer.usage.running_text_tokens


def test_bytes_below_zero_are_refused(checkpoints):
    with pytest.raises(InputError, match="kept_prompt_bytes"):
        tiny_engine.make_engine(checkpoints["quoted"], kept_prompt_bytes=-1)
