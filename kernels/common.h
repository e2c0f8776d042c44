// What the CPU kernels share: a row of LANES channels as vector registers, its functions, and bfloat16 storage.
//
// Written with the vector types that GCC and Clang have on every processor; -march decides how many registers a
// Row takes. Everything computes in float32, whatever is stored.

#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __AVX__
#include <immintrin.h>
#endif

namespace stylecli {

using Index = std::ptrdiff_t;

constexpr int LANES = 16;

typedef float Vec __attribute__((vector_size(32)));
typedef std::int32_t Bits __attribute__((vector_size(32)));
typedef std::uint32_t UBits __attribute__((vector_size(32)));
typedef std::uint16_t Half __attribute__((vector_size(16)));

struct Bfloat16 {
    std::uint16_t bits;
};

// --- Storage: 8 numbers at a time, and single ones.

inline Vec load8(const float* p) {
    Vec v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
inline void store8(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }

inline Vec load8(const Bfloat16* p) {
    Half h;
    std::memcpy(&h, p, sizeof h);
    return reinterpret_cast<Vec>(__builtin_convertvector(h, UBits) << 16);
}
// Rounds to nearest, ties to even; a NaN stays one.
inline void store8(Bfloat16* p, Vec v) {
    const UBits u = reinterpret_cast<UBits>(v);
    const UBits rounded = u + 0x7fffu + ((u >> 16) & 1u);
    const UBits nan = reinterpret_cast<UBits>(v != v);
    const Half h = __builtin_convertvector(((rounded & ~nan) | (nan & 0x7fc00000u)) >> 16, Half);
    std::memcpy(p, &h, sizeof h);
}

inline float load1(float x) { return x; }
inline float load1(Bfloat16 x) {
    const std::uint32_t u = static_cast<std::uint32_t>(x.bits) << 16;
    float f;
    std::memcpy(&f, &u, 4);
    return f;
}
inline void store1(float& to, float x) { to = x; }
inline void store1(Bfloat16& to, float x) {
    std::uint32_t u;
    std::memcpy(&u, &x, 4);
    u += 0x7fffu + ((u >> 16) & 1u);
    to.bits = x != x ? 0x7fc0 : static_cast<std::uint16_t>(u >> 16);
}

// --- Functions of 8 numbers.

// a * b + c in one instruction where there is one: left to itself, GCC may fuse another product of c instead and
// lengthen the chain that everything waits for.
inline Vec mad8(Vec a, Vec b, Vec c) {
#ifdef __FMA__
    return _mm256_fmadd_ps(a, b, c);
#else
    return a * b + c;
#endif
}
// Not Vec{} + x: that is an addition, for it makes 0 of -0.
inline Vec filled8(float x) { return Vec{x, x, x, x, x, x, x, x}; }
inline Vec mad8(Vec a, float b, Vec c) { return mad8(a, filled8(b), c); }
inline Vec mad8(Vec a, float b, float c) { return mad8(a, filled8(b), filled8(c)); }

// 2^n * p for whole n held as n + MAGIC: n goes straight into the exponent's bits.
constexpr float MAGIC = 12582912.0f;

inline Vec scaled(Vec p, Vec n_plus_magic) {
    return reinterpret_cast<Vec>(reinterpret_cast<Bits>(p) + (reinterpret_cast<Bits>(n_plus_magic) << 23));
}

// a > b ? a : b, thus b where one of them is NaN. GCC makes two instructions of the general form.
inline Vec max8(Vec a, Vec b) {
#ifdef __AVX__
    return _mm256_max_ps(a, b);
#else
    return a > b ? a : b;
#endif
}
inline Vec min8(Vec a, Vec b) {
#ifdef __AVX__
    return _mm256_min_ps(a, b);
#else
    return a < b ? a : b;
#endif
}

inline Vec clamp8(Vec x, float low, float high) { return min8(filled8(high), max8(filled8(low), x)); }

// exp(x), relative error about 1e-7; x is held within -87 .. 88.
inline Vec exp8(Vec x) {
    x = clamp8(x, -87.0f, 88.0f);
    const Vec shifted = mad8(x, 1.44269504f, MAGIC);
    const Vec n = shifted - MAGIC;
    const Vec r = mad8(n, 2.12194440e-4f, mad8(n, -0.693359375f, x));  // x - n log 2, in two steps
    const Vec r2 = r * r;  // short chains of dependent steps: waiting is what costs time here
    const Vec high2 = mad8(mad8(r, 1.9875691500e-4f, 1.3981999507e-3f), r2, mad8(r, 8.3334519073e-3f, 4.1665795894e-2f));
    const Vec low2 = mad8(r, 1.6666665459e-1f, 5.0000001201e-1f);
    return scaled(mad8(mad8(high2, r2, low2), r2, r + 1.0f), shifted);
}

// 2^x, relative error about 1e-7 and exact at 0, for x in -126 .. 127; several at once, step by step, because what
// follows from one step alone has to wait for it.
template <int COUNT>
inline void exp2_inside8(Vec* x) {
    Vec shifted[COUNT], p[COUNT];
    for (int i = 0; i < COUNT; ++i) shifted[i] = x[i] + MAGIC;
    for (int i = 0; i < COUNT; ++i) x[i] = x[i] - (shifted[i] - MAGIC);
    for (int i = 0; i < COUNT; ++i) p[i] = mad8(x[i], 1.3264727e-3f, 9.6715126e-3f);
    for (const float c : {5.5507337e-2f, 2.4022242e-1f, 6.9314698e-1f, 1.0f})
        for (int i = 0; i < COUNT; ++i) p[i] = mad8(p[i], x[i], filled8(c));
    for (int i = 0; i < COUNT; ++i) x[i] = scaled(p[i], shifted[i]);
}

// log(1 + exp(x)), with full relative accuracy far to the left too.
inline Vec softplus8(Vec x) {
    const Vec zero = {};
    const Vec z = exp8(min8(x, -x));  // (0, 1]
    const Vec s = z / (z + 2.0f), q = s * s;  // log(1 + z) = 2 atanh(s)
    Vec p = q * 1.4089167e-1f + 1.3980302e-1f;
    p = p * q + 2.0012455e-1f;
    p = p * q + 3.3333157e-1f;
    p = p * q + 1.0f;
    return max8(zero, x) + 2.0f * s * p;
}

// --- A row of LANES channels.

struct Row {
    Vec lo, hi;
};

inline Row filled(float x) { return {filled8(x), filled8(x)}; }

inline Row operator+(Row a, Row b) { return {a.lo + b.lo, a.hi + b.hi}; }
inline Row operator-(Row a, Row b) { return {a.lo - b.lo, a.hi - b.hi}; }
inline Row operator*(Row a, Row b) { return {a.lo * b.lo, a.hi * b.hi}; }
inline Row operator/(Row a, Row b) { return {a.lo / b.lo, a.hi / b.hi}; }
inline Row operator*(Row a, float b) { return {a.lo * b, a.hi * b}; }
inline Row operator+(Row a, float b) { return {a.lo + b, a.hi + b}; }
inline Row& operator+=(Row& a, Row b) { return a = a + b; }
inline Row mad(Row a, Row b, Row c) { return {mad8(a.lo, b.lo, c.lo), mad8(a.hi, b.hi, c.hi)}; }
inline Row mad(Row a, float b, Row c) { return {mad8(a.lo, b, c.lo), mad8(a.hi, b, c.hi)}; }
inline Row max(Row a, Row b) { return {max8(a.lo, b.lo), max8(a.hi, b.hi)}; }
inline Row min(Row a, Row b) { return {min8(a.lo, b.lo), min8(a.hi, b.hi)}; }
inline Row exp(Row a) { return {exp8(a.lo), exp8(a.hi)}; }
// 2^a: for a within -126 .. 127; for a <= 0, held above -126; and for any a, held within both.
inline Row exp2_inside(Row a) {
    Vec x[2] = {a.lo, a.hi};
    exp2_inside8<2>(x);
    return {x[0], x[1]};
}
inline Row exp2_down(Row a) { return exp2_inside(max(filled(-126.0f), a)); }
inline Row exp2(Row a) { return exp2_inside(min(filled(127.0f), max(filled(-126.0f), a))); }
inline Row softplus(Row a) { return {softplus8(a.lo), softplus8(a.hi)}; }
inline Row sigmoid(Row a) { return filled(1.0f) / (exp(a * -1.0f) + 1.0f); }

// The first n channels at p; the other lanes get `rest`.
template <class S>
inline Row load(const S* p, int n, float rest = 0.0f) {
    if (n == LANES) return {load8(p), load8(p + 8)};
    float x[LANES];
    for (int c = 0; c < LANES; ++c) x[c] = c < n ? load1(p[c]) : rest;
    return {load8(x), load8(x + 8)};
}

template <class S>
inline void store(S* p, int n, Row r) {
    if (n == LANES) {
        store8(p, r.lo);
        store8(p + 8, r.hi);
        return;
    }
    float x[LANES];
    store8(x, r.lo);
    store8(x + 8, r.hi);
    for (int c = 0; c < n; ++c) store1(p[c], x[c]);
}

}  // namespace stylecli
