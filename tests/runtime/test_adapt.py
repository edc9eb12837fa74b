"""Cutting kernel files: what goes, what stays to the byte, what is refused; and every release with sources."""

from __future__ import annotations

import json

import kernel_sources
import pytest

from mambaops.runtime.adapt import cut
from mambaops.runtime.kernel_files import era_of, eras, kernel_files
from mambaops.runtime.structs import fields
from mambaops.runtime.tokens import UnknownShape, items, tokens

KERNEL = """\
#pragma once
#include <c10/util/Half.h>  // a comment
#include <cub/block/block_load.cuh>
#include "other.h"

#ifndef USE_ROCM
    #define ONLY(x)
#endif

template<int kThreads_>
struct Traits { static constexpr int kThreads = kThreads_; };

/* not a launch: <<< */
template<typename T>
__global__ __launch_bounds__(T::kThreads)
void kernel(Params params) {
    const char *text = "}<<<";
    if (params.x) { return; }
}
"""
LAUNCHERS = """
template<int kThreads, typename input_t>
void launch(Params &params, cudaStream_t stream) {
    dim3 grid(params.batch);
    auto run = &kernel<Traits<kThreads>>;
    #ifndef USE_ROCM
    C10_CUDA_CHECK(cudaFuncSetAttribute(run, attribute, 1));
    #endif
    run<<<grid, kThreads, 0, stream>>>(params);
}

template<typename input_t>
void entry(Params &params, cudaStream_t stream) { launch<32, input_t>(params, stream); }
"""
INSTANCES = """
template void entry<float>(Params &params, cudaStream_t stream);
template void entry<at::Half>(Params &params, cudaStream_t stream);
"""


def test_launchers_and_instances_go_and_everything_else_stays_to_the_byte() -> None:
    done = cut(KERNEL + LAUNCHERS + INSTANCES, ("other.h",))
    assert done.text.startswith(KERNEL)
    rest = [line for line in done.text[len(KERNEL) :].splitlines() if line]
    assert rest == [f"// cut by mambaops: {name}" for name in ("launch", "entry", "entry", "entry")]
    assert done.removed == ("launch", "entry", "entry", "entry")
    assert done.instances == ("entry<float>", "entry<at::Half>")


def test_a_file_without_host_code_is_left_as_it_is() -> None:
    done = cut(KERNEL, ("other.h",))
    assert (done.text, done.removed, done.launchers) == (KERNEL, (), "")


def test_the_digest_of_launchers_sees_code_and_no_comments_or_spaces() -> None:
    first = cut(LAUNCHERS, ()).launchers
    commented = LAUNCHERS.replace("dim3 grid", "// why\n        dim3   grid")
    assert cut(commented, ()).launchers == first
    assert cut(LAUNCHERS.replace("launch<32", "launch<64"), ()).launchers != first
    assert cut(LAUNCHERS + INSTANCES, ()).launchers == first


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#include <vector>\n", "nothing provides that header"),
        ('#include "gone.h"\n', "nothing provides that header"),
        ("void f() { kernel<<<1, 2>>>(x); }\n", "`f` holds host code (<<<)"),
        ("static dim3 grid(1, 2);\n", "holds host code (dim3)"),
        ("void f() { C10_CUDA_CHECK(x()); }\n", "holds host code (C10_CUDA_CHECK)"),
        ("__global__ void k() { if (x) { }\n", "brackets do not match"),
        ("void f(int a]) {}\n", "that nothing opened"),
        ("int a = 1 @ 2;\n", "is not C++ we know"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, said: str) -> None:
    with pytest.raises(
        UnknownShape,
        match="(?s).*" + said.replace("(", r"\(").replace(")", r"\)").replace("+", r"\+"),
    ):
        cut(text, ("other.h",))


def test_tokens_are_the_whole_text() -> None:
    text = KERNEL + LAUNCHERS + INSTANCES
    assert "".join(token.text for token in tokens(text)) == text


def test_items_of_a_file() -> None:
    heads = [" ".join(item.code[:3]) for item in items(LAUNCHERS + INSTANCES) if not item.directive]
    assert heads == [
        "template < int",
        "template < typename",
        "template void entry",
        "template void entry",
    ]


def test_fields_of_structs_with_what_they_inherit() -> None:
    found = fields(
        "struct A { using index_t = uint32_t; int batch, dim; bool on;\n"
        " index_t x_stride; void *__restrict__ x_ptr; int32_t *__restrict__ seq; void * y_ptr; };\n"
        "struct B: public A { void *__restrict__ dx_ptr; };\n"
    )
    first = ["batch", "dim", "on", "x_stride", "x_ptr", "seq", "y_ptr"]
    assert found == {"A": first, "B": [*first, "dx_ptr"]}


def test_a_field_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UnknownShape, match="member `at :: Tensor x`"):
        fields("struct A { at::Tensor x; };")


@pytest.mark.network
@pytest.mark.parametrize(("package", "version"), kernel_sources.RELEASES)
def test_every_release_with_sources_is_cut_and_its_rules_are_known(
    package: str, version: str
) -> None:
    source = kernel_sources.source(package, version)
    found = kernel_files(source)
    rules = {name: era_of(source, name, one) for name, one in found.items() if one.launchers}
    assert set(rules) == {
        name
        for name in eras()
        if name.startswith(package.split("-")[0][:5])
        or (name.startswith("selective") and package == "mamba-ssm")
    }
    assert all(
        "<<<" not in json.dumps([t.text for t in tokens(one.text) if t.code])
        for one in found.values()
    )
    assert all("__global__" in one.text for name, one in found.items() if name in rules)


@pytest.mark.network
def test_launchers_that_nobody_has_read_are_refused(tmp_path) -> None:
    source = kernel_sources.source("mamba-ssm", "2.3.2.post1")
    name = "selective_scan_fwd_kernel.cuh"
    text = (source.tree / "csrc/selective_scan" / name).read_text().replace("<32, 8,", "<64, 8,")
    one = cut(text, tuple(kernel_files(source)))
    with pytest.raises(UnknownShape, match=r"mamba-ssm 2\.3\.2\.post1 in selective_scan_fwd"):
        era_of(source, name, one)
