"""Figures in the documentation are measured ones, and its links lead somewhere."""

import json
import re
from pathlib import Path

import pytest

from sharedllm_core.evaluation import cache_speed, concurrent_speed, quoting_speed
from sharedllm_core.evaluation.efficiency import tables
from sharedllm_core.method.config import known_policies

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
EFFICIENCY = json.loads((ROOT / "docs/results/efficiency.json").read_text())
SECONDS = {(row["past_tokens"], row["system"]): row.get("seconds") for row in EFFICIENCY["rows"]}


def test_the_tables_of_efficiency_are_the_measured_ones():
    page = (ROOT / "docs/results/efficiency.md").read_text()
    for table in tables(EFFICIENCY).split("\n\n"):
        assert table in page


def test_what_is_claimed_of_efficiency_was_measured():
    ours, longer = SECONDS[32768, "sharedllm, M = 4"], SECONDS[131072, "sharedllm, M = 4"]
    sooner = SECONDS[131072, "full attention"]["unread"] / longer["unread"]
    growth = longer["unread"] / ours["unread"]
    assert sooner >= 10
    assert growth <= 4.5
    page = (ROOT / "docs/results/efficiency.md").read_text()
    assert f"| at least 10 | **{sooner:.1f}**" in page
    assert f"| at most 4.5 | **{growth:.1f}**" in page
    assert f"**{sooner:.1f} times sooner**" in (ROOT / "README.md").read_text()


def test_what_is_claimed_of_the_cache_was_measured():
    measured = json.loads((ROOT / "docs/results/cache.json").read_text())
    page = (ROOT / "docs/results/cache.md").read_text()
    assert cache_speed.table(measured) in page
    seconds = measured["seconds"]
    first = seconds["first question, unread"]
    memory = first / seconds["second question, from memory"]
    disk = first / seconds["second question, from disk, in a new process"]
    assert measured["library"]["tokens"] == 131072
    assert memory >= 50
    assert disk >= 20
    assert f"| at least 50 | **{memory:.0f}**" in page
    assert f"| at least 20 | **{disk:.0f}**" in page
    counting = measured["counting"]["tokenizer_s"] / measured["counting"]["tiktoken_s"]
    assert f"{counting:.1f} times as fast" in page
    assert f"{measured['int8']['bytes_ratio']:.2f} of the bytes" in page


def test_what_is_claimed_of_quoted_reading_was_measured():
    measured = json.loads((ROOT / "docs/results/quoted_reading.json").read_text())
    page = (ROOT / "docs/results/quoted_reading.md").read_text()
    assert quoting_speed.table(measured) in page
    medians = measured["median"]
    share = (medians["selection"] + medians["prompt"]) / medians["prefill"]
    assert share < 0.1
    assert f"**{share:.1%} of the prefill**" in page


def table_of_policies(rows):
    lines = ["| policy | tokens, all | 4,096 | 16,384 | whole facts, all |", "|---|---|---|---|---|"]
    found = {(row["policy"], row["metric"], row["length"]): row for row in rows}

    def cell(*key):
        return "{mean:.0%} [{low:.0%}, {high:.0%}]".format(**found[key])

    for policy in sorted({row["policy"] for row in rows}, key=lambda name: -found[name, "tokens", None]["mean"]):
        of_tokens = [cell(policy, "tokens", length) for length in (None, 4096, 16384)]
        lines.append(f"| `{policy}` | {' | '.join(of_tokens)} | {cell(policy, 'whole facts', None)} |")
    return "\n".join(lines)


def test_the_table_of_policies_is_the_measured_one():
    measured = json.loads((ROOT / "docs/results/selection.json").read_text())
    page = (ROOT / "docs/results/injection.md").read_text()
    assert table_of_policies(measured["rows"]) in page
    elsewhere = {"two_looks", "search"}
    assert {row["policy"] for row in measured["rows"]} == set(known_policies()) - elsewhere
    assert all(row["count"] == 96 for row in measured["rows"] if row["length"] is None)


def test_the_table_of_a_second_look_is_the_measured_one():
    rows = json.loads((ROOT / "docs/results/two_looks.json").read_text())["rows"]
    names = {"single": "one fact", "multi_key": "several keys", "multi_value": "several values", "two_hop": "two hops"}
    lines = ["| form | tokens | n | `lexical` | `two_looks` |", "|---|---|---|---|---|"]
    found = {(row["form"], row["length"], row["policy"]): row for row in rows}
    for form, name in names.items():
        for length in (4096, 32768):
            one, other = found[form, length, "lexical"], found[form, length, "two_looks"]
            assert one["count"] == other["count"] >= 10, "the same questions"
            lines.append(f"| {name} | {length:,} | {one['count']} | {one['mean']:.0%} | {other['mean']:.0%} |")
    assert "\n".join(lines) in (ROOT / "docs/results/injection.md").read_text()
    assert min(found["two_hop", length, "two_looks"]["mean"] for length in (4096, 32768)) > 0.3


def test_the_table_of_answer_recall_is_the_measured_one():
    names = {
        "nq_passages": "NaturalQuestions",
        "hotpotqa": "HotpotQA",
        "contracts": "contracts",
        "squad_12": "SQuAD",
        "fairytale_dev": "FairytaleQA",
        "covid_20": "COVID-QA",
        "privacy_policies": "PolicyQA",
    }
    budgets = (512, 1024, 2048, 4096)
    rows = json.loads((ROOT / "docs/results/answer_recall.json").read_text())["rows"]
    found = {(row["file"], row["metric"], row["budget"]): row for row in rows}

    def cell(file, metric):
        return " / ".join(f"{found[file, metric, budget]['mean']:.0%}".rstrip("%") for budget in budgets)

    page = (ROOT / "docs/results/selection.md").read_text()
    for file, name in names.items():
        ways = " | ".join(cell(file, metric) for metric in ("BM25", "search", "two_looks", "lexical"))
        count = found[file, "passages", 512]["count"]
        assert f"| {name} | {count} | **{cell(file, 'passages')}** | {ways} |" in page
        for budget in budgets:
            passages, plain = (found[file, metric, budget]["mean"] for metric in ("passages", "BM25"))
            assert passages >= plain - 0.01, (file, budget)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_page_of_efficiency_has_the_table_of_the_run_of_questions_at_the_same_time():
    page = (ROOT / "docs/results/efficiency.md").read_text(encoding="utf-8")
    measured = json.loads((ROOT / "docs/results/concurrent.json").read_text(encoding="utf-8"))
    assert concurrent_speed.table(measured) in page
