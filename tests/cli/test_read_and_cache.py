"""`read` and `cache`: what is kept, what is checked, what is deleted."""

import json

import pytest

from tests.cli import processes


def values(result, code=0):
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def trees(folder):
    return sorted(path for path in (folder / "cache").rglob("*") if path.is_file())


def test_what_was_read_is_cached_the_second_time_and_in_another_process(sharedllm):
    first = values(sharedllm("read", "docs", "--json"))
    second = values(sharedllm("read", "docs", "--json"))
    assert (first["documents"], first["cached_tokens"]) == (3, 0)
    assert second["cached_tokens"] == second["tokens"] == first["tokens"]
    assert second["fingerprint"] == first["fingerprint"]
    other = processes.run("read", "docs")
    assert other.returncode == 0
    assert other.stdout == ""
    assert f"{first['tokens']} were cached, 0 were read" in other.stderr


def test_reading_adds_only_what_is_new(sharedllm, folder):
    before = values(sharedllm("read", "docs", "--json"))
    (folder / "docs" / "new.txt").write_text("The manager returned the keys.")
    after = values(sharedllm("read", "docs", "--json"))
    assert after["cached_tokens"] == before["tokens"] < after["tokens"]


def test_reading_that_cannot_be_kept_fails(sharedllm, recwarn):
    result = sharedllm("read", "docs", "--cache-bytes", "10")
    assert result.exit_code == 1
    assert "raise --cache-bytes" in result.stderr
    assert any("has lost" in str(warning.message) for warning in recwarn)
    nowhere = sharedllm("read", "docs", "--cache-bytes", "0")
    assert (nowhere.exit_code, "leaves nowhere to keep trees" in nowhere.stderr) == (2, True)


def test_skipped_files_are_in_the_json(sharedllm, folder):
    (folder / "docs" / "x.bin").write_bytes(b"\0")
    (folder / "docs" / "y").write_bytes(b"\0")
    found = values(sharedllm("read", "docs", "--skip-unreadable", "--json"))
    assert found["skipped"] == [
        {"path": "docs/x.bin", "reason": "it is binary data"},
        {"path": "docs/y", "reason": "it is a binary file"},
    ]


def test_a_remote_store_serves_another_cache_folder(sharedllm, folder):
    remote = ["--remote", f"file://{folder}/remote"]
    first = values(sharedllm("read", "docs", *remote, "--json"))
    again = values(sharedllm("read", "docs", *remote, "--cache-dir", "elsewhere", "--json"))
    assert again["cached_tokens"] == first["tokens"]


def test_stats_count_trees_and_bytes(sharedllm, folder):
    found = values(sharedllm("cache", "stats", "--json"))
    assert (found["entries"], found["num_bytes"]) == (0, 0)
    chunks = values(sharedllm("read", "docs", "--json"))["chunks"]
    found = values(sharedllm("cache", "stats", "--json"))
    assert found["entries"] == chunks == len(trees(folder))
    assert found["num_bytes"] == sum(path.stat().st_size for path in trees(folder))
    shown = sharedllm("cache", "stats").stdout.splitlines()
    assert [line.split()[0] for line in shown] == ["namespace", "folder", "trees", "size"]
    assert all(line == line.rstrip() for line in shown)


def test_a_damaged_tree_is_found_removed_and_made_again(sharedllm, folder):
    total = values(sharedllm("read", "docs", "--json"))
    sound = values(sharedllm("cache", "verify", "--json"))
    assert sound == {"sound": total["chunks"], "removed": [], "unreadable": []}
    victim = trees(folder)[0]
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    result = sharedllm("cache", "verify")
    assert result.exit_code == 1
    assert result.stderr.strip() == f"{total['chunks'] - 1} trees sound, 1 damaged and removed"
    assert not victim.exists()
    assert values(sharedllm("read", "docs", "--json"))["cached_tokens"] < total["tokens"]
    assert sharedllm("cache", "verify").stderr.strip() == f"{total['chunks']} trees sound, none damaged"


def test_clearing_needs_a_terminal_or_yes(sharedllm, folder):
    assert sharedllm("cache", "clear").exit_code == 0, "there is nothing to lose"
    chunks = values(sharedllm("read", "docs", "--json"))["chunks"]
    refused = sharedllm("cache", "clear", stdin="y\n")
    assert refused.exit_code == 2
    assert "--yes: there is no terminal to ask in" in refused.stderr
    assert len(trees(folder)) == chunks
    assert values(sharedllm("cache", "clear", "--yes", "--json"))["removed"] == chunks
    assert not trees(folder)


def test_clearing_asks_in_a_terminal(sharedllm, folder):
    sharedllm("read", "docs/0.txt")
    terminals = {typed: processes.Terminal("cache", "clear") for typed in ("n\n", "y\n")}
    for typed, code, left in (("n\n", 1, True), ("y\n", 0, False)):
        terminals[typed].wait_for("[y/N]")
        terminals[typed].type(typed)
        assert terminals[typed].wait() == code
        assert bool(trees(folder)) == left


def test_namespaces_are_apart(sharedllm):
    total = values(sharedllm("read", "docs", "--json"))
    other = ["--namespace", "other"]
    assert values(sharedllm("cache", "stats", *other, "--json"))["entries"] == 0
    assert values(sharedllm("read", "docs", *other, "--json"))["cached_tokens"] == 0
    assert values(sharedllm("cache", "clear", "--yes", *other, "--json"))["removed"] == total["chunks"]
    assert values(sharedllm("read", "docs", "--json"))["cached_tokens"] == total["tokens"]


def test_forgetting_deletes_the_trees_of_those_documents_alone(sharedllm):
    total = values(sharedllm("read", "docs", "--json"))
    alone = values(sharedllm("read", "docs/1.txt", "--json"))
    assert values(sharedllm("cache", "forget", "docs/1.txt", "--json")) == {"removed": alone["chunks"]}
    assert values(sharedllm("cache", "forget", "docs/1.txt", "--json")) == {"removed": 0}
    assert values(sharedllm("read", "docs", "--json"))["cached_tokens"] == total["tokens"] - alone["tokens"]
    missing = sharedllm("cache", "forget", "none.txt")
    assert (missing.exit_code, "none.txt does not exist" in missing.stderr) == (1, True)


@pytest.mark.parametrize("checkpoint", ["quoted"], indirect=True)
def test_of_a_model_without_injection_nothing_is_kept_and_read_says_so(sharedllm, folder):
    found = values(sharedllm("read", "docs", "--json"))
    assert (found["reading"], found["cached_tokens"]) == ("quoted", 0)
    said = sharedllm("read", "docs").stderr
    assert f"3 documents, {found['tokens']} tokens: nothing was compressed or kept" in said
    assert not trees(folder)
    assert values(sharedllm("cache", "stats", "--json"))["entries"] == 0
    assert values(sharedllm("cache", "forget", "docs", "--json")) == {"removed": 0}
    answer = values(sharedllm("ask", "Who?", "--docs", "docs", "--max-new-tokens", 4, "--json"))
    assert answer["reading"]["quoted_tokens"] > 0
