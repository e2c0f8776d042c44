// How numbers lie in memory, and their conversion to float, in which everything is computed.
//
// NVRTC has neither cuda_fp16.h nor cuda_bf16.h without a CUDA toolkit, so the 16-bit types are plain bits here.
// CUDA_ON_HOST is set where tests run the kernels on the CPU (tests/ops/cuda_on_host.h).

#pragma once

struct half_bits {
    static constexpr int EXPONENT = 5;  // bits of it
    unsigned short bits;
};
struct bfloat16_bits {
    static constexpr int EXPONENT = 8;
    unsigned short bits;
};

struct alignas(16) Bytes16 {  // the widest access of a thread
    unsigned int part[4];
};

__device__ inline float widen(float x) { return x; }

__device__ inline float widen(bfloat16_bits x) { return __uint_as_float(static_cast<unsigned int>(x.bits) << 16); }

__device__ inline float widen(half_bits x) {
#ifdef CUDA_ON_HOST
    return float_of_half(x.bits);
#else
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
#endif
}

__device__ inline void narrow(float x, float& y) { y = x; }

__device__ inline void narrow(float x, bfloat16_bits& y) {  // to nearest, ties to even; sm_75 has no instruction for it
    unsigned int bits = __float_as_uint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        bits = 0x7fff0000u;  // NaN: rounding must not make it infinite
    else
        bits += 0x7fffu + ((bits >> 16) & 1u);
    y.bits = static_cast<unsigned short>(bits >> 16);
}

__device__ inline void narrow(float x, half_bits& y) {
#ifdef CUDA_ON_HOST
    y.bits = half_of_float(x);
#else
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
#endif
}

// A word of 32 bits, which holds one number or two: the number at a place, what is smaller than all, and numbers put
// together. Where the second does not exist, `count` is 1.
template <class T>
__device__ inline float widened(unsigned int word, int place) {
    if constexpr (sizeof(T) == 4) {
        return __uint_as_float(word);
    } else {
        return widen(T{static_cast<unsigned short>(word >> (16 * place))});
    }
}
template <>
__device__ inline float widened<bfloat16_bits>(unsigned int word, int place) {
    return __uint_as_float(place == 0 ? word << 16 : word & 0xffff0000u);
}

template <class T>
constexpr unsigned int MINUS_INFINITY = 0xff800000u;
template <>
constexpr unsigned int MINUS_INFINITY<bfloat16_bits> = 0xff80ff80u;
template <>
constexpr unsigned int MINUS_INFINITY<half_bits> = 0xfc00fc00u;

template <class T>
__device__ inline unsigned int narrowed(const float* x) {
    if constexpr (sizeof(T) == 4) {
        return __float_as_uint(x[0]);
    } else {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
        unsigned int word;
        if constexpr (T::EXPONENT == 8)
            asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(x[1]), "f"(x[0]));
        else
            asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(x[1]), "f"(x[0]));
        return word;
#else
        T low, high;
        narrow(x[0], low), narrow(x[1], high);
        return low.bits | static_cast<unsigned int>(high.bits) << 16;
#endif
    }
}

__device__ inline unsigned int word_of(const float* from, int count) { return __float_as_uint(*from); }
template <class T>
__device__ inline unsigned int word_of(const T* from, int count) {
    return from[0].bits | (count > 1 ? static_cast<unsigned int>(from[1].bits) << 16 : 0u);
}
__device__ inline void put_word(unsigned int word, float* to, int count) { *to = __uint_as_float(word); }
template <class T>
__device__ inline void put_word(unsigned int word, T* to, int count) {
    to[0].bits = static_cast<unsigned short>(word);
    if (count > 1) to[1].bits = static_cast<unsigned short>(word >> 16);
}

// 2^x with a relative error of about 2^-22: one instruction.
__device__ inline float fast_exp2(float x) {
#ifdef CUDA_ON_HOST
    return exp2f(x);
#else
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#endif
}

// a / b with a relative error of about 2^-22, for b between 2^-126 and 2^126.
__device__ inline float fast_quotient(float a, float b) {
#ifdef CUDA_ON_HOST
    return a / b;
#else
    float y;
    asm("div.approx.ftz.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
    return y;
#endif
}

constexpr float LOG2_E = 1.44269504088896f;

// One kernel for each storage type: NAME_f32, NAME_f16, NAME_bf16; or for one alone, which compiles in a third of
// the time.
#if defined(ONLY_f32)
#define FOR_EACH_STORAGE(KERNEL) KERNEL(f32, float)
#elif defined(ONLY_f16)
#define FOR_EACH_STORAGE(KERNEL) KERNEL(f16, half_bits)
#elif defined(ONLY_bf16)
#define FOR_EACH_STORAGE(KERNEL) KERNEL(bf16, bfloat16_bits)
#else
#define FOR_EACH_STORAGE(KERNEL) KERNEL(f32, float) KERNEL(f16, half_bits) KERNEL(bf16, bfloat16_bits)
#endif
