"""`doctor --network`: what is asked, and what an answer means; the addresses are on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import serve, status
from recorded import varied

from mambaops.diagnose.match import match
from mambaops.doctor import network
from mambaops.doctor.network import Place
from mambaops.knowledge import addresses, mirrors, packages


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def urls(facts: dict[str, Any], machine: str = "base") -> dict[str, str]:
    return {place.need: place.url for place in network.places(varied(machine, facts))}


def test_what_is_asked_is_of_torchs_cuda() -> None:
    torch = {"version": "2.3.0+cu118", "path": "/t", "cuda": "11.8"}
    assert urls({"torch": torch})["PyTorch's wheels"].endswith("/cu118/")


def test_without_a_torch_it_is_of_the_drivers_cuda() -> None:
    assert urls({})["PyTorch's wheels"].endswith("/cu128/")
    assert urls({})["Astral's GPU wheels"].endswith("/cu128/")
    assert urls({})["models"] == addresses.addresses().huggingface.endpoint


def test_a_mirror_of_the_hub_is_asked_instead() -> None:
    assert urls({"env": {"HF_ENDPOINT": "https://hub.example"}})["models"] == "https://hub.example"


def test_without_any_cuda_nothing_of_it_is_asked() -> None:
    found = urls({}, "no-gpu")
    assert set(found) == {"PyTorch's wheels", "prebuilt wheels and sources", "models"}


@pytest.mark.parametrize(
    ("code", "state"),
    [(200, "ok"), (399, "ok"), (400, "warning"), (403, "ok"), (405, "ok"), (404, "warning")],
)
def test_what_an_answer_means(code: int, state: str) -> None:
    with serve(b"", status(code)) as server:
        check = network._page(Place("models", server.url(""), "elsewhere"))
    assert (check.id, check.state) == ("address", state)
    assert "127.0.0.1 (models) answers" in check.what
    assert (f"with {code}" in check.what, check.remedy, bool(check.cause)) == (
        (False, "", False) if state == "ok" else (True, "elsewhere", True)
    )


def test_the_page_to_which_an_address_leads_is_what_counts() -> None:
    with serve(b"", status(302, Location="/there"), status(404)) as server:
        assert "with 404" in network._page(Place("models", server.url("x"), "elsewhere")).what


def test_no_answer() -> None:
    check = network._page(Place("models", "http://127.0.0.1:9/", "elsewhere"))
    assert (check.id, check.state, check.remedy) == ("address-unreachable", "warning", "elsewhere")
    assert check.cause.startswith("ConnectionError: HTTPConnectionPool")


def stand_in(folder: Path, text: str) -> Path:
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


def test_pips_index_answers(tmp_path: Path) -> None:
    python = stand_in(tmp_path, f'echo "$@" > {tmp_path}/asked')
    check = network._index(python)
    assert (check.id, check.state) == ("pip-index", "ok")
    # not for ever, and once more, without which pip does not say why
    asked = "-m pip index versions pip --timeout 6 --retries 1\n"
    assert (tmp_path / "asked").read_text() == asked


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("echo ERROR: something >&2; exit 1", "ERROR: something"),
        ("exit 1", "pip said nothing"),
        ("echo one; echo two; exit 1", "two"),
    ],
)
def test_pips_index_does_not_answer(tmp_path: Path, said: str, cause: str) -> None:
    check = network._index(stand_in(tmp_path, said))
    assert (check.id, check.state, check.cause) == ("pip-index-unreachable", "failed", cause)
    assert check.remedy.startswith("`pip config list")


def test_a_known_failure_of_pip_is_named(tmp_path: Path) -> None:
    line = "nvcc fatal   : Unsupported gpu architecture 'compute_53'"
    check = network._index(stand_in(tmp_path, f'echo "{line}" >&2; exit 1'))
    assert check.cause == match(line)[0].cause


@pytest.fixture
def mirrored() -> Iterator[Callable[[str], None]]:
    """Every address of the tables on this machine."""

    def use(place: str) -> None:
        mirrors.use({"https://": place} if place else {})
        addresses.addresses.cache_clear()
        packages.packages.cache_clear()
        packages._read_once.cache_clear()

    yield use
    use("")


def test_everything_is_asked_and_nothing_needs_to_answer(
    tmp_path: Path, mirrored: Callable[[str], None]
) -> None:
    python = stand_in(tmp_path, "exit 0")
    with serve(b"", status(200)) as server:
        mirrored(server.url(""))
        checks = network.ask(varied("base", {}), python)
        paths = {path for path, _ in server.requests}
    assert [check.id for check in checks] == ["resolver", "pip-index", *["address"] * 4]
    assert {check.state for check in checks[1:]} == {"ok"}
    assert len(paths) == 4
    (resolver,) = checks[:1]
    assert resolver.state == "ok"
    assert (resolver.cause, resolver.remedy) == ("", "")
    assert {check.area for check in checks} == {network.AREA}


def test_a_name_that_nobody_knows_is_the_resolvers_trouble() -> None:
    (check,) = network._names(["no-such-host.invalid"])
    assert (check.id, check.state) == ("resolver", "failed")
    assert check.what.startswith("resolver ")
    assert check.cause and check.remedy


def test_a_long_error_is_shortened_in_the_middle() -> None:
    assert network._short(ValueError("short")) == "short"
    assert network._short(ValueError("a" * 159)) == "a" * 159
    assert " … " in network._short(ValueError("a" * 160))
    shown = network._short(ValueError("a" * 100 + "b" * 100))
    assert shown.startswith("a" * 80 + " … ") and shown.endswith("b" * 70)
