// Bidirectional WKV on a graphics card. Formula: stylecli/ops/bi_wkv/reference.py, derivation: bi_wkv.cpp beside this.
//
// With e = exp(k - max k), numerator and denominator are one symmetric operator applied to e * v and to e:
//     (A x)_t = exp(u) x_t + S_t + S'_t,   S_{t+1} = lam S_t + x_t  (S' likewise from the right),   lam = exp(-w / T).
// The gradient is A applied to grad / den and -grad y / den; the decay's needs the slopes P_{t+1} = lam (P_t + S_t).
//
// Three kernels make a scan over any number of tokens, which blocks take in chunks: `sums` (what each chunk alone
// leaves behind on both sides), `carry` (what enters each chunk, in place), `apply` (each chunk again, now with what
// enters it). Powers of lam over more than a thread's own tokens are exponentials, not products, so that rounding does
// not build up with T. Nothing is summed in an order that depends on timing: the same input gives the same bits.
//
// Every argument is 8 bytes long. Tensors are contiguous (B, T, C). The denominator of the forward pass may be null.
// Shared between `sums`, `carry` and `apply`: states (B, chunks, C) as `Sides`, and tops (B, chunks, C) float32, the
// largest keys: each chunk's own, and after `carry` those of the whole sequence.

#include "backward.cuh"
#include "carry.cuh"
#include "forward.cuh"

// Grids: B * chunks * (groups of channels) blocks; `carry` see there.
#define KERNELS(NAME, TYPE)                                                                                           \
    extern "C" __global__ void __launch_bounds__(LANES* Forward<TYPE>::WARPS, 2)                                      \
        bi_wkv_forward_sums_##NAME(long long T, long long C, long long paired, const TYPE* k, const TYPE* v,          \
                                   const long long* order, const float* w, Sides<false>* states, float* tops) {       \
        forward_sums<TYPE>(T, C, paired, k, v, order, w, states, tops);                                               \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(LANES* Forward<TYPE>::WARPS, 2) bi_wkv_forward_apply_##NAME(         \
        long long T, long long C, long long paired, const TYPE* k, const TYPE* v, const long long* order,             \
        const float* w, const float* u, const Sides<false>* states, const float* tops, TYPE* y, float* denominator) { \
        forward_apply<TYPE>(T, C, paired, k, v, order, w, u, states, tops, y, denominator);                           \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS) bi_wkv_backward_sums_##NAME(                                \
        long long T, long long C, long long wide, const TYPE* k, const TYPE* grad, const TYPE* y,                     \
        const float* denominator, const float* w, Sides<true>* states, float* tops) {                                 \
        backward_sums<TYPE>(T, C, wide, k, grad, y, denominator, w, states, tops);                                    \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS) bi_wkv_backward_apply_##NAME(                               \
        long long T, long long C, long long wide, const TYPE* k, const TYPE* v, const TYPE* grad, const TYPE* y,      \
        const float* denominator, const float* w, const float* u, const Sides<true>* states, const float* tops,       \
        TYPE* grad_k, TYPE* grad_v, float* partial) {                                                                 \
        backward_apply<TYPE>(T, C, wide, k, v, grad, y, denominator, w, u, states, tops, grad_k, grad_v, partial);    \
    }

FOR_EACH_STORAGE(KERNELS)

extern "C" __global__ void __launch_bounds__(CARRY_THREADS)
    bi_wkv_forward_carry(long long T, long long C, long long tokens, const float* w, Sides<false>* states,
                         float* tops) {
    carry<false>(T, C, tokens, w, states, tops);
}

extern "C" __global__ void __launch_bounds__(CARRY_THREADS)
    bi_wkv_backward_carry(long long T, long long C, long long tokens, const float* w, Sides<true>* states,
                          float* tops) {
    carry<true>(T, C, tokens, w, states, tops);
}
