"""`mambaops wheels` from its words to its answer."""

from __future__ import annotations

import json
import time
import zipfile
from pathlib import Path

import msgspec
import pytest

from mambaops.core.errors import MambaopsError, UsageError
from mambaops.runtime.identity import asked_of
from mambaops.runtime.wheel import write_wheel
from mambaops.store.commands import Request, key_of, parse_age, run, text
from mambaops.store.entries import Entry, sidecar_of, stored
from mambaops.store.store import Store
from mambaops.wheels.inspect.contents import WheelContents, describe
from mambaops.wheels.inspect.extension import Extension
from mambaops.wheels.inspect.fatbin import Entry as Code
from mambaops.wheels.inspect.fatbin import Fatbin
from mambaops.wheels.inspect.pack import ASKED
from mambaops.wheels.keys import BuildKey
from mambaops.wheels.metadata import Metadata
from mambaops.wheels.names import parse_wheel_name

UPSTREAM = "mamba_ssm-2.2.4+cu12torch2.2cxx11abiTRUE-py3-none-any.whl"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def add(store: Store, make_wheel, name: str = UPSTREAM, **more: object):
    version = name.split("-")[1].split("+")[0]
    file = make_wheel("mamba_ssm", version, filename=name, **more)
    return run(store, Request(action="add", file=str(file)))


def test_an_added_wheel_is_listed_with_its_key(store, make_wheel):
    answer = add(store, make_wheel)
    assert (answer.action, answer.path) == ("add", str(store.path / UPSTREAM))
    assert text(answer) == answer.path
    listed = run(store, Request(action="list"))
    assert (listed.action, listed.dry_run, listed.is_empty) == ("list", False, False)
    (entry,) = listed.wheels
    assert answer.wheels == [entry]
    assert entry.key == BuildKey.of(
        package="mamba-ssm",
        version="2.2.4",
        torch="2.2",
        cuda="12",
        cxx11_abi=None,
        python="py3",
        platform="any",
        source=entry.key.source,
        flags=["added by hand"],
    )
    assert entry.manifest == {"from": UPSTREAM}
    assert stored(store.path / UPSTREAM) == msgspec.structs.replace(entry, used=None)


def test_the_answers_name_only_the_wheel_that_was_added(store, make_wheel):
    add(store, make_wheel)
    later = UPSTREAM.replace("2.2.4", "2.2.5")
    assert [entry.wheel for entry in add(store, make_wheel, later).wheels] == [later]


def test_the_version_of_the_name_is_put_inside(store, make_wheel):
    """pip refuses a file whose METADATA says another version than its name."""
    with zipfile.ZipFile(add(store, make_wheel).path) as archive:
        info = "mamba_ssm-2.2.4+cu12torch2.2cxx11abiTRUE.dist-info"
        assert b"Version: 2.2.4+cu12torch2.2cxx11abiTRUE\n" in archive.read(f"{info}/METADATA")
        evidence = json.loads(archive.read(f"{info}/mambaops-repair.json"))
    assert evidence["from"] == UPSTREAM


@pytest.mark.parametrize("local", ["", "+lab.7"])
def test_a_wheel_that_says_the_same_inside_is_kept_as_it_is(store, make_wheel, local):
    file = make_wheel("mamba_ssm", f"2.2.4{local}")
    answer = run(store, Request(action="add", file=str(file)))
    assert Path(answer.path).read_bytes() == file.read_bytes()


def test_the_path_is_made_and_printed_alone(store):
    answer = run(store, Request(action="path"))
    assert store.path.is_dir()
    assert text(answer) == str(store.path)


def test_pruning_takes_what_it_says(store, make_wheel):
    added = Path(add(store, make_wheel).path)
    dry = run(store, Request(action="prune", keep=0, dry_run=True))
    assert added.exists()
    assert (dry.dry_run, [entry.wheel for entry in dry.wheels]) == (True, [UPSTREAM])
    assert text(dry).endswith(f"would go from {store.path}")
    assert run(store, Request(action="prune", older_than="1d")).wheels == []
    done = run(store, Request(action="prune", keep=0))
    assert not added.exists()
    assert not sidecar_of(added).exists()
    assert text(done).endswith(f"removed from {store.path}")


@pytest.mark.parametrize(
    ("request_", "hint"),
    [
        (Request(action="remove"), "list, add, prune, path"),
        (Request(action="prune"), "--older-than 90d"),
        (Request(action="add"), "wheels add --file *.whl"),
        (Request(action="prune", older_than="soon"), "90d, 12h"),
    ],
)
def test_words_that_make_no_sense_are_answered_with_those_that_do(store, request_, hint):
    with pytest.raises(UsageError) as caught:
        run(store, request_)
    assert hint in caught.value.hint


def test_the_list_counts_and_sums():
    def entry(name: str, **more: object) -> Entry:
        return Entry(wheel=name, sha256="", size=1_500_000, added=0.0, **more)

    key = BuildKey.of(
        package="one",
        version="1",
        torch="2.8.0",
        cuda=None,
        cxx11_abi=None,
        python="cp311",
        platform="any",
        architectures=["9.0", "8.0"],
    )
    from mambaops.store.commands import Answer

    day = time.mktime((2026, 3, 4, 12, 0, 0, 0, 0, -1))
    wheels = [entry("one.whl", key=key, used=day), entry("two.whl", used=None)]
    lines = text(Answer(action="list", path="/store", wheels=wheels)).splitlines()
    assert lines[0] == "one.whl  1.5 MB  used 2026-03-04  8.0 9.0"
    assert lines[1].startswith("two.whl  1.5 MB  used 19")
    assert lines[1].endswith("  put there by hand")
    assert lines[2] == "2 wheels, 3.0 MB, in /store"
    one = text(Answer(action="list", path="/store", wheels=wheels[:1])).splitlines()
    assert one[-1] == "1 wheel, 1.5 MB, in /store"


@pytest.mark.parametrize(
    ("age", "hours"), [("90d", 90 * 24), ("2w", 14 * 24), ("12h", 12), ("30m", 0.5), (" 1h ", 1)]
)
def test_ages(age, hours):
    assert parse_age(age).total_seconds() == hours * 3600


@pytest.mark.parametrize("age", ["90", "d", "1y", "-1d", ""])
def test_ages_that_are_none(age):
    with pytest.raises(UsageError):
        parse_age(age)


# ---- the key of a wheel that others built


def contents(name: str, *, compiled: bool = True, cudart: str = "libcudart.so.12") -> WheelContents:
    code = [
        Code(kind="cubin", sm=90, suffix="", compressed=False, size=9, kernels=True),
        Code(kind="ptx", sm=120, suffix="", compressed=False, size=9, kernels=True),
    ]
    module = Extension(
        name="selective_scan_cuda.so",
        machine="x86_64",
        needed=(cudart,),
        runpath=(),
        needs=(),
        undefined=frozenset({"_ZN3c106detail14torchCheckFailEPKcS2_jRKSs"}),
        defined=frozenset(),
        fatbins=(Fatbin(0, tuple(code)),),
    )
    parsed = parse_wheel_name(name)
    metadata = Metadata(name=parsed.package, version=parsed.version)
    return describe(name, parsed, metadata, (module,) if compiled else ())


def key(name: str, tmp_path: Path, torch: str = "", **more: object) -> BuildKey:
    path = tmp_path / name
    path.write_bytes(b"wheel")
    return key_of(path, contents(name, **more), torch)


PLAIN = "mamba_ssm-2.3.1-cp311-cp311-linux_x86_64.whl"
NAMED = "mamba_ssm-2.3.1+cu122torch2.2cxx11abiFALSE-cp311-cp311-linux_x86_64.whl"


def test_the_key_holds_what_is_inside(tmp_path):
    found = key(PLAIN, tmp_path, "2.2.0+cu121")
    assert (found.package, found.version, found.torch) == ("mamba-ssm", "2.3.1", "2.2.0+cu121")
    assert (found.cuda, found.cxx11_abi) == ("12", False)
    assert (found.python, found.platform) == ("cp311", "linux_x86_64")
    assert found.architectures == ("9.0", "12.0+PTX")


def test_what_the_name_says_of_cuda_and_torch_counts_and_a_word_of_the_person_more(tmp_path):
    assert (key(NAMED, tmp_path).cuda, key(NAMED, tmp_path).torch) == ("12.2", "2.2")
    assert key(NAMED, tmp_path, "2.2.2+cu121").torch == "2.2.2+cu121"


def test_two_files_of_one_name_have_two_keys(tmp_path):
    one = key(NAMED, tmp_path)
    (tmp_path / NAMED).write_bytes(b"another")
    assert key_of(tmp_path / NAMED, contents(NAMED), "").source != one.source


def test_a_compiled_wheel_needs_a_torch(tmp_path):
    with pytest.raises(UsageError, match="does not tell the torch"):
        key(PLAIN, tmp_path)
    with pytest.raises(UsageError, match="does not tell the torch"):
        key(PLAIN, tmp_path, "the newest")
    assert key(PLAIN, tmp_path, compiled=False).torch == "0"


def test_what_is_not_what_its_name_says_is_not_added(tmp_path):
    with pytest.raises(MambaopsError, match="the name says CUDA"):
        key(NAMED, tmp_path, cudart="libcudart.so.11.0")


def test_a_pack_of_kernels_has_the_key_that_it_was_compiled_for(store, tmp_path):
    asked = asked_of({}, "12.8", ("8.0", "9.0"))
    files = {ASKED: msgspec.json.encode(asked), "mambaops_kernels/__init__.py": b""}
    wheel = write_wheel(files, tmp_path / "made", local="cu128.sm80.sm90.x1")
    (entry,) = run(store, Request(action="add", file=str(wheel))).wheels
    assert entry.key == asked.key


# ---- the entry of a wheel


def test_an_entry_speaks_only_for_its_own_unchanged_file(store, make_wheel):
    wheel = Path(add(store, make_wheel).path)
    assert stored(wheel) is not None
    other = wheel.with_name("other.whl")
    wheel.rename(other)
    sidecar_of(wheel).rename(sidecar_of(other))
    assert stored(other) is None
    sidecar_of(other).write_text("{")
    assert stored(other) is None
    assert stored(wheel) is None


@pytest.mark.parametrize("change", [b"longer", b""])
def test_a_file_that_was_changed_is_not_the_stored_one(store, make_wheel, change):
    wheel = Path(add(store, make_wheel).path)
    content = bytearray(wheel.read_bytes())
    content[10] ^= 1
    wheel.write_bytes(bytes(content) + change)
    assert stored(wheel) is None
