"""Profiles are read strictly, and every value can be explained."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from mambaops.core.errors import UsageError
from mambaops.core.paths import data_dir
from mambaops.knowledge.packages import package
from mambaops.knowledge.releases import same_generation
from mambaops.knowledge.torch_builds import torch_row
from mambaops.profiles.explain import explain, schema
from mambaops.profiles.load import load_profile, names, parse_profile

SMALL = """
schema: "1"
name: small
title: small
target: {python: ["3.11"], name: small}
torch: {versions: ["2.13.0"]}
"""


def test_every_machine_has_its_profile() -> None:
    wanted = {
        "local", "wsl-5090", "wsl-5090-ptx", "debian-a800", "ubuntu20-graph-mamba",
        "ubuntu22-cu118", "digress", "windows-5090", "hopper",
    }  # fmt: skip
    assert wanted <= set(names())


@pytest.mark.parametrize("name", names())
def test_every_value_of_every_profile_has_a_reason(name: str) -> None:
    assert [path for path, _, why in explain(load_profile(name)) if not why] == []


@pytest.mark.parametrize("name", names())
def test_profiles_keep_their_own_schema(name: str) -> None:
    text = (data_dir("env_profiles") / f"{name}.yaml").read_text(encoding="utf-8")
    jsonschema.validate(yaml.safe_load(text), schema())


@pytest.mark.parametrize("name", names())
def test_the_pairs_of_versions_can_work(name: str) -> None:
    profile = load_profile(name)
    packages = dict(profile.packages.items())
    if packages:
        mamba, conv = packages["mamba-ssm"].version, packages["causal-conv1d"].version
        assert same_generation("mamba-ssm", mamba, "causal-conv1d", conv)
    for version in profile.torch.versions:
        row = torch_row(version)
        assert row is not None
        assert set(profile.target.python) & set(row.python)
        assert not profile.torch.cuda or set(profile.torch.cuda) & set(row.cuda)


@pytest.mark.parametrize(
    ("edit", "found", "hint"),
    [
        ('versions: ["2.13.0"]', "versions: [2.13]", "quotes"),
        ('python: ["3.11"]', "python: [3.10]", "quotes"),
    ],
)
def test_an_unquoted_version_is_refused_with_its_path(edit: str, found: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_profile(SMALL.replace(edit, found), "mine")
    assert "Expected `str`, got `float` - at `$." in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALL + "colour: red\n", "unknown field `colour`"),
        (SMALL.replace("name: small}", "name: small, shell: zsh}"), "unknown field `shell` - at `$.target`"),
        (SMALL + "title: again\n", "key `title` stands twice"),
        (SMALL.replace('"2.13.0"', '"two"'), "at `$.torch.versions[0]`"),
        (SMALL.replace('["3.11"]', "[]"), "at `$.target.python`"),
        (SMALL + "why: {torch.verions: typo}\n", "`why` explains `torch.verions`"),
        ("[not, a, mapping]", "Expected `object`, got `array`"),
        ("a: [1", "is not YAML"),
        (SMALL + 'packages: {mamba-ssm: {version: "2.3.2", sha256: abc}}\n', "$.packages.mamba-ssm.sha256"),
        (SMALL + 'packages: {torch-scater: {version: "2.1.2"}}\n', "there is no package `torch-scater`"),
        (SMALL + 'packages: {torch_scatter: {version: "2.1.2"}}\n', "it is called `torch-scatter`"),
        (SMALL + 'packages: {mine: {version: "1.0", file: nowhere.toml}}\n', "there is no package file `"),
    ],
)  # fmt: skip
def test_bad_profiles_are_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_profile(text, "mine")
    assert message in caught.value.message


@pytest.mark.parametrize(
    "text, meant",
    [
        (SMALL + "requirments: []\n", "requirements"),
        (SMALL.replace("name: small}", "name: small, pyhton: []}"), "target.python"),
        (SMALL + "packages: {mamba-ssm: {verison: '2.2.2'}}\n", "packages.mamba-ssm.version"),
        (SMALL + "arch: '9.0'\n", "build.arch"),
        (SMALL + "tag: v2\n", "packages.NAME.tag"),
        (SMALL + "colour: red\n", ""),
    ],
)  # fmt: skip
def test_what_an_unknown_key_was_meant_to_be_is_offered(text: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_profile(text, "small.yaml")
    said = f"did you mean `{meant}`? " if meant else ""
    assert caught.value.hint == f"{said}the keys are listed by `mambaops profiles --schema`"


def test_an_unknown_profile_offers_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        load_profile("wsl-5009")
    assert "did you mean `wsl-5090`" in caught.value.hint


def test_a_profile_of_ones_own_is_a_path(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "mine.yaml"
    path.write_text(SMALL, encoding="utf-8")
    assert load_profile(str(path)).torch.versions == ["2.13.0"]


@pytest.mark.parametrize(
    "spec, known",
    [
        ("{version: '2.1.2'}", True),
        ("{version: '2.1.1'}", False),
        ("{version: '2.1.2', origin: git, tag: '2.1.2'}", False),
        ("{version: '2.1.2', sha256: %s}" % ("a" * 64), False),
    ],
)
def test_the_known_release_is_checked_without_its_hash_in_the_profile(
    spec: str, known: bool
) -> None:
    """So that it is also the same build, in the store, as the one of `build-wheel --package`."""
    found = parse_profile(SMALL + f"packages: {{torch-scatter: {spec}}}\n", "mine")
    described = package("torch-scatter").source.sha256
    assert (found.packages["torch-scatter"].sha256 == described) is known


def test_a_text_that_was_read_once_is_the_same_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Order too: packages are built in the profile's."""
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path))
    text = SMALL + "packages: {mamba-ssm: {version: '2.2.2'}, causal-conv1d: {version: '1.4.0'}}\n"
    first = parse_profile(text, "mine")
    (kept,) = (tmp_path / "profiles").iterdir()
    assert list(parse_profile(text, "mine").packages) == ["mamba-ssm", "causal-conv1d"]
    assert parse_profile(text, "mine") == first
    kept.write_text("{", encoding="utf-8")  # damaged: read anew
    assert parse_profile(text, "mine") == first


def test_a_text_with_a_mistake_is_never_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path))
    for _ in range(2):
        with pytest.raises(UsageError, match="stands twice"):
            parse_profile(SMALL + "name: other\n", "mine")
    assert list(tmp_path.iterdir()) == []


def test_a_short_text_that_stands_for_gigabytes_is_never_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path))
    lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(UsageError):
        parse_profile("\n".join(["a0: &a0 [x]", *lines]), "mine")
    assert list(tmp_path.iterdir()) == []
