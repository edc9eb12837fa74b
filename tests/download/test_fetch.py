"""The fetcher against a server that misbehaves: whole, or a clear error, every time."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path

import pytest
from loopback import (
    Server,
    become,
    cut,
    etag_of,
    page,
    serve,
    status,
    whole,
    without_length,
    wrong_range,
)

from mambaops.core.errors import MambaopsError, UsageError
from mambaops.download.address import file_name
from mambaops.download.fetch import Fetched, fetch
from mambaops.download.http import Patience, masked, retry_after
from mambaops.download.progress import Lines, Meter, progress_line
from mambaops.download.state import Memory

QUICK = Patience(attempts=4, first_wait=0.01, longest_wait=0.05, connect=2.0, read=0.3)
SIZE = 400_000
HALF = 200_000


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def data(make_wheel) -> bytes:
    return make_wheel(size=SIZE).read_bytes()


@pytest.fixture
def other(make_wheel, tmp_path) -> bytes:
    """Another whole wheel of the same name and length."""
    return make_wheel(size=SIZE, folder=tmp_path / "other").read_bytes()


class Heard(Lines):
    def __init__(self) -> None:
        self.lines: list[str] = []
        super().__init__(self.lines.append)


def go(server: Server, folder: Path, **options: object) -> Fetched:
    return fetch(server.url(), folder / "out", patience=QUICK, **options)


def assert_whole(fetched: Fetched, data: bytes) -> None:
    assert fetched.path.read_bytes() == data
    assert fetched.sha256 == hashlib.sha256(data).hexdigest()
    assert fetched.bytes == len(data)
    assert left_over(fetched.path.parent) == []


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.part*"))


GOOD_IN_THE_END = {
    "nothing wrong": ([whole()], False),
    "reset": ([cut(HALF, how="reset"), whole()], True),
    "closed early": ([cut(HALF, how="close"), whole()], True),
    "stalled": ([cut(HALF, how="stall"), whole()], True),
    "broken at every piece": ([cut(100_000, how="close")], True),
    "reset before the first byte": ([cut(0, how="reset"), whole()], False),
    "500, 503 and 429": ([status(500), status(503), status(429, Retry_After="0"), whole()], False),
    "500 in the middle": ([cut(HALF, how="reset"), status(502), whole()], True),
    "no ranges": ([cut(HALF, how="reset", ranges=False), whole(ranges=False)], False),
    "no validator": ([cut(HALF, how="reset", etag=None), whole(etag=None)], True),
    "weak validator": ([cut(HALF, how="close", etag='W/"1"'), whole(etag='W/"1"')], True),
    "no length": ([without_length()], False),
    "no length, cut off once": ([without_length(HALF), whole()], False),
    "416 for a range it should have": ([cut(HALF, how="close"), status(416), whole()], False),
    "another range than asked for": ([cut(HALF, how="close"), wrong_range(1000), whole()], False),
    "redirect": ([status(302, Location="/elsewhere.whl?signature=1"), whole()], False),
    "promises more than it has": ([whole(length=SIZE + 5000)], False),
    "promises less than it has": ([whole(length=HALF), whole()], False),
    "a login page once": ([page(b"<html>please log in</html>"), whole()], False),
}


@pytest.mark.parametrize("case", GOOD_IN_THE_END)
def test_whole_in_the_end(case, data, tmp_path):
    script, resumed = GOOD_IN_THE_END[case]
    with serve(data, *script) as server:
        fetched = go(server, tmp_path)
    assert_whole(fetched, data)
    assert fetched.resumed is resumed
    assert not fetched.from_cache


CLEAR_ERRORS = {
    "404": ([status(404)], "answers 404", "may never have been published", 1),
    "403": ([status(403)], "answers 403", "browser", 1),
    "401": ([status(401)], "answers 401", "netrc", 1),
    "410": ([status(410)], "answers 410", "taken down", 1),
    "500 for ever": ([status(500)], r"answers 500 .*given up after 4 tries", "run the same", 4),
    "429 for an hour": ([status(429, Retry_After="3600")], "asks to wait 3600 s", "later", 1),
    "reset for ever": ([cut(0, how="reset")], "no whole answer", "bundle", 4),
    "stall for ever": ([cut(0, how="stall")], "stalled: not a byte for 0.3 s", "run the same", 4),
    "cut at the same byte, no ranges": (
        [cut(HALF, how="close", ranges=False)],
        "given up after 4 tries",
        "",
        4,
    ),
    "a login page for ever": ([page(b"<html>log in</html>")], "damaged twice: .* no", "proxy", 2),
    "too many redirects": ([status(302, Location="/again")], "cannot be fetched", "", 31),
    "empty": ([page(b"")], "damaged twice", "", 2),
}


@pytest.mark.parametrize("case", CLEAR_ERRORS)
def test_a_clear_error(case, data, tmp_path):
    script, message, hint, requests = CLEAR_ERRORS[case]
    with serve(data, *script) as server:
        with pytest.raises(MambaopsError, match=message) as caught:
            go(server, tmp_path)
        assert len(server.requests) == requests
    assert hint in caught.value.hint
    assert not (tmp_path / "out/tiny-1.0-py3-none-any.whl").exists()


def test_it_asks_only_for_the_rest_and_only_of_the_same_file(data, tmp_path):
    with serve(data, cut(HALF, how="close"), whole()) as server:
        fetched = go(server, tmp_path)
        (_, first), (_, second) = server.requests
    assert_whole(fetched, data)
    assert "Range" not in first
    assert second["Range"] == f"bytes={HALF}-"
    assert second["If-Range"] == etag_of(data)


def test_a_file_that_changes_in_the_middle_is_begun_again(data, other, tmp_path):
    with serve(data, cut(HALF, how="close"), become(other, whole())) as server:
        assert_whole(go(server, tmp_path), other)


@pytest.mark.parametrize("etag", [None, '"ever the same"'])
def test_halves_of_two_files_are_not_taken_for_one(etag, data, other, tmp_path):
    """A server that gives no validator, or a false one: RECORD tells, and the file is fetched again."""
    heard = Heard()
    second = become(other, whole(etag=etag))
    with serve(data, cut(HALF, how="close", etag=etag), second) as server:
        assert_whole(go(server, tmp_path, progress=heard), other)
    assert any("what arrived is damaged" in line for line in heard.lines)


def test_a_half_file_of_458_of_509_is_gone_on_with(data, tmp_path):
    """Note E: 458 of 509 MB had come when the line broke; here in proportion."""
    held = len(data) * 458 // 509
    with serve(data, cut(held, how="close"), status(404)) as server, pytest.raises(MambaopsError):
        go(server, tmp_path)
    assert left_over(tmp_path / "out") == [
        "tiny-1.0-py3-none-any.whl.part",
        "tiny-1.0-py3-none-any.whl.part.json",
    ]
    kept = (tmp_path / "out/tiny-1.0-py3-none-any.whl.part").stat().st_size
    with serve(data, whole()) as again:
        again.server_port = server.server_port
        # the same address in a later run: the state on disk knows it
        state = tmp_path / "out/tiny-1.0-py3-none-any.whl.part.json"
        state.write_text(state.read_text().replace(server.url(), again.url()))
        fetched = go(again, tmp_path)
        assert again.ranges() == [f"bytes={kept}-"]
    assert kept == held
    assert fetched.resumed
    assert_whole(fetched, data)


def test_the_half_of_another_address_is_not_used(data, other, tmp_path):
    with serve(data, cut(HALF, how="close"), status(404)) as server, pytest.raises(MambaopsError):
        go(server, tmp_path)
    with serve(other, whole()) as server:
        assert_whole(go(server, tmp_path), other)
        assert server.ranges() == [None]


def test_a_file_that_changed_since_the_first_fetch_is_refused(data, other, tmp_path):
    with serve(data, whole(), become(other, whole())) as server:
        first = go(server, tmp_path)
        first.path.unlink()
        with pytest.raises(MambaopsError, match="has changed") as caught:
            go(server, tmp_path)
        new = hashlib.sha256(other).hexdigest()
        assert first.sha256 in caught.value.message
        assert f"--sha256 {new}" in caught.value.hint
        assert not first.path.exists()
        assert left_over(tmp_path / "out") == []
        assert_whole(go(server, tmp_path, sha256=new), other)
        # what was accepted is what is remembered
        (tmp_path / "out/tiny-1.0-py3-none-any.whl").unlink()
        assert_whole(go(server, tmp_path), other)


def test_another_hash_than_the_pinned_one_is_refused(data, tmp_path):
    with serve(data) as server:
        with pytest.raises(MambaopsError, match="was wanted"):
            go(server, tmp_path, sha256="0" * 64)
        assert len(server.requests) == 1
        assert_whole(go(server, tmp_path, sha256=hashlib.sha256(data).hexdigest()), data)


def test_what_is_there_and_whole_is_not_fetched_again(data, tmp_path):
    with serve(data) as server:
        go(server, tmp_path)
        again = go(server, tmp_path)
        assert again.from_cache
        assert len(server.requests) == 1
        again.path.write_bytes(data[:1000])
        heard = Heard()
        assert_whole(go(server, tmp_path, progress=heard), data)
        assert "fetched again" in heard.lines[0]


def test_two_processes_at_once_fetch_it_once(data, tmp_path):
    code = (
        "import sys; from pathlib import Path; from mambaops.download.fetch import fetch;"
        "print(fetch(sys.argv[1], Path(sys.argv[2])).from_cache)"
    )
    with serve(data) as server:
        argv = [sys.executable, "-c", code, server.url(), str(tmp_path / "out")]
        both = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        answers = [process.communicate(timeout=60)[0].strip() for process in both]
        assert sorted(answers) == ["False", "True"]
        assert len(server.requests) == 1


def test_killed_in_the_middle_and_run_again_it_goes_on(data, tmp_path):
    code = (
        "import sys; from pathlib import Path; from mambaops.download.fetch import fetch;"
        "print(fetch(sys.argv[1], Path(sys.argv[2])).resumed)"
    )
    with serve(data, cut(HALF, how="stall"), whole()) as server:
        argv = [sys.executable, "-c", code, server.url(), str(tmp_path / "out")]
        process = subprocess.Popen(argv)
        part = tmp_path / "out/tiny-1.0-py3-none-any.whl.part"
        wait_for(lambda: part.exists() and part.stat().st_size > 100_000)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = part.stat().st_size
        again = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
        assert again.stdout.strip() == "True"
        assert server.ranges() == [None, f"bytes={kept}-"]
    assert (tmp_path / "out/tiny-1.0-py3-none-any.whl").read_bytes() == data


def wait_for(condition, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_nobody_there_says_what_to_do_without_a_network(tmp_path):
    with serve(b"") as server:
        url = server.url()
    with pytest.raises(MambaopsError, match="Connection refused") as caught:
        fetch(url, tmp_path, patience=QUICK)
    assert "mambaops bundle" in caught.value.hint
    assert "install-wheel" in caught.value.hint


def test_a_name_that_does_not_resolve(tmp_path):
    with pytest.raises(MambaopsError, match=r"resol|name|Name") as caught:
        fetch("http://no-such-host.invalid/a-1-py3-none-any.whl", tmp_path, patience=QUICK)
    assert "without a network" in caught.value.hint


def test_the_proxy_of_the_environment_is_used(data, tmp_path, monkeypatch):
    """The server plays the proxy: it is asked for the whole address of a host that is not there."""
    with serve(data) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url("").rstrip("/"))
        url = "http://wheels.invalid/tiny-1.0-py3-none-any.whl"
        assert_whole(fetch(url, tmp_path / "out", patience=QUICK), data)
        assert proxy.requests[0][0] == url


def test_a_dead_proxy_is_named(tmp_path, monkeypatch):
    with serve(b"") as proxy:
        address = proxy.url("").rstrip("/")
    monkeypatch.setenv("http_proxy", address)
    with pytest.raises(MambaopsError, match="proxy") as caught:
        fetch("http://wheels.invalid/a-1-py3-none-any.whl", tmp_path, patience=QUICK)
    assert "HTTPS_PROXY" in caught.value.hint


def test_a_proxy_that_wants_a_login_says_how_to_give_one(tmp_path, monkeypatch):
    """Through a tunnel its status comes in words only; the address of the proxy is no part of them."""
    with serve(b"", status(407)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url(""))
        with pytest.raises(MambaopsError, match="refuses") as caught:
            fetch("https://there.test/a-1.0-py3-none-any.whl", tmp_path, patience=QUICK)
    assert "USER:PASSWORD" in caught.value.hint
    assert len(proxy.requests) == 1


def test_a_socks_proxy_needs_one_more_package(tmp_path, monkeypatch):
    if importlib.util.find_spec("socks"):
        pytest.skip("it is installed here")
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
    with pytest.raises(MambaopsError) as caught:
        fetch("https://there.test/a-1.0-py3-none-any.whl", tmp_path, patience=QUICK)
    assert "pip install requests[socks]" in caught.value.hint


@pytest.mark.parametrize("as_url", [True, False])
def test_files_and_paths(as_url, data, tmp_path):
    source = tmp_path / "carried/tiny-1.0+a.b-py3-none-any.whl"
    source.parent.mkdir()
    source.write_bytes(data)
    fetched = fetch(source.as_uri() if as_url else str(source), tmp_path / "out", patience=QUICK)
    assert fetched.path.name == source.name
    assert_whole(fetched, data)
    source.write_bytes(data[:HALF])
    with pytest.raises(MambaopsError, match="damaged twice"):
        fetch(str(source), tmp_path / "out2", patience=QUICK)
    with pytest.raises(MambaopsError, match="cannot be read"):
        fetch(str(tmp_path / "not-there.whl"), tmp_path / "out", patience=QUICK)


def test_names_come_whole_out_of_addresses():
    plus = (
        "https://x.test/v1/mamba_ssm-2.2.4%2Bcu12torch2.2cxx11abiTRUE-cp310-cp310-linux_x86_64.whl"
    )
    name = "mamba_ssm-2.2.4+cu12torch2.2cxx11abiTRUE-cp310-cp310-linux_x86_64.whl"
    assert file_name(plus) == name
    assert file_name(plus.replace("%2B", "+") + "?token=1#sha") == name
    for bad in ("https://x.test/", "https://x.test/a%2F..%2Fb/", "https://x.test/%2e%2e"):
        with pytest.raises(UsageError):
            file_name(bad)


@pytest.mark.parametrize("url", ["ftp://x.test/a.whl", "s3://bucket/a.whl"])
def test_other_schemes_are_refused(url, tmp_path):
    with pytest.raises(UsageError, match="scheme"):
        fetch(url, tmp_path)


def test_a_hash_that_is_none(tmp_path):
    with pytest.raises(UsageError, match="no sha256"):
        fetch("https://x.test/a.whl", tmp_path, sha256="abc")


def test_a_full_disk_is_said_before_it_is_full(data, tmp_path, monkeypatch):
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    error = pytest.raises(MambaopsError, match="bytes free")
    with serve(data, whole(length=free * 2)) as server, error as caught:
        go(server, tmp_path)
    assert "-o DIR" in caught.value.hint


def test_a_damaged_memory_is_named(tmp_path):
    memory = Memory(tmp_path / "fetched.json")
    memory.path.write_text("{")
    with pytest.raises(MambaopsError, match=r"fetched\.json"):
        fetch("https://x.test/a.whl", tmp_path, memory=memory, patience=QUICK)


def test_passwords_are_never_shown_or_kept(data, tmp_path):
    with serve(data, cut(HALF, how="close"), status(404)) as server:
        url = server.url().replace("http://", "http://me:secret@")
        with pytest.raises(MambaopsError) as caught:
            fetch(url, tmp_path / "out", patience=QUICK)
    assert "secret" not in caught.value.message + caught.value.hint
    for path in (tmp_path / "out").iterdir():
        assert b"secret" not in path.read_bytes()
    assert masked(url).startswith("http://***@127.0.0.1:")


def test_retry_after_is_a_number_or_a_date():
    assert retry_after("7") == 7.0
    assert retry_after(None) is None
    assert retry_after("soon") is None
    assert retry_after(formatdate(time.time() + 60, usegmt=True)) == pytest.approx(60, abs=2)
    assert retry_after(formatdate(time.time() - 60, usegmt=True)) == 0.0


def test_the_rate_is_that_of_the_last_seconds():
    meter = Meter()
    assert meter.rate(0.0) is None
    for second in range(100):
        meter.add(1_000_000 if second < 50 else 10_000_000, float(second))
    assert meter.rate(99.0) == pytest.approx(10e6)
    assert progress_line("a.whl", 120_000_000, 509_000_000, 10e6) == (
        "a.whl: 120.0 of 509.0 MB (23 %), 10.0 MB/s, 39 s left"
    )
    assert progress_line("a.whl", 1_000_000, None, None) == "a.whl: 1.0 MB"
