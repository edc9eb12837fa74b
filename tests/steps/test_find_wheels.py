"""Which prebuilt wheel is taken: the first that is really there; what was tried is said and remembered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from acts import case_on, context_of, said
from compiled_profiles import compiled
from loopback import Handler, Server, page, serve, status, whole
from recorded import varied
from small_wheels import wheel_members, write_zip

from mambaops.decide.case import Case, make_case
from mambaops.decide.situation import Flags, Situation
from mambaops.knowledge.packages import package
from mambaops.profiles.model import PackageSpec
from mambaops.state.evidence import read_notes
from mambaops.state.observe import search_key
from mambaops.steps import find_wheels
from mambaops.steps.find_wheels import STEP
from mambaops.wheels.candidates import Candidate
from mambaops.wheels.select.verdicts import Verdict


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every host but this machine is out of reach at once."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def wheel(tmp_path: Path) -> bytes:
    members = wheel_members("tiny", "1.0", {"tiny.py": b""}, [])
    return write_zip(tmp_path / "made.whl", members).read_bytes()


def verdict(url: str, **more: Any) -> Verdict:
    name = url.rsplit("/", 1)[-1]
    candidate = Candidate(name=name, package="tiny", version="1.0", source="astral", url=url)
    return Verdict(
        name=name,
        source="astral",
        accepted=True,
        reason="fits",
        url=url,
        candidate=candidate,
        **more,
    )


def named(server: Server, build: int) -> Verdict:
    return verdict(server.url(f"tiny-1.0-{build}-py3-none-any.whl"))


def fetch(*accepted: Verdict) -> tuple[Any, Path]:
    context = context_of(case_on("hopper"))
    return find_wheels._fetch_first(context, "tiny", list(accepted)), context.where.root / "wheels"


def test_the_first_that_is_there_is_taken(wheel: bytes) -> None:
    with serve(wheel, status(404), whole()) as server:
        found, folder = fetch(*(named(server, build) for build in (1, 2, 3)))
        asked = [path for path, _ in server.requests]
    name = "tiny-1.0-2-py3-none-any.whl"
    assert (found.name, found.reason) == (name, "fits")
    assert found.url.endswith(f"/{name}")
    assert found.path == str(folder / name)
    assert (folder / name).read_bytes() == wheel
    assert asked == ["/tiny-1.0-1-py3-none-any.whl", *[f"/{name}"] * (len(asked) - 1)]
    assert said == [
        "tiny: tiny-1.0-1-py3-none-any.whl: it was planned and is not there (404)",
        f"tiny: {name} (fits)",
    ]


def test_a_host_that_does_not_answer_is_asked_once(wheel: bytes) -> None:
    with serve(b"") as gone:
        pass
    with serve(wheel) as server:
        found, _ = fetch(named(gone, 1), named(gone, 2), named(server, 3))
    assert found.name == "tiny-1.0-3-py3-none-any.whl"
    assert [line.split(": ")[1] for line in said[:-1]] == ["tiny-1.0-1-py3-none-any.whl"]


def test_none_of_them_is_there() -> None:
    with serve(b"", status(404)) as server:
        found, _ = fetch(named(server, 1), named(server, 2))
    assert (found.name, found.url, found.path) == ("", "", "")
    assert found.reason == (
        "none of those that fit could be fetched and used: tiny-1.0-1-py3-none-any.whl: "
        "it was planned and is not there (404)"
    )
    assert len(said) == 2


def test_a_file_at_hand_needs_no_host(wheel: bytes, tmp_path: Path) -> None:
    file = tmp_path / "tiny-1.0-py3-none-any.whl"
    file.write_bytes(wheel)
    found, _ = fetch(verdict(str(file)))
    assert (found.name, found.url) == (file.name, str(file))
    assert Path(found.path).read_bytes() == wheel


def test_after_a_wheel_that_cannot_be_repaired_the_next_is_tried(
    wheel: bytes, tmp_path: Path
) -> None:
    first, second = (tmp_path / f"tiny-1.0-{build}-py3-none-any.whl" for build in (1, 2))
    first.write_bytes(wheel)
    second.write_bytes(wheel)
    found, _ = fetch(verdict(str(first), repair="2.14"), verdict(str(second)))
    assert found.name == second.name
    assert "nothing above GLIBC_2.14" in said[0]
    assert said[1:] == [f"tiny: {second.name} (fits)"]


def test_the_only_wheel_cannot_be_repaired(wheel: bytes, tmp_path: Path) -> None:
    file = tmp_path / "tiny-1.0-py3-none-any.whl"
    file.write_bytes(wheel)
    found, _ = fetch(verdict(str(file), repair="2.14"))
    assert (found.name, found.path) == ("", "")
    assert "nothing above GLIBC_2.14" in found.reason


# torch for CUDA 11.8: no index is read for it
TORCH = {"version": "2.7.1+cu118", "cuda": "11.8", "path": "/x/torch", "cxx11_abi": True}
RELEASES = {"causal-conv1d": "1.7.0", "mamba-ssm": "2.3.2.post1"}


def case_with(places: list[str], like: Mapping[str, Any] | None = None, **more: Any) -> Case:
    """A case that looks for wheels in `places`, for a torch that is installed."""
    profile = msgspec.structs.replace(compiled("local"), find_links=places)
    facts = varied("ubuntu22-cu118", {})
    target = varied("ubuntu22-cu118", {"torch": TORCH, **(like or {})})
    return make_case(profile, Situation(facts=facts, target=target, **more), Flags())


def put(folder: Path, package: str, version: str, torch: str = "2.7") -> str:
    """A wheel for that torch; its file's name."""
    plain = package.replace("-", "_")
    version += f"+cu118torch{torch}cxx11abiTRUE"
    tag = "cp310-cp310-linux_x86_64"
    members = wheel_members(plain, version, {f"{plain}/__init__.py": b""}, [], tag)
    return write_zip(folder / f"{plain}-{version}-{tag}.whl", members).name


def act(case: Case) -> dict[str, Any]:
    """The step's act; what is remembered afterwards."""
    assert STEP.act is not None
    context = context_of(case)
    STEP.act(context, case)
    return dict(read_notes(context.where.notes)["prebuilt"])


def test_the_wanted_release_is_taken_for_this_machines_gpu(tmp_path: Path) -> None:
    """What the environment said of another machine's GPU and driver does not count, nor an older partner."""
    folder = tmp_path / "offered"
    names = [put(folder, name, release) for name, release in RELEASES.items()]
    put(folder, "mamba-ssm", "9.9")
    elsewhere = {
        "gpus": [{"index": 0, "name": "another", "compute_capability": "12.0"}],
        "driver": {"version": "450.80.02", "cuda": "11.0"},
        "packages": {"causal-conv1d": {"name": "causal-conv1d", "version": "1.2.0", "path": "/x"}},
    }
    case = case_with([str(folder)], like=elsewhere)
    kept = act(case)
    assert kept["for"] == search_key(case)
    assert isinstance(kept["when"], float)
    assert {name: one["name"] for name, one in kept["found"].items()} == dict(zip(RELEASES, names))
    assert all(Path(one["path"]).is_file() for one in kept["found"].values())


def test_what_the_store_has_is_not_looked_for(tmp_path: Path) -> None:
    name = put(tmp_path / "offered", "causal-conv1d", "1.7.0")
    case = case_with([str(tmp_path / "offered")], wheels={"mamba-ssm": "/s/m.whl"})
    found = act(case)["found"]
    assert {package: one["name"] for package, one in found.items()} == {"causal-conv1d": name}


def test_one_that_fits_beside_none_is_not_taken(tmp_path: Path) -> None:
    folder = tmp_path / "offered"
    put(folder, "mamba-ssm", RELEASES["mamba-ssm"])
    put(folder, "causal-conv1d", RELEASES["causal-conv1d"], torch="2.8")
    found = act(case_with([str(folder)]))["found"]
    promised = "none of those that fit could be fetched and used: causal_conv1d-1.7.0+cu11torch2.7"
    assert found["causal-conv1d"]["reason"].startswith(promised)
    assert found["mamba-ssm"]["reason"] == "the other package has none"
    assert said[-1].endswith("has a prebuilt wheel: both are compiled")


def test_a_release_that_does_as_well_is_taken_where_the_profiles_has_no_wheel(
    tmp_path: Path,
) -> None:
    """Of the same generation: older ones, which the profile does not mean, are left alone."""
    folder = tmp_path / "offered"
    for release in ("1.5.0.post8", "1.6.1", "1.6.0"):
        put(folder, "causal-conv1d", release)
    mamba = put(folder, "mamba-ssm", RELEASES["mamba-ssm"])
    found = act(case_with([str(folder)]))["found"]
    assert found["causal-conv1d"]["name"].startswith("causal_conv1d-1.6.1+cu118torch2.7")
    assert found["mamba-ssm"]["name"] == mamba
    assert any(line.startswith("causal-conv1d 1.7.0: none of those that fit") for line in said)


def test_after_four_that_are_not_there_no_more_are_asked_for() -> None:
    start = f"mamba_ssm-{RELEASES['mamba-ssm']}+cu118torch2.7cxx11abiTRUE-cp310-cp310"
    names = [f"{start}-{one}.whl" for one in (
        "linux_x86_64", "manylinux_2_17_x86_64", "manylinux_2_24_x86_64", "manylinux_2_27_x86_64",
        "manylinux_2_28_x86_64", "manylinux_2_31_x86_64",
    )]  # fmt: skip
    text = "".join(f'<a href="/{one}">{one}</a>' for one in names)

    def answer(handler: Handler) -> None:
        (page(text.encode()) if handler.path == "/list.html" else status(404))(handler)

    with serve(b"", answer) as server:
        found = act(case_with([server.url("list.html")]))["found"]
        asked = [path for path, _ in server.requests if path.endswith(".whl")]
    # the first of the four is upstream's own file, whose host cannot be reached here
    assert len(set(asked)) == 3
    assert len(asked) == 3
    assert found["mamba-ssm"]["reason"].startswith(
        "none of those that fit could be fetched and used: "
    )


def test_nobody_publishes_it() -> None:
    profile = compiled("local")
    scan = PackageSpec.by_default(package("selective-scan"))
    facts = varied("ubuntu22-cu118", {"torch": TORCH})
    profile = msgspec.structs.replace(profile, packages={"selective-scan": scan})
    found = act(make_case(profile, Situation(facts=facts, target=facts), Flags()))["found"]
    assert found["selective-scan"]["reason"] == "nobody publishes wheels of it"
    assert said == []


def test_wheels_are_looked_for_once_torch_is_there() -> None:
    assert (STEP.id, STEP.stands_on) == ("find-wheels", ("install-torch",))


def test_wheels_are_looked_for_only_where_kernels_are_wanted() -> None:
    assert STEP.wanted(case_on("hopper"))
    assert not STEP.wanted(case_on("no-gpu"))
