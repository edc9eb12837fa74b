// gpuAtomicAdd for what the kernels accumulate: float, and complex as its two floats. Part of mambaops, MIT.
#pragma once

#include "c10/util/complex.h"

static inline __device__ float gpuAtomicAdd(float* address, float value) { return atomicAdd(address, value); }

static inline __device__ void gpuAtomicAdd(::c10::complex<float>* address, ::c10::complex<float> value) {
    atomicAdd(&address->real_, value.real_);
    atomicAdd(&address->imag_, value.imag_);
}
