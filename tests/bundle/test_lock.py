"""Which files another machine needs, by uv and its lock file."""

from __future__ import annotations

import pytest
from bundles import spec
from small_wheels import wheel_members, write_zip

from mambaops.bundle.collect import collect
from mambaops.bundle.lock import python_platform, read_lock, resolve
from mambaops.core.errors import MachineError, MambaopsError

pytestmark = pytest.mark.usefixtures("offline", "our_python_is_on_path")


def test_it_resolves_for_the_other_machines_python_and_glibc(published, tmp_path):
    for number, tag in enumerate(
        ("cp39-cp39-manylinux_2_35_x86_64", "cp39-cp39-manylinux_2_17_x86_64", "cp39-abi3-linux_x86_64",
         "cp312-cp312-manylinux_2_17_x86_64", "cp39-cp39-manylinux_2_17_aarch64")
    ):  # fmt: skip
        members = wheel_members("compiled", "1.0", {"compiled.py": b"%d" % number}, [], tag=tag)
        published.publish(write_zip(tmp_path / f"compiled-1.0-{tag}.whl", members))
    other = spec(
        python="3.9", machine="x86_64", glibc="2.31", requirements=["top", "compiled", "pip"]
    )
    work = tmp_path / "work"
    work.mkdir()
    names = {file.name for file in resolve(other, work)}
    assert "compiled-1.0-cp39-cp39-manylinux_2_17_x86_64.whl" in names
    assert "old_only-1.0-py3-none-any.whl" in names
    arm = spec(python="3.9", machine="aarch64", glibc="2.31", requirements=["compiled", "pip"])
    (tmp_path / "arm").mkdir()
    assert "compiled-1.0-cp39-cp39-manylinux_2_17_aarch64.whl" in {
        file.name for file in resolve(arm, tmp_path / "arm")
    }


def test_a_package_without_a_wheel_for_that_machine(published, tmp_path):
    tag = "cp39-cp39-manylinux_2_39_x86_64"
    members = wheel_members("compiled", "1.0", {"compiled.py": b""}, [], tag=tag)
    published.publish(write_zip(tmp_path / f"compiled-1.0-{tag}.whl", members))
    other = spec(python="3.9", machine="x86_64", glibc="2.31", requirements=["compiled", "pip"])
    with pytest.raises(
        MachineError, match=r"(?s)Python 3\.9 on x86_64-manylinux_2_31.*compiled"
    ) as caught:
        collect(other, tmp_path / "o.tar")
    assert "constraints" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "told"),
    [("half [", "no lock file"), ('lock-version = "9.0"', "no lock file"), ("", "no lock file")],
)
def test_a_lock_file_that_is_none(text, told):
    with pytest.raises(MambaopsError, match=told):
        read_lock(text, spec())


def test_of_several_wheels_the_best_that_fits_is_taken():
    """Not the first, not the one that asks for more glibc than there is; names are decoded."""
    names = ("x-1.0%2Bcu-py3-none-any.whl", "x-1.0%2Bcu-cp39-abi3-manylinux_2_17_x86_64.whl",
             "x-1.0%2Bcu-cp39-cp39-manylinux_2_35_x86_64.whl")  # fmt: skip
    wheels = "".join(
        f'{{ url = "https://x.test/{one}", hashes = {{ sha256 = "0" }} }}, ' for one in names
    )
    text = f'lock-version = "1.0"\ncreated-by = "t"\n[[packages]]\nname = "x"\nversion = "1.0+cu"\nwheels = [{wheels}]\n'
    (file,) = read_lock(text, spec(python="3.9", machine="x86_64", glibc="2.31"))
    assert file.name == "x-1.0+cu-cp39-abi3-manylinux_2_17_x86_64.whl"
    assert (file.package, file.version, file.kind, file.sha256) == ("x", "1.0+cu", "wheel", "0")


@pytest.mark.parametrize(
    ("machine", "glibc", "name"),
    [
        ("x86_64", "2.17", "x86_64-manylinux_2_17"),
        ("x86_64", "2.27", "x86_64-manylinux_2_17"),
        ("x86_64", "2.28", "x86_64-manylinux_2_28"),
        ("aarch64", "2.36", "aarch64-manylinux_2_36"),
        ("x86_64", "2.99", "x86_64-manylinux_2_40"),
    ],
)
def test_the_platform_is_the_highest_that_the_machine_reaches(machine, glibc, name):
    assert python_platform(spec(machine=machine, glibc=glibc)) == name


@pytest.mark.parametrize(
    ("machine", "glibc"), [("x86_64", "2.12"), ("x86_64", ""), ("riscv64", "2.39")]
)
def test_a_machine_that_no_bundle_can_be_made_for(machine, glibc):
    with pytest.raises(MachineError, match="no bundle can be made"):
        python_platform(spec(machine=machine, glibc=glibc))
