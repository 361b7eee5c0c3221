"""Many threads, several libraries, streams that are left: no deadlock, no mixed-up answers."""

import random
import threading
import time

import pytest

from tests import tiny_engine
from tests.tiny_engine import BOTH_READINGS

THREADS = 16
QUESTIONS = ["Who signed the lease?", "When is the rent paid?", "Which clause?", "What is stored in the harbour"]


@pytest.mark.slow
@pytest.mark.parametrize(("checkpoint", "seconds"), [("injected", 15), ("quoted", 6)], indirect=["checkpoint"])
def test_sixteen_threads_over_four_libraries_never_wait_for_ever_nor_mix_answers(checkpoint, seconds):
    engine = tiny_engine.make_engine(checkpoint)
    libraries = [engine.read(tiny_engine.documents(3, seed=seed)) for seed in range(4)]
    # Passages fill what the answer leaves of the window, so the same number of them is asked for with a long answer.
    asked = {"max_new_tokens": 6, "num_evidence": 1, "quote_tokens": 150}
    left = asked | {"max_new_tokens": 300}
    expected = {
        (number, question): engine.ask(question, library, **asked)
        for number, library in enumerate(libraries)
        for question in QUESTIONS
    }
    assert len({answer.text for answer in expected.values()}) > 10
    end = time.monotonic() + seconds
    wrong, counts, lefts = [], [0] * THREADS, [0] * THREADS

    def work(thread):
        chance = random.Random(thread)
        while time.monotonic() < end:
            number, question = chance.randrange(4), chance.choice(QUESTIONS)
            library, right = libraries[number], expected[number, question]
            way = chance.choice(["ask", "stream", "leave", "batch"])
            if way == "ask":
                found = engine.ask(question, library, **asked)
            elif way == "stream":
                stream = engine.stream(question, library, **asked)
                found = stream.answer if "".join(stream) == right.text else None
                found = stream.answer
            elif way == "batch":
                found = engine.ask_batch([question, QUESTIONS[0]], library, **asked)[0]
            else:
                with engine.stream(question, library, **left) as stream:
                    piece = next(stream)
                lefts[thread] += 1
                found = right if right.text.startswith(piece) else piece
            if (getattr(found, "text", None), getattr(found, "usage", None)) != (right.text, right.usage):
                wrong.append((way, number, question, found))
            counts[thread] += 1

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=seconds + 60)
    assert not any(thread.is_alive() for thread in threads), "a thread waits for ever"
    assert not wrong, wrong[:3]
    assert min(counts) > 0, "a thread was never served"
    assert sum(lefts) > 0
    deadline = time.monotonic() + 10
    while engine._lock._held and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not engine._lock._held, "a stream that was left still writes"


def test_reading_and_asking_take_turns(checkpoint):
    engine = tiny_engine.make_engine(checkpoint)
    engine.model.lower_model.batch_tokens = 64
    small = engine.read(tiny_engine.documents(1, seed=7))
    reading = threading.Thread(target=engine.read, args=(tiny_engine.documents(60, seed=8),))
    reading.start()
    answered = 0
    while reading.is_alive():
        engine.ask("Who?", small, max_new_tokens=2, num_evidence=0)
        answered += reading.is_alive()
    reading.join()
    assert answered > 1


@BOTH_READINGS
def test_closing_a_stream_ends_the_wait_for_its_next_piece(engine):
    with engine._lock:  # so nothing comes
        stream = engine.stream("Who?", max_new_tokens=4)
        threading.Timer(0.1, stream.close).start()
        assert list(stream) == []
    assert stream.answer is None
