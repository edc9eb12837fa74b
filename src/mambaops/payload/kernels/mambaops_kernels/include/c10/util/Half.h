// fp16 of PyTorch's layout: 16 bits, converted as PyTorch's device code does (one cvt each way). Part of mambaops, MIT.
#pragma once

#include "mambaops_prelude.h"

namespace c10 {

struct alignas(2) Half {
    unsigned short x;

    Half() = default;
    __device__ Half(float value) : x(__half_as_ushort(__float2half(value))) {}
    __device__ operator float() const { return __half2float(__ushort_as_half(x)); }
};

static_assert(sizeof(Half) == 2, "at::Half has 16 bits");

}  // namespace c10

namespace at {
using ::c10::Half;
}
