"""Answers of several callers are decoded together: each as if it were alone, and none waits for the end of another."""

import time
from threading import Event, Thread

import pytest

from sharedllm_core import Constraint, SharedLLMEngine
from sharedllm_core.decoding.decoder import Decoder
from sharedllm_core.decoding.row_batch import RowBatch
from sharedllm_core.decoding.rows import answer_rows
from sharedllm_core.decoding.whole_batch import generate_rows
from sharedllm_core.generation.settings import AnswerSettings
from tests import tiny_engine
from tests.plain_families import make_plain

PATIENCE = 60  # seconds, after which a test fails instead of hanging
PROMPTS = ["Who signed the lease?", "When?", "What is stored in the harbour, and by which of the two managers?"]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return tiny_engine.checkpoints_of_each_reading(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture
def engine(request, checkpoints):
    return tiny_engine.make_engine(checkpoints[getattr(request, "param", "quoted")])


@pytest.fixture
def decoder(engine):
    return Decoder(engine.model, engine._lock)


def make_row(engine, prompt, new_tokens=12, sink=lambda piece: None, cancelled=None, **options):
    settings = AnswerSettings.from_options(options)
    [row] = answer_rows(
        engine.model,
        engine.tokenizer,
        [engine.tokenizer.encode(prompt).ids],
        [None],
        settings,
        engine.sampling.with_overrides(settings),
        new_tokens,
        [sink],
        cancelled or Event(),
    )
    return row


class Call:
    """A call of the decoder in a thread of its own."""

    def __init__(self, decoder, *rows):
        self.rows = rows
        self.error = None
        self._thread = Thread(target=self._run, args=(decoder,), daemon=True)
        self._thread.start()
        wait_until(lambda: any(row in request.rows for row in rows for request in requests(decoder)) or self.ended)

    def _run(self, decoder):
        try:
            decoder.decode(self.rows)
        except Exception as error:
            self.error = error

    @property
    def ended(self):
        return not self._thread.is_alive()

    def wait(self):
        self._thread.join(PATIENCE)
        assert self.ended, "a caller hangs"
        return [row.answer.text for row in self.rows]


def requests(decoder):
    with decoder._state:
        return [*decoder._waiting, *decoder._joined]


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.002)


def alone(engine, *arguments, **options):
    row = make_row(engine, *arguments, **options)
    Decoder(engine.model, engine._lock).decode([row])
    return row.answer.text


@pytest.mark.parametrize("engine", ["injected", "quoted"], indirect=True)
def test_questions_over_several_libraries_are_answered_together_as_each_alone(engine, rows_of_steps):
    asked = [
        (PROMPTS[0], {"max_new_tokens": 9}),
        (PROMPTS[1], {"max_new_tokens": 25, "temperature": 1.3, "seed": 5}),
        (PROMPTS[2], {"max_new_tokens": 14, "constraint": Constraint.choice(["the rent", "the keys of the building"])}),
        (PROMPTS[2], {"max_new_tokens": 30, "repetition_penalty": 1.4}),
    ]
    libraries = [engine.read(tiny_engine.documents(3, seed=seed)) for seed in range(len(asked))]

    def ask(number):
        question, options = asked[number]
        return engine.ask(question, libraries[number], quote_tokens=150, num_evidence=0, **options)

    expected = [ask(number) for number in range(len(asked))]
    assert set(rows_of_steps) == {1}
    found = {}
    threads = [Thread(target=lambda number=number: found.update({number: ask(number)})) for number in range(len(asked))]
    decoder = engine._answering.decoder
    read = RowBatch.read

    def after_all_came(batch, rows):
        RowBatch.read = read
        engine._lock.__exit__(None, None, None)  # documents of the others are read meanwhile
        wait_until(lambda: len(requests(decoder)) == len(asked))
        engine._lock.__enter__()
        return read(batch, rows)

    RowBatch.read = after_all_came
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert [found[number].text for number in range(len(asked))] == [answer.text for answer in expected]
    assert [found[number].usage for number in range(len(asked))] == [answer.usage for answer in expected]
    assert max(rows_of_steps) == len(asked)


def test_an_answer_begins_while_another_is_decoded_and_ends_before_it(engine, decoder):
    events = []
    later = []

    def first_sink(_piece):
        events.append("first")
        if len(events) == 1:
            later.append(Call(decoder, make_row(engine, PROMPTS[1], 3, lambda piece: events.append("later"))))

    texts = Call(decoder, make_row(engine, PROMPTS[0], 60, first_sink)).wait()
    texts += later[0].wait()
    assert "later" in events[: len(events) - 20]
    assert events[-1] == "first"
    assert texts == [alone(engine, PROMPTS[0], 60), alone(engine, PROMPTS[1], 3)]


def test_a_longer_prompt_joins_a_shorter_one_and_the_other_way_round(engine, decoder):
    prompts = ["Rent?", tiny_engine.words(120, seed=1), "When?", tiny_engine.words(40, seed=2)]
    rows = [make_row(engine, prompt, 8 + 3 * number) for number, prompt in enumerate(prompts)]
    calls = []

    def join_the_next(_piece):
        if len(calls) < len(rows):
            calls.append(Call(decoder, rows[len(calls)]))

    first = make_row(engine, "Who?", 40, join_the_next)
    Call(decoder, first).wait()
    texts = [call.wait()[0] for call in calls]
    assert texts == [alone(engine, prompt, 8 + 3 * number) for number, prompt in enumerate(prompts)]
    assert first.answer.text == alone(engine, "Who?", 40)


def test_a_request_beyond_the_most_rows_waits_for_room_and_none_overtakes_it(engine, rows_of_steps):
    decoder = Decoder(engine.model, engine._lock, most_rows=2)
    order = []

    def named(name, tokens):
        return make_row(engine, PROMPTS[0], tokens, lambda piece: order.append(name))

    with engine._lock:
        calls = [Call(decoder, named("a", 20)), Call(decoder, named("b", 8))]
        calls += [Call(decoder, named("c", 4), named("d", 4)), Call(decoder, named("e", 4))]
    for call in calls:
        call.wait()
    assert max(rows_of_steps) == 2
    began = list(dict.fromkeys(order))
    assert began[:2] in (["a", "b"], ["b", "a"])
    assert sorted(began[2:4]) == ["c", "d"]
    assert began[4] == "e"
    assert order.index("c") > len(order) - 1 - order[::-1].index("a"), "a request of two rows joined where one had room"


def test_a_sink_that_fails_ends_its_own_answer_only(engine, decoder):
    def fail(_piece):
        raise ValueError("the reader went away")

    with engine._lock:
        calls = [Call(decoder, make_row(engine, PROMPTS[0], 20)), Call(decoder, make_row(engine, PROMPTS[1], 20, fail))]
    assert calls[0].wait() == [alone(engine, PROMPTS[0], 20)]
    calls[1].wait()
    assert "went away" in str(calls[1].error)
    assert calls[0].error is None


def test_a_prompt_that_cannot_be_read_fails_alone(engine, decoder):
    unreadable = make_row(engine, PROMPTS[1], 20)
    unreadable.prompt = unreadable.prompt + 10**6  # ids outside the vocabulary
    with engine._lock:
        calls = [Call(decoder, make_row(engine, PROMPTS[0], 20)), Call(decoder, unreadable)]
    assert calls[0].wait() == [alone(engine, PROMPTS[0], 20)]
    calls[1].wait()
    assert isinstance(calls[1].error, IndexError)


def test_a_step_that_fails_fails_all_that_are_there_and_later_questions_are_answered(engine, decoder, monkeypatch):
    step = RowBatch.step

    def failing(_batch):
        monkeypatch.setattr(RowBatch, "step", step)
        raise MemoryError("no room for a token")

    with engine._lock:
        calls = [Call(decoder, make_row(engine, prompt, 20)) for prompt in PROMPTS]
        monkeypatch.setattr(RowBatch, "step", failing)
    for call in calls:
        call.wait()
    assert [type(call.error) for call in calls].count(MemoryError) >= 1
    assert Call(decoder, make_row(engine, PROMPTS[0], 9)).wait() == [alone(engine, PROMPTS[0], 9)]


def test_a_cancelled_answer_ends_within_a_token_and_the_others_go_on(engine, decoder):
    cancelled, pieces = Event(), []

    def cancel_at_the_third(piece):
        pieces.append(piece)
        if len(pieces) == 3:
            cancelled.set()

    leaving = make_row(engine, PROMPTS[1], 50, cancel_at_the_third, cancelled)
    with engine._lock:
        calls = [Call(decoder, make_row(engine, PROMPTS[0], 30)), Call(decoder, leaving)]
    assert calls[0].wait() == [alone(engine, PROMPTS[0], 30)]
    calls[1].wait()
    assert leaving.answer.finish_reason == "cancelled"
    assert len(leaving.answer.ids) <= 4


def test_a_request_that_is_cancelled_while_it_waits_ends_at_once(engine):
    decoder = Decoder(engine.model, engine._lock, most_rows=1)
    cancelled = Event()
    ended = []

    def cancel_the_waiting_one(piece):
        if not ended:
            waiting = Call(decoder, make_row(engine, PROMPTS[1], 50, cancelled=cancelled))
            cancelled.set()
            ended.append(waiting)
        elif ended[0].ended:
            ended.append(piece)

    Call(decoder, make_row(engine, PROMPTS[0], 60, cancel_the_waiting_one)).wait()
    assert len(ended) > 20, "it waited for the answer before it"
    assert ended[0].rows[0].answer.finish_reason == "cancelled"


def test_a_cancelled_row_of_a_whole_batch_leaves_the_others_their_answers(engine):
    cancelled = Event()
    cancelled.set()
    rows = [make_row(engine, PROMPTS[0], 20), make_row(engine, PROMPTS[1], 20, cancelled=cancelled)]
    generate_rows(engine.model, rows)
    assert rows[0].answer.text == alone(engine, PROMPTS[0], 20)
    assert (rows[1].answer.text, rows[1].answer.finish_reason) == ("", "cancelled")


def test_the_thread_ends_with_the_last_answer(engine, decoder):
    Call(decoder, make_row(engine, PROMPTS[0], 5)).wait()
    wait_until(lambda: decoder._thread is None)
    Call(decoder, make_row(engine, PROMPTS[0], 5)).wait()
    wait_until(lambda: decoder._thread is None)


@pytest.mark.parametrize(("family", "joins"), [("llama", True), ("gpt2", True), ("mamba", False), ("rwkv", False)])
def test_what_keeps_more_than_keys_and_values_of_every_token_is_decoded_alone(family, joins, tmp_path):
    folder = make_plain(family, tmp_path, window=512)
    with SharedLLMEngine.from_pretrained(folder, cache=tiny_engine.memory_cache()) as engine:
        assert engine._answering.decoder.joins is joins


def test_engines_on_the_same_model_decode_together(engine):
    assert engine.with_cache(tiny_engine.memory_cache())._answering.decoder is engine._answering.decoder


def test_a_process_that_ends_in_the_middle_of_an_answer_ends_soon(checkpoints):
    code = f"""
from tests import tiny_engine
engine = tiny_engine.make_engine({str(checkpoints["quoted"])!r})
stream = engine.stream("Who?", max_new_tokens=400)
print(next(stream))
"""
    ended = tiny_engine.run_python(code, timeout=PATIENCE)
    assert ended.returncode == 0, ended.stderr
    assert "Error" not in ended.stderr


def test_requests_about_to_join_fail_with_those_that_are_there(engine, decoder, monkeypatch):
    def failing(_batch, _prompts):
        raise MemoryError("no room for the states")

    with engine._lock:
        calls = [Call(decoder, make_row(engine, prompt, 20)) for prompt in PROMPTS]
        monkeypatch.setattr(RowBatch, "add", failing)
    for call in calls:
        call.wait()
    assert [type(call.error) for call in calls] == [MemoryError] * len(PROMPTS)
