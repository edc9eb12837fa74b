"""Dividing the largest file: together the parts define what the file defined, once each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mambaops.core.errors import UsageError
from mambaops.core.paths import CHECKOUT
from mambaops.patching.apply import apply_to_tree, revert_tree
from mambaops.patching.codemods.split import (
    part_count,
    part_name,
    split_source,
    whole_name,
    with_parts,
)
from mambaops.patching.options import SetupOptions

SETUP = CHECKOUT / "tests" / "patching" / "setup_py" / "causal_conv1d-1.6.2.post1.py"
TYPES = ("float", "at::Half", "at::BFloat16")
BODY = "template<typename a, typename b>\nvoid f(P &params, cudaStream_t stream) {\n}\n\n"
INSTANCES = [
    f"template void {name}<{a}, {b}>(P &params, cudaStream_t stream);"
    for name in ("f", "g")
    for a in TYPES
    for b in TYPES
]
TEXT = BODY + "\n".join(INSTANCES) + "\n"


def instances(text: str) -> list[str]:
    return re.findall(r"^template void .*;$", text, flags=re.MULTILINE)


@pytest.mark.parametrize("parts", [2, 3, 4, 17, 18, 64])
def test_every_instantiation_is_in_exactly_one_part(parts: int) -> None:
    texts = split_source(TEXT, parts)
    assert len(texts) == min(parts, 18)
    found = [one for text in texts for one in instances(text)]
    assert sorted(found) == sorted(INSTANCES)
    assert all(instances(text) for text in texts)
    assert all(text.startswith(BODY) for text in texts)
    assert all(text.count("\n") == TEXT.count("\n") for text in texts), "line numbers stay"


@pytest.mark.parametrize("text", ["int main() {}\n", BODY, BODY + INSTANCES[0] + "\n"])
def test_what_cannot_be_shared_out_stays_whole(text: str) -> None:
    assert split_source(text, 8) == [text]


def test_names_go_there_and_back() -> None:
    name = part_name("csrc/causal_conv1d_bwd.cu", 3, 16)
    assert name == "csrc/causal_conv1d_bwd_mops3of16.cu"
    assert whole_name(name) == "csrc/causal_conv1d_bwd.cu"
    assert (part_count(name), part_count("csrc/causal_conv1d_bwd.cu")) == (16, 1)


def test_a_source_that_is_not_there_once_is_refused() -> None:
    with pytest.raises(UsageError, match="stands 0 times"):
        with_parts("sources=[]", "csrc/a.cu", ["csrc/a_mops1of1.cu"])


def tree(folder: Path) -> Path:
    (folder / "csrc").mkdir(parents=True)
    (folder / "setup.py").write_bytes(SETUP.read_bytes())
    (folder / "csrc" / "causal_conv1d_bwd.cu").write_text(TEXT, encoding="utf-8")
    return folder


def parts_in(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "csrc").glob("*_mops*"))


LARGE = ("csrc/causal_conv1d_bwd.cu",)


def test_the_tree_gets_the_parts_and_loses_them_again(tmp_path: Path) -> None:
    root = tree(tmp_path / "conv")
    applied = apply_to_tree(root, SetupOptions(archs=("9.0",), split=4, large=LARGE))
    assert "split-instantiations" in applied.patches
    assert parts_in(root) == [f"causal_conv1d_bwd_mops{n}of4.cu" for n in range(1, 5)]
    setup = (root / "setup.py").read_text(encoding="utf-8")
    assert setup.count("_mops") == 4
    assert '"csrc/causal_conv1d_bwd.cu"' not in setup
    before = {path: path.stat().st_mtime_ns for path in (root / "csrc").iterdir()}
    apply_to_tree(root, SetupOptions(archs=("9.0",), split=4, large=LARGE))
    assert {path: path.stat().st_mtime_ns for path in (root / "csrc").iterdir()} == before
    apply_to_tree(root, SetupOptions(archs=("9.0",), split=2, large=LARGE))
    assert parts_in(root) == [f"causal_conv1d_bwd_mops{n}of2.cu" for n in (1, 2)]
    revert_tree(root)
    assert parts_in(root) == []
    assert (root / "setup.py").read_bytes() == SETUP.read_bytes()
