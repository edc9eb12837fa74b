// bf16 of PyTorch's layout: 16 bits, rounded to nearest even as PyTorch's device code does. Part of mambaops, MIT.
#pragma once

#include "mambaops_prelude.h"

namespace c10 {

struct alignas(2) BFloat16 {
    unsigned short x;

    BFloat16() = default;
    __device__ BFloat16(float value) : x(rounded(value)) {}
    __device__ operator float() const { return __uint_as_float(static_cast<unsigned>(x) << 16); }

  private:
    static __device__ unsigned short rounded(float value) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
        return __bfloat16_as_ushort(__float2bfloat16(value));
#else
        if (value != value) { return 0x7FC0; }
        const unsigned bits = __float_as_uint(value);
        return static_cast<unsigned short>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
#endif
    }
};

static_assert(sizeof(BFloat16) == 2, "at::BFloat16 has 16 bits");

}  // namespace c10

namespace at {
using ::c10::BFloat16;
}
