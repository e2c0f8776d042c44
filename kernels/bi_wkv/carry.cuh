// `carry`: what enters each chunk, from what each of them leaves behind; in place, for one picture and CARRY_LANES
// channels a block. A thread takes one channel and one segment of the chunks; segments are joined in a warp by
// exchanging states over 1, 2, 4 and 8 of them, warps by one after the other.

#pragma once

#include "state.cuh"

namespace {

constexpr int CARRY_LANES = 2, CARRY_THREADS = 512;
constexpr int IN_WARP = LANES / CARRY_LANES, CARRY_WARPS = CARRY_THREADS / LANES;  // segments of a warp; warps
constexpr int AT_ONCE = 4;
constexpr unsigned int ALL = 0xffffffffu;

// The state of the thread so many lanes before this one, or (negative) behind it; its own where there is none.
template <bool SLOPES>
__device__ State<SLOPES> shifted(const State<SLOPES>& own, int lanes) {
    State<SLOPES> s;
#pragma unroll
    for (int f = 0; f < State<SLOPES>::FIELDS; ++f)
        s.at[f] = lanes > 0 ? __shfl_up_sync(ALL, own.at[f], lanes) : __shfl_down_sync(ALL, own.at[f], -lanes);
    return s;
}

// Grid: B * ceil(C / CARRY_LANES) blocks. states, tops (B, chunks, C).
template <bool SLOPES>
__device__ void carry(long long length, long long C, long long tokens, const float* __restrict__ w,
                      Sides<SLOPES>* states, float* tops) {
    using S = State<SLOPES>;
    __shared__ S left_of[CARRY_WARPS][CARRY_LANES], right_of[CARRY_WARPS][CARRY_LANES];
    __shared__ float top_of[CARRY_WARPS][CARRY_LANES];
    const unsigned int blocks = static_cast<unsigned int>((C + CARRY_LANES - 1) / CARRY_LANES);
    const int lane = threadIdx.x % CARRY_LANES, warp = threadIdx.x / LANES;
    const int segment = threadIdx.x / CARRY_LANES, in_warp = segment % IN_WARP;
    const long long c = static_cast<long long>(blockIdx.x % blocks) * CARRY_LANES + lane;
    const bool inside = c < C;
    const long long chunks = (length + tokens - 1) / tokens;
    const long long share = (chunks + IN_WARP * CARRY_WARPS - 1) / (IN_WARP * CARRY_WARPS);
    const long long begin = segment * share < chunks && inside ? segment * share : chunks;
    const long long end = begin + share < chunks ? begin + share : chunks;
    states += blockIdx.x / blocks * chunks * C + c;
    tops += blockIdx.x / blocks * chunks * C + c;

    float top = LOWEST;
#pragma unroll 4
    for (long long j = begin; j < end; ++j) top = fmaxf(top, tops[j * C]);
#pragma unroll
    for (int d = CARRY_LANES; d < LANES; d *= 2) top = fmaxf(top, __shfl_xor_sync(ALL, top, d));
    if (in_warp == 0) top_of[warp][lane] = top;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < CARRY_WARPS; ++i) top = fmaxf(top, top_of[i][lane]);

    const Decay<float> decay(inside ? w[c] : 0.0f, length);
    const float chunk_length = static_cast<float>(tokens), chunk_power = decay.power(chunk_length);
    // Forward sums are relative to their own chunk's largest key; gradients have nothing to do with it.
    auto own = [&](long long j) {
        Sides<SLOPES> s = states[j * C];
        if constexpr (!SLOPES) {
            const float scale = expf(tops[j * C] - top);
            s.left.at[A] *= scale, s.left.at[B] *= scale, s.right.at[A] *= scale, s.right.at[B] *= scale;
        }
        return s;
    };
    // Of this thread's segment, then of all up to it in its warp. Several chunks are read before one is used: each
    // comes from far away.
    S left = {}, right = {};
    for (long long j = begin; j < end; j += AT_ONCE) {
        Sides<SLOPES> some[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; ++i) some[i] = j + i < end ? own(j + i) : Sides<SLOPES>{};
#pragma unroll
        for (int i = 0; i < AT_ONCE; ++i)
            if (j + i < end) left.pass(chunk_power, chunk_length, some[i].left);
    }
    for (long long j = end; j > begin; j -= AT_ONCE) {
        Sides<SLOPES> some[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; ++i) some[i] = j - 1 - i >= begin ? own(j - 1 - i) : Sides<SLOPES>{};
#pragma unroll
        for (int i = 0; i < AT_ONCE; ++i)
            if (j - 1 - i >= begin) right.pass(chunk_power, chunk_length, some[i].right);
    }
#pragma unroll
    for (int d = 1; d < IN_WARP; d *= 2) {
        const float over = static_cast<float>(d * share * tokens), power = decay.power(over);
        S before = shifted(left, d * CARRY_LANES), behind = shifted(right, -d * CARRY_LANES);
        before.pass(power, over, left), behind.pass(power, over, right);
        if (in_warp >= d) left = before;
        if (in_warp + d < IN_WARP) right = behind;
    }
    if (in_warp == IN_WARP - 1) left_of[warp][lane] = left;
    if (in_warp == 0) right_of[warp][lane] = right;
    left = shifted(left, CARRY_LANES), right = shifted(right, -CARRY_LANES);
    if (in_warp == 0) left = S{};
    if (in_warp == IN_WARP - 1) right = S{};
    __syncthreads();

    const float warp_length = static_cast<float>(IN_WARP * share * tokens), warp_power = decay.power(warp_length);
    S from_left = {}, from_right = {};
    for (int i = 0; i < warp; ++i) from_left.pass(warp_power, warp_length, left_of[i][lane]);
    for (int i = CARRY_WARPS - 1; i > warp; --i) from_right.pass(warp_power, warp_length, right_of[i][lane]);
    const float before = static_cast<float>(in_warp * share * tokens);
    const float behind = static_cast<float>((IN_WARP - 1 - in_warp) * share * tokens);
    from_left.pass(decay.power(before), before, left);
    from_right.pass(decay.power(behind), behind, right);

    for (long long j = begin; j < end; j += AT_ONCE) {
        Sides<SLOPES> some[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; ++i) some[i] = j + i < end ? own(j + i) : Sides<SLOPES>{};
#pragma unroll
        for (int i = 0; i < AT_ONCE; ++i) {
            if (j + i >= end) break;
            states[(j + i) * C].left = from_left;
            from_left.pass(chunk_power, chunk_length, some[i].left);
        }
    }
    for (long long j = end; j > begin; j -= AT_ONCE) {
        Sides<SLOPES> some[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; ++i) some[i] = j - 1 - i >= begin ? own(j - 1 - i) : Sides<SLOPES>{};
#pragma unroll
        for (int i = 0; i < AT_ONCE; ++i) {
            if (j - 1 - i < begin) break;
            states[(j - 1 - i) * C].right = from_right;
            from_right.pass(chunk_power, chunk_length, some[i].right);
            tops[(j - 1 - i) * C] = top;  // of the whole sequence now
        }
    }
}

}  // namespace
