"""The sources of the packages, from checkouts and archives at hand: fetched, patched, put back; torch's tables too."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from acts import case_on, context_of, said
from target_environment import TargetEnvironment

from mambaops.compile.sources import read_tree
from mambaops.decide.case import Case
from mambaops.decide.situation import Flags
from mambaops.state.evidence import read_notes
from mambaops.state.observe import source_folder
from mambaops.state.places import places
from mambaops.steps import fetch_sources, patch_cpp_extension, patch_setup

PATCHING = Path(__file__).resolve().parents[1] / "patching"
SETUPS = {
    "causal-conv1d": PATCHING / "setup_py" / "causal_conv1d-1.6.2.post1.py",
    "mamba-ssm": PATCHING / "setup_py" / "mamba_ssm-2.3.2.post1.py",
}


def checkout(folder: Path, package: str) -> Path:
    tree = folder / f"{package}-checkout"
    (tree / "csrc").mkdir(parents=True)
    (tree / "setup.py").write_bytes(SETUPS[package].read_bytes())
    (tree / "csrc" / "scan.cu").write_text("// a kernel\n", encoding="utf-8")
    return tree


def archive(folder: Path, package: str) -> Path:
    path = folder / f"{package}.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        packed.add(checkout(folder / "packed", package), f"{package}-1")
    return path


def case_with(sources: dict[str, Path], **more: Any) -> Case:
    given = {name: str(path) for name, path in sources.items()}
    return case_on("hopper", flags=Flags(source=given, arch="9.0"), **more)


def seen_again(case: Case) -> Case:
    """The same case with what now lies in the build folder."""
    trees = {name: read_tree(source_folder(case, places("local"), name)) for name in case.packages}
    found = {name: tree for name, tree in trees.items() if tree is not None}
    situation = msgspec.structs.replace(case.situation, sources=found)
    return msgspec.structs.replace(case, situation=situation)


@pytest.fixture
def fetched(tmp_path: Path) -> Case:
    """Both sources unpacked, one from a checkout, one from an archive."""
    sources = {
        "causal-conv1d": checkout(tmp_path, "causal-conv1d"),
        "mamba-ssm": archive(tmp_path, "mamba-ssm"),
    }
    case = case_with(sources)
    fetch_sources.act(context_of(case), case)
    return seen_again(case)


def test_every_missing_source_is_fetched(fetched: Case) -> None:
    assert list(fetched.situation.sources) == ["causal-conv1d", "mamba-ssm"]
    for name, tree in fetched.situation.sources.items():
        assert (Path(tree.path) / "setup.py").read_bytes() == SETUPS[name].read_bytes()
        assert places("local").build in Path(tree.path).parents
    assert fetch_sources.assess(fetched).status == "done"


def test_a_source_that_is_there_is_left_as_it_is(tmp_path: Path, fetched: Case) -> None:
    kept = Path(fetched.situation.sources["causal-conv1d"].path)
    (kept / "object.o").write_text("whole")
    trees = {"causal-conv1d": fetched.situation.sources["causal-conv1d"]}
    situation = msgspec.structs.replace(fetched.situation, sources=trees)
    case = msgspec.structs.replace(fetched, situation=situation)
    (Path(fetched.situation.sources["mamba-ssm"].path) / "setup.py").unlink()
    fetch_sources.act(context_of(case), case)
    assert (kept / "object.o").read_text() == "whole"
    assert list(seen_again(case).situation.sources) == ["causal-conv1d", "mamba-ssm"]
    fetch_sources.act(context_of(fetched), fetched)  # nothing is missing: nothing is done


@pytest.mark.parametrize(
    "toolkits", [[], [{"nvcc": "/x/bin/nvcc", "home": "/x", "version": "13.0"}]]
)
def test_what_is_patched_is_remembered_and_taken_back(
    fetched: Case, toolkits: list[dict[str, str]]
) -> None:
    facts = case_on("hopper", like={"toolkits": toolkits}).facts
    situation = msgspec.structs.replace(fetched.situation, facts=facts)
    case = msgspec.structs.replace(fetched, situation=situation)
    assert patch_setup.assess(case).status == "needed"
    context = context_of(case)
    patch_setup.act(context, case)
    patched = seen_again(case)
    assert patch_setup.assess(patched).status == "done"
    for name, tree in patched.situation.sources.items():
        assert tree.patched == case.setup_options(name).digest()
        assert (Path(tree.path) / "setup.py").read_bytes() != SETUPS[name].read_bytes()
        diff = context.run.log(f"patch-setup:{name}").read_text(encoding="utf-8")
        assert diff.startswith("--- a/setup.py\n+++ b/setup.py\n")
    assert said[0].startswith("causal-conv1d: ")
    patch_setup.undo(context_of(case), patched)
    back = seen_again(case)
    for name, tree in back.situation.sources.items():
        assert (tree.patched, (Path(tree.path) / "setup.py").read_bytes()) == (
            "", SETUPS[name].read_bytes(),
        )  # fmt: skip
    assert said == [f"{name}: put back setup.py" for name in case.packages]


def test_the_step_can_do_and_undo() -> None:
    for step in (patch_setup.STEP, patch_cpp_extension.STEP):
        assert step.act is not None
        assert step.undo is not None


def test_torchs_tables_get_the_profiles_release_and_lose_it_again(tmp_path: Path) -> None:
    env = TargetEnvironment(places("ubuntu22-cu118").env, tmp_path / "shared")
    env.module("torch")
    text = (PATCHING / "cpp_extension" / "torch-2.7.1.txt").read_text(encoding="utf-8")
    file = env.site / "torch" / "utils" / "cpp_extension.py"
    (env.site / "torch.py").unlink()
    file.parent.mkdir(parents=True)
    (env.site / "torch" / "__init__.py").write_text("")
    file.write_text(text, encoding="utf-8")
    case = case_on("ubuntu22-cu118", "ubuntu22-cu118")
    context = context_of(case)
    patch_cpp_extension.act(context, case)
    assert "'11.8'" in file.read_text(encoding="utf-8")
    assert read_notes(context.where.notes) == {"cpp_extension": "11.8"}
    patch_cpp_extension.undo(context, case)
    assert file.read_text(encoding="utf-8") == text
    assert read_notes(context.where.notes) == {"cpp_extension": ""}


def test_without_a_release_in_the_profile_or_anything_to_compile_no_table_is_touched() -> None:
    wanted = patch_cpp_extension.wanted
    assert wanted(case_on("ubuntu22-cu118", "ubuntu22-cu118"))
    only = Flags(obtain=("prebuilt",))
    assert not wanted(case_on("ubuntu22-cu118", "ubuntu22-cu118", flags=only))
    assert not wanted(case_on("hopper"))
