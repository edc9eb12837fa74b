"""The package files: each read by itself, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from mambaops.core.errors import UsageError
from mambaops.core.files import sha256_of
from mambaops.diagnose.rules import rules_of
from mambaops.knowledge.packages import (
    FOLDER,
    package,
    packages,
    pairs,
    partner,
    publishers_page,
    read_package,
    release_file,
)
from mambaops.patching.apply import apply_to_tree, revert_tree
from mambaops.patching.archs import variables
from mambaops.patching.options import PinnedDiff, SetupOptions

OWN = """
name = "my-kernels"
title = "mine"
[source]
version = "1.0"
[architectures]
route = "environment"
[modules]
imports = ["my_kernels"]
kernels = ["my_kernels/_kernels"]
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "my-kernels.toml"
    path.write_text(OWN, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", packages())
def test_what_each_file_names_can_be_used(name: str) -> None:
    found = packages()[name]
    assert read_package(FOLDER / f"{name}.toml") == found  # its texts are looked at here, once
    assert found.source.version and found.source.repository
    compile(found.check.code, name, "exec")
    assert not set(found.modules.kernels) & set(found.modules.host)
    assert not set(found.build.env) & set(found.build.drop)
    assert all(rule.id.startswith(name) for rule in rules_of(found))


def test_both_of_a_pair_name_each_other_and_one_leads() -> None:
    assert pairs() == [("mamba-ssm", "causal-conv1d")]
    assert (partner("mamba_ssm"), partner("causal-conv1d")) == ("causal-conv1d", "mamba-ssm")
    assert partner("torch-scatter") == partner("flash-attn") == ""


@pytest.mark.parametrize("spelling", ["torch-scatter", "torch_scatter", "Torch.Scatter"])
def test_a_package_is_found_by_any_spelling(spelling: str) -> None:
    assert package(spelling).name == "torch-scatter"


def test_a_misspelt_package_is_offered_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        package("torch-scater")
    assert "there is no package `torch-scater`" in caught.value.message
    assert caught.value.hint == "did you mean `torch-scatter`?"


def test_a_file_of_ones_own_is_a_package(own: Path) -> None:
    found = package(str(own))
    assert found.name == "my-kernels"
    assert variables(found.architectures, ("8.0", "9.0+PTX")) == {
        "TORCH_CUDA_ARCH_LIST": "8.0;9.0+PTX"
    }


@pytest.mark.parametrize(
    ("found", "put", "message"),
    [
        ("[source]", "[sauce]", "unknown field `sauce`"),
        ('version = "1.0"', "version = 1.0", "Expected `str`, got `float` - at `$.source.version`"),
        ('"environment"', '"guess"', "Invalid enum value 'guess' - at `$.architectures.route`"),
        ('"environment"', '"variable"', "`architectures.route` needs the `variable`"),
        ('name = "my-kernels"', 'name = "your-kernels"', "describes `your-kernels`"),
        ('kernels = ["my_kernels/_kernels"]', "kernels = []", "at `$.modules.kernels`"),
        ('version = "1.0"', 'version = "1.0"\norigin = "git"', "needs the `repository`"),
        ("[modules]", "[modules", "my-kernels.toml`: "),
    ],
)
def test_a_wrong_file_is_told_what_is_wrong(own: Path, found: str, put: str, message: str) -> None:
    own.write_text(OWN.replace(found, put), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_package(own)
    assert message in caught.value.message
    assert "docs/packages.md" in caught.value.hint


def test_a_missing_file_is_told_where_to_read() -> None:
    with pytest.raises(UsageError) as caught:
        package("./nowhere.toml")
    assert "there is no package file `nowhere.toml`" in caught.value.message


def test_a_variable_of_its_own_takes_the_architectures_in_its_form(own: Path) -> None:
    line = 'route = "variable"\nvariable = "MY_ARCHS"\nseparator = ","\nform = "sm_{major}{minor}"'
    own.write_text(OWN.replace('route = "environment"', line), encoding="utf-8")
    told = read_package(own).architectures
    assert variables(told, ("8.0", "12.0")) == {"MY_ARCHS": "sm_80,sm_120"}
    with pytest.raises(UsageError, match="MY_ARCHS cannot ask for PTX"):
        variables(told, ("9.0+PTX",))


def test_flags_that_are_rewritten_need_no_variable() -> None:
    assert variables(package("mamba-ssm").architectures, ("9.0",)) == {}


def test_addresses_of_publishers() -> None:
    name = "mamba_ssm-2.2.4+cu12torch2.2cxx11abiFALSE-cp310-cp310-linux_x86_64.whl"
    assert release_file("mamba-ssm", "2.2.4", name).endswith(f"/v2.2.4/{name}")
    page = publishers_page(package("torch-scatter"), "2.8.0+cu128", "12.8")
    assert page.endswith("/torch-2.8.0+cu128.html")
    assert publishers_page(package("selective-scan"), "2.8.0", None) == ""
    with pytest.raises(KeyError):
        release_file("selective-scan", "0.0.2", name)


def test_a_packages_own_diff_is_applied_put_back_and_told_by_the_key(tmp_path: Path) -> None:
    tree = tmp_path / "splines"
    (tree / "csrc").mkdir(parents=True)
    setup = Path(__file__).parents[1] / "patching/routes/environment.py"
    (tree / "setup.py").write_text(setup.read_text(encoding="utf-8"), encoding="utf-8")
    source = tree / "csrc" / "basis.cu"
    source.write_text("int a;\nint b;\n", encoding="utf-8")
    diff = "@@ -1,2 +1,2 @@\n int a;\n-int b;\n+int c;\n"
    pinned = PinnedDiff(id="rename", target="csrc/basis.cu", sha256=sha256_of(source), diff=diff)
    options = SetupOptions(route="environment", diffs=(pinned,))
    assert "rename" in apply_to_tree(tree, options).patches
    assert source.read_text(encoding="utf-8") == "int a;\nint c;\n"
    assert options.changes() == ("arch-list", "rename@" + pinned.key.partition("@")[2])
    assert pinned.key != replace(pinned, diff=diff + " ").key
    revert_tree(tree)
    assert source.read_text(encoding="utf-8") == "int a;\nint b;\n"
