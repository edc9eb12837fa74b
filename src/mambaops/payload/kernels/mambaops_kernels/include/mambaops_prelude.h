// What upstream's kernel files take from the C++ standard library and the compiler's own headers, for NVRTC,
// which has neither: names over libcu++ (the CUDA C++ Standard Library). Part of mambaops, MIT.
#pragma once

#include <cuda/std/cstddef>
#include <cuda/std/cstdint>
#include <cuda/std/type_traits>
#include <cuda/std/utility>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#ifndef M_LOG2E
#define M_LOG2E 1.4426950408889634074
#endif

namespace std {

using ::cuda::std::conditional_t;
using ::cuda::std::enable_if_t;
using ::cuda::std::is_same;

template <typename A, typename B>
inline constexpr bool is_same_v = ::cuda::std::is_same<A, B>::value;

template <typename T>
constexpr T min(T a, T b) {
    return b < a ? b : a;
}

template <typename T>
constexpr T max(T a, T b) {
    return a < b ? b : a;
}

template <typename T>
constexpr T max(initializer_list<T> values) {
    const T* largest = values.begin();
    for (const T* one = values.begin(); one != values.end(); ++one) {
        if (*largest < *one) { largest = one; }
    }
    return *largest;
}

}  // namespace std
