"""Killed writers, full disks, read-only folders, processes side by side, dying stores: real processes and files."""

import errno
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings

import boto3
import pytest
import s3fs

from sharedllm_core.errors import CacheWarning
from sharedllm_core.tree_cache import DiskTier, MemoryTier, RemoteTier, TreeCache
from tests.tree_cache import entries

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
BLOBS = {entries.key(number): entries.blob(number) for number in range(12)}
SIZE = max(map(len, BLOBS.values()))


def forked(work):
    """Start `work` in a child process; its exit status tells whether it raised."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def wait_for(*children):
    for child in children:
        _, status = os.waitpid(child, 0)
        assert status == 0


def test_a_writer_killed_eighty_times_leaves_no_half_entry(tmp_path):
    def write_for_ever():
        tier = DiskTier(tmp_path, "one", 10**9)
        for key in iter(lambda: random.choice(list(BLOBS)), None):
            tier.put(key, BLOBS[key])

    reader = DiskTier(tmp_path, "one", 10**9)
    found = 0
    for _ in range(80):
        child = forked(write_for_ever)
        time.sleep(random.uniform(0.001, 0.01))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for key, blob in BLOBS.items():
            read = reader.get(key)  # raises when damaged
            assert read is None or bytes(read) == blob
            found += read is not None
    assert found > 80, "the writer must have got somewhere"


@pytest.mark.parametrize("seed", range(3))
def test_rot_anywhere_in_the_folder_is_never_an_answer(tmp_path, seed):
    dice = random.Random(seed)
    cache = TreeCache([DiskTier(tmp_path, "one", 10**9)])
    for number in range(12):
        cache.put(entries.key(number), entries.states(number))
    files = sorted(tmp_path.rglob("*.safetensors"))
    for path in files:
        content = bytearray(path.read_bytes())
        kind = dice.choice(["sound", "flip", "cut", "empty", "noise", "swap"])
        if kind == "flip":
            content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        elif kind == "cut":
            content = content[: dice.randrange(len(content))]
        elif kind == "empty":
            content = bytearray()
        elif kind == "noise":
            content = bytearray(dice.randbytes(len(content)))
        elif kind == "swap":  # a sound entry, of another text
            content = bytearray(dice.choice(files).read_bytes())
        path.write_bytes(content)
    for number in range(12):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CacheWarning)
            found = cache.get(entries.key(number), entries.ORIGIN)
            if found is not None:
                entries.assert_same(found, entries.states(number))
            cache.put(entries.key(number), entries.states(number))
            entries.assert_same(cache.get(entries.key(number), entries.ORIGIN), entries.states(number))


def test_a_full_disk_is_a_warning_and_leaves_nothing_behind(tmp_path):
    """A limit on file sizes fails a write half-way, as a full disk does."""

    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE // 2, SIZE // 2))
        cache = TreeCache([MemoryTier(10**8), DiskTier(tmp_path, "one", 10**9)])
        with pytest.warns(CacheWarning, match=os.strerror(errno.EFBIG)):
            cache.put(entries.key(1), entries.states(1))
        entries.assert_same(cache.get(entries.key(1), entries.ORIGIN), entries.states(1))
        assert not [file for file in tmp_path.rglob("*") if file.is_file()]

    wait_for(forked(work))


def test_a_read_only_folder_serves_reads_and_warns_of_writes(tmp_path):
    tmp_path.chmod(0o755)
    folder = tmp_path / "trees"
    DiskTier(folder, "one", 10**9).put(entries.key(1), entries.blob(1))
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)

    def work():
        if os.getuid() == 0:  # permissions do not bind root
            os.setuid(65534)
        cache = TreeCache([DiskTier(folder, "one", 10**9)])
        entries.assert_same(cache.get(entries.key(1), entries.ORIGIN), entries.states(1))
        with pytest.warns(CacheWarning, match="Permission denied"):
            cache.put(entries.key(2), entries.states(2))
        assert cache.get(entries.key(2), entries.ORIGIN) is None

    parents = [parent for parent in tmp_path.parents if str(parent).startswith("/tmp/pytest")]  # noqa: S108
    modes = [(parent, parent.stat().st_mode) for parent in parents]
    for parent in parents:
        parent.chmod(0o755)
    try:
        wait_for(forked(work))
    finally:
        for parent, mode in modes:
            parent.chmod(mode)
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755)


def test_processes_read_write_and_evict_side_by_side(tmp_path):
    def work(seed):
        dice = random.Random(seed)
        cache = TreeCache([DiskTier(tmp_path, "one", 4 * SIZE)])
        warnings.simplefilter("error")
        began = time.monotonic()
        hits = seconds = 0
        # A busy machine needs more than two seconds for enough hits and evictions.
        while seconds < 2 or (seconds < 30 and (hits <= 10 or cache.tiers[0].stats.evictions <= 10)):
            seconds = time.monotonic() - began
            number = dice.randrange(12)
            states = entries.states(number)
            nodes = dice.choice([None, dice.sample(states.nodes, 3)])
            found = cache.get(entries.key(number), entries.ORIGIN, nodes=nodes)
            if found is None:
                cache.put(entries.key(number), states)
            else:
                entries.assert_same(found, states if nodes is None else states.keep(nodes))
                hits += 1
        assert hits > 10
        assert cache.stats()["disk"].evictions > 10
        assert cache.stats()["disk"].errors == 0

    wait_for(*(forked(lambda seed=seed: work(seed)) for seed in range(3)))
    assert DiskTier(tmp_path, "one", 4 * SIZE).measure().num_bytes <= 5 * SIZE


def test_a_folder_deleted_under_a_running_process_is_made_again(tmp_path):
    cache = TreeCache([DiskTier(tmp_path / "trees", "one", 10**9)])
    cache.put(entries.key(1), entries.states(1))
    shutil.rmtree(tmp_path / "trees")
    assert cache.get(entries.key(1), entries.ORIGIN) is None
    cache.put(entries.key(1), entries.states(1))
    entries.assert_same(cache.get(entries.key(1), entries.ORIGIN), entries.states(1))


# ------------------------------------------------------------------------------------------------ an S3 server


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def s3():
    """A real S3 server on loopback, with an empty bucket: its process, and how to reach it."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert time.monotonic() < until, "the S3 server did not start"
            time.sleep(0.1)
    options = {
        "key": "test",
        "secret": "test",
        "client_kwargs": {"endpoint_url": f"http://127.0.0.1:{port}", "region_name": "us-east-1"},
        "use_listings_cache": False,
        "skip_instance_cache": True,
    }
    client = {"aws_access_key_id": "test", "aws_secret_access_key": "test", **options["client_kwargs"]}
    boto3.client("s3", **client).create_bucket(Bucket="trees")
    yield server, options
    server.kill()
    server.wait()


def test_trees_are_kept_in_s3_and_survive_its_death(s3):
    server, options = s3

    def cache():
        remote = RemoteTier("s3://trees/cache", "one", timeout_s=20, closed_s=60, **options)
        return TreeCache([MemoryTier(10**8), remote])

    first = cache()
    for number in range(5):
        first.put(entries.key(number), entries.states(number))
    second = cache()
    for number in range(5):
        entries.assert_same(second.get(entries.key(number), entries.ORIGIN), entries.states(number))
    assert second.stats()["remote"].hits == 5
    assert set(second.tiers[1].keys()) == {entries.key(number) for number in range(5)}
    assert second.forget([entries.key(0), entries.key(99)]) == 1
    assert not second.tiers[1].delete(entries.key(99))
    assert cache().get(entries.key(0), entries.ORIGIN) is None

    third = cache()
    entries.assert_same(third.get(entries.key(1), entries.ORIGIN), entries.states(1))
    server.kill()
    server.wait()
    with pytest.warns(CacheWarning, match="remote tier"):
        assert third.get(entries.key(2), entries.ORIGIN) is None
    begin = time.monotonic()
    for number in range(3, 5):
        assert third.get(entries.key(number), entries.ORIGIN) is None
    assert time.monotonic() - begin < 10, "a dead store is left alone, and costs no second time limit"
    entries.assert_same(third.get(entries.key(1), entries.ORIGIN), entries.states(1))


def test_rotten_and_half_objects_in_s3_are_misses(s3):
    _, options = s3
    store = s3fs.S3FileSystem(**options)
    remote = RemoteTier("s3://trees/cache", "one", timeout_s=20, **options)
    cache = TreeCache([remote])
    for number, damage in enumerate(
        [lambda blob: blob[: len(blob) // 2], lambda blob: blob[:-1] + bytes([blob[-1] ^ 1])]
    ):
        cache.put(entries.key(number), entries.states(number))
        path = next(path for path in store.find("trees") if entries.key(number) in path)
        store.pipe_file(path, damage(store.cat_file(path)))
        with pytest.warns(CacheWarning, match="computed again"):
            assert cache.get(entries.key(number), entries.ORIGIN) is None
        cache.put(entries.key(number), entries.states(number))
        entries.assert_same(cache.get(entries.key(number), entries.ORIGIN), entries.states(number))


def test_a_server_that_accepts_and_never_answers_costs_one_time_limit():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(20)
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        remote = RemoteTier(
            "s3://trees/cache",
            "one",
            timeout_s=1.0,
            key="test",
            secret="test",
            client_kwargs={"endpoint_url": endpoint, "region_name": "us-east-1"},
            skip_instance_cache=True,
        )
        cache = TreeCache([remote])
        begin = time.monotonic()
        with pytest.warns(CacheWarning, match=r"did not answer within 1 s"):
            assert cache.get(entries.key(0), entries.ORIGIN) is None
        assert not [number for number in range(50) if cache.get(entries.key(number), entries.ORIGIN)]
        assert time.monotonic() - begin < 10
