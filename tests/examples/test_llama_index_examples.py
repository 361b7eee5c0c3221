"""The LlamaIndex examples as a user runs them, at a small size."""

import re

import pytest

from tests import real_models
from tests.examples import running


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    real_models.share_smollm2(tmp_path / "cache")
    monkeypatch.setenv("SHAREDLLM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def run(name, *arguments, how=running.run_here):
    return how(f"llama_index/{name}.py", *arguments)


@pytest.mark.parametrize("index", [(), ("--index",)], ids=["folder", "index"])
def test_a_folder_is_asked_and_the_evidence_named(index):
    shown = run("folder", "--sections", 2, *index)
    assert re.findall(r"^(\w+) question: [\d.]+ s to the first token; .+$", shown, re.M) == ["first", "second"]
    assert re.search(r"^  \d+% \w+\.md: .+$", shown, re.M)


def test_an_index_of_a_folder_holds_all_of_it_once():
    shown = [run("folder", "--sections", 3, *more) for more in ((), ("--index",))]
    whole, rebuilt = (int(re.search(r"^([\d,]+) tokens", text, re.M)[1].replace(",", "")) for text in shown)
    assert abs(rebuilt - whole) <= 0.005 * whole, "the folders have names of their own"


def test_a_conversation_remembers():
    shown = run("chat", "--contracts", 3, "--say", "Who is the tenant of lease agreement 2?", "And the rent?")
    assert re.findall(r"^> (.+)$", shown, re.M) == ["Who is the tenant of lease agreement 2?", "And the rent?"]
    assert len(re.findall(r"^  \(lease-\d\.txt\)$", shown, re.M)) == 2
    assert shown.endswith("4 messages\n")


@pytest.mark.parametrize("more", [(), ("--each",)], ids=["written", "each"])
def test_contracts_are_compared_by_sub_questions(more):
    shown = run("compare", "--contracts", 3, *more)
    asked = re.findall(r"^Sub question: ", shown, re.M)
    assert len(asked) == 3 if more else 1 <= len(asked) <= 3
    assert re.search(r"^Together: ", shown, re.M)


def test_an_agent_calls_its_tool_with_what_fits():
    shown = run("manual_agent", "--sections", 1, how=running.run_in_own_process)
    assert re.search(r"^called: order_part \{'part': .*, 'amount': -?\d+\}$", shown, re.M | re.S)
    assert re.search(r"^ordered: -?\d+ of .* are ordered\.$", shown, re.M | re.S)
    assert re.search(r"^manual: ", shown, re.M)


def test_every_contract_gives_an_object_of_the_class():
    shown = run("extract_objects", "--contracts", 3)
    objects = re.findall(r"lease-\d\.txt: Lease\(tenant=.*, rent_euros=\d+, notice_days=\d+\)", shown)
    assert len(objects) == 3


def test_above_a_limit_a_retriever_chooses():
    all_of_it = re.search(r"^([\d,]+) tokens, and .*: ([\d,]+) tokens were read$", run("router"), re.M)
    chosen = re.search(r"limit is 500: ([\d,]+) tokens were read$", run("router", "--limit", 500), re.M)
    assert int(chosen[1].replace(",", "")) < int(all_of_it[2].replace(",", "")) / 2
