// complex<float> of PyTorch's layout (real part first, aligned to the whole), with what the kernels use of it.
// Part of mambaops, MIT.
#pragma once

#include "mambaops_prelude.h"

namespace c10 {

template <typename T>
struct alignas(sizeof(T) * 2) complex {
    using value_type = T;

    T real_ = T(0);
    T imag_ = T(0);

    constexpr complex() = default;
    __host__ __device__ constexpr complex(const T& re, const T& im = T()) : real_(re), imag_(im) {}

    __host__ __device__ constexpr T real() const { return real_; }
    __host__ __device__ constexpr T imag() const { return imag_; }

    __host__ __device__ constexpr complex& operator+=(const complex& other) {
        real_ += other.real_;
        imag_ += other.imag_;
        return *this;
    }
    __host__ __device__ constexpr complex& operator-=(const complex& other) {
        real_ -= other.real_;
        imag_ -= other.imag_;
        return *this;
    }
    __host__ __device__ constexpr complex& operator*=(const complex& other) {
        const T re = real_ * other.real_ - imag_ * other.imag_;
        const T im = real_ * other.imag_ + imag_ * other.real_;
        real_ = re;
        imag_ = im;
        return *this;
    }
    __host__ __device__ constexpr complex& operator+=(T other) {
        real_ += other;
        return *this;
    }
    __host__ __device__ constexpr complex& operator*=(T other) {
        real_ *= other;
        imag_ *= other;
        return *this;
    }

    __host__ __device__ constexpr complex operator-() const { return complex(-real_, -imag_); }

    friend __host__ __device__ constexpr complex operator+(complex a, const complex& b) { return a += b; }
    friend __host__ __device__ constexpr complex operator+(complex a, const T& b) { return a += b; }
    friend __host__ __device__ constexpr complex operator+(const T& a, complex b) { return b += a; }
    friend __host__ __device__ constexpr complex operator-(complex a, const complex& b) { return a -= b; }
    friend __host__ __device__ constexpr complex operator*(complex a, const complex& b) { return a *= b; }
    friend __host__ __device__ constexpr complex operator*(complex a, const T& b) { return a *= b; }
    friend __host__ __device__ constexpr complex operator*(const T& a, complex b) { return b *= a; }
};

static_assert(sizeof(complex<float>) == 8 && alignof(complex<float>) == 8, "c10::complex<float> is one float2");

}  // namespace c10

namespace std {
template <typename T>
__host__ __device__ constexpr ::c10::complex<T> conj(const ::c10::complex<T>& z) {
    return ::c10::complex<T>(z.real_, -z.imag_);
}
}  // namespace std
