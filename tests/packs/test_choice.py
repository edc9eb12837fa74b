"""What `compile-kernels` compiles, and with which CUDA, decided before anything is fetched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mambaops.core.errors import MachineError, MambaopsError, UsageError
from mambaops.packs.make import compiler_for, make_pack, selection_of, wanted_archs
from mambaops.packs.models import config_of, selection_for
from mambaops.runtime.identity import distribution_version
from mambaops.runtime.selection import USUAL, Selection

CONFIGS: list[tuple[dict[str, Any], Selection]] = [
    (
        {"model_type": "mamba", "conv_kernel": 4, "torch_dtype": "float16"},
        Selection(dtypes=("fp16",)),
    ),
    ({"model_type": "falcon_mamba", "dtype": "torch.bfloat16"}, Selection(dtypes=("bf16",))),
    ({"model_type": "jamba", "mamba_d_conv": 3}, Selection(width=3)),
    # of mamba_ssm itself: no type, no dtype
    ({"d_model": 768, "n_layer": 24, "ssm_cfg": {}}, USUAL),
    ({"d_model": 768, "ssm_cfg": {"layer": "Mamba2"}}, Selection(scan=False)),
    (
        {"model_type": "mamba2", "conv_kernel": 4, "dtype": "float32"},
        Selection(dtypes=("fp32",), scan=False),
    ),
    # a language model inside of another
    (
        {
            "model_type": "llava",
            "text_config": {"model_type": "mamba", "conv_kernel": 2, "torch_dtype": "bfloat16"},
        },
        Selection(dtypes=("bf16",), width=2),
    ),
]


@pytest.mark.parametrize(
    ("config", "wanted"), CONFIGS, ids=lambda one: json.dumps(one) if isinstance(one, dict) else ""
)
def test_a_models_kernels(config: dict[str, Any], wanted: Selection) -> None:
    assert selection_for(config) == wanted


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "llama"}, "its type is llama"),
        ({"model_type": "mamba", "conv_kernel": 5}, "width 5"),
    ],
)
def test_other_models_are_refused(config: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        selection_for(config)


def test_where_a_configuration_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    assert config_of(str(tmp_path)) == config_of(str(tmp_path / "config.json"))
    # a mirror of Hugging Face, as a folder
    published = tmp_path / "hub/org/model/resolve/main"
    published.mkdir(parents=True)
    (published / "config.json").write_text('{"model_type": "mamba2"}')
    monkeypatch.setenv("HF_ENDPOINT", (tmp_path / "hub").as_uri())
    assert config_of("org/model") == {"model_type": "mamba2"}
    with pytest.raises(MambaopsError, match="configuration of `org/none` could not be fetched"):
        config_of("org/none")
    for wrong in ("nothing", "./none/config.json", "a/b/c"):
        with pytest.raises(UsageError, match="no file, no folder and no model"):
            config_of(wrong)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(UsageError, match="is no configuration"):
        config_of(str(tmp_path))


@pytest.mark.parametrize(
    ("cuda", "archs", "found"),
    [
        ("", ("8.0", "9.0", "12.0"), "12.8"),
        ("", ("7.0",), "12.8"),
        ("", ("10.3",), "12.8"),  # code of 10.0
        ("", ("11.0",), "13.0"),
        ("13.0", ("9.0",), "13.0"),
        ("11.8", ("8.6",), "11.8"),
    ],
)
def test_the_compiler_that_is_fetched(cuda: str, archs: tuple[str, ...], found: str) -> None:
    assert compiler_for(cuda, archs) == found


def test_what_no_compiler_makes_is_refused() -> None:
    with pytest.raises(MachineError, match=r"CUDA 12\.1 makes none for 12\.0"):
        compiler_for("12.1", ("8.0", "12.0"))
    with pytest.raises(MachineError, match="together"):
        compiler_for("", ("7.0", "11.0"))
    for wrong in ("12", "twelve", "11.6"):
        with pytest.raises(UsageError):
            compiler_for(wrong, ("9.0",))


def test_words_of_the_command_line() -> None:
    assert wanted_archs("9.0;8.0") == (("8.0", "9.0"), False)
    assert wanted_archs("12.0+PTX") == (("12.0",), True)
    with pytest.raises(UsageError, match="plain machine code"):
        wanted_archs("9.0a")
    assert selection_of("fp16, bf16", False, True) == Selection(dtypes=("bf16", "fp16"), ptx=True)
    assert selection_of("", False, False) == USUAL
    with pytest.raises(UsageError, match="'int8' is none"):
        selection_of("bf16,int8", False, False)


def test_what_one_pack_serves() -> None:
    """A plan takes a pack that holds at least what it would compile."""
    more = [USUAL, Selection(ptx=True), Selection(every=True), Selection(every=True, ptx=True)]
    assert all(USUAL.serves(one.name) for one in more)
    fewer = [
        Selection(dtypes=("bf16",)),
        Selection(scan=False),
        Selection(width=2),
        Selection(dtypes=("bf16",), every=True),
    ]
    assert not any(USUAL.serves(one.name) for one in fewer)


def test_a_file_of_a_persons_stays(tmp_path: Path) -> None:
    """Looked at before anything is fetched: what stands under the wheel's name and is no pack of ours."""
    local = distribution_version({}, "12.8", ("9.0",), USUAL).partition("+")[2]
    mine = tmp_path / f"mambaops_kernels-1.0+{local}-py3-none-any.whl"
    mine.write_text("thesis")
    with pytest.raises(UsageError, match="mambaops did not write it"):
        make_pack(("9.0",), USUAL, tmp_path)
    assert mine.read_text() == "thesis"
