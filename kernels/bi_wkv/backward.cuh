// The gradients: `backward_sums` and `backward_apply`.
//
// A warp takes 32 channels, one a lane, and STEPS tokens. A block's part of every tensor is read into shared memory,
// 16 bytes a thread where `wide` says that rows of C and all pointers are multiples of 16 bytes.

#pragma once

#include "state.cuh"

namespace {

constexpr int STEPS = 8, WARPS = 8, TOKENS = STEPS * WARPS, THREADS = WARPS * LANES;

// Which part of the tensors a block works on, and a thread of it.
struct Part {
    long long C, at;        // at: the first element of the block's part
    long long row;          // of states: b * chunks + chunk
    int rows, columns;      // of the block's part that exist
    int lane, warp, valid;  // valid: tokens of this warp that exist
    long long c;            // this lane's channel
    bool inside;

    __device__ Part(long long T, long long channels, bool reversed) : C(channels) {
        const unsigned int blocks = static_cast<unsigned int>((C + LANES - 1) / LANES);
        const unsigned int chunks = static_cast<unsigned int>((T + TOKENS - 1) / TOKENS);
        // `apply` starts where `sums` ended: that part of the input is still in the cache.
        const unsigned int block = reversed ? gridDim.x - 1 - blockIdx.x : blockIdx.x;
        const long long c0 = static_cast<long long>(block % blocks) * LANES;
        row = block / blocks;
        const long long t0 = row % chunks * TOKENS;
        at = (row / chunks * T + t0) * C + c0;
        rows = static_cast<int>(T - t0 < TOKENS ? T - t0 : TOKENS);
        columns = static_cast<int>(C - c0 < LANES ? C - c0 : LANES);
        lane = threadIdx.x % LANES, warp = threadIdx.x / LANES;
        valid = rows - warp * STEPS;
        c = c0 + lane;
        inside = lane < columns;
    }
};

// A block's part of one tensor on its way into shared memory: 16 bytes a thread where `wide`.
template <class T>
struct Carried {
    static constexpr int WIDTH = 16 / sizeof(T), PARTS = LANES / WIDTH, ROUNDS = TOKENS * PARTS / THREADS;
    static_assert(ROUNDS * THREADS == TOKENS * PARTS, "whole rounds");
    Bytes16 held[ROUNDS];

    __device__ void fetch(const Part& part, const T* __restrict__ from, bool wide) {
        if (!wide) return;
#pragma unroll
        for (int r = 0; r < ROUNDS; ++r) {
            const int i = threadIdx.x + r * THREADS, row = i / PARTS, column = i % PARTS * WIDTH;
            held[r] = Bytes16{};
            if (row < part.rows && column < part.columns)
                held[r] = *reinterpret_cast<const Bytes16*>(from + part.at + row * part.C + column);
        }
    }
    __device__ void put(const Part& part, const T* __restrict__ from, bool wide, T (*tile)[LANES]) {
        if (wide) {
#pragma unroll
            for (int r = 0; r < ROUNDS; ++r) {
                const int i = threadIdx.x + r * THREADS;
                *reinterpret_cast<Bytes16*>(&tile[i / PARTS][i % PARTS * WIDTH]) = held[r];
            }
        } else {
            for (int row = part.warp; row < TOKENS; row += THREADS / LANES)
                tile[row][part.lane] = row < part.rows && part.inside ? from[part.at + row * part.C + part.lane] : T{};
        }
    }
};

template <class T>
__device__ void store_tile(const Part& part, T (*tile)[LANES], T* __restrict__ to, bool wide) {
    using Way = Carried<T>;
    if (wide) {
#pragma unroll
        for (int r = 0; r < Way::ROUNDS; ++r) {
            const int i = threadIdx.x + r * THREADS, row = i / Way::PARTS, column = i % Way::PARTS * Way::WIDTH;
            if (row < part.rows && column < part.columns)
                *reinterpret_cast<Bytes16*>(to + part.at + row * part.C + column) =
                    *reinterpret_cast<const Bytes16*>(&tile[row][column]);
        }
    } else {
        for (int row = part.warp; row < part.rows; row += THREADS / LANES)
            if (part.inside) to[part.at + row * part.C + part.lane] = tile[row][part.lane];
    }
}

// What enters this warp's tokens: what enters the chunk, passed over the warps in between.
__device__ inline Sides<true> entering(const Part& part, const Sides<true>* __restrict__ states, float power,
                                       const State<true> (*left_of)[LANES], const State<true> (*right_of)[LANES]) {
    Sides<true> s = part.inside ? states[part.row * part.C + part.c] : Sides<true>{};
    for (int i = 0; i < part.warp; ++i) s.left.pass(power, STEPS, left_of[i][part.lane]);
    for (int i = WARPS - 1; i > part.warp; --i) s.right.pass(power, STEPS, right_of[i][part.lane]);
    return s;
}

// The whole chunk's state, from those of its warps, by warp 0 for the left and by warp 1 for the right.
__device__ inline void store_sums(const Part& part, Sides<true>* __restrict__ states, float power,
                                  const State<true> (*left_of)[LANES], const State<true> (*right_of)[LANES]) {
    if (part.warp > 1 || !part.inside) return;
    Sides<true>& to = states[part.row * part.C + part.c];
    State<true> total = {};
    if (part.warp == 0) {
        for (int i = 0; i < WARPS; ++i) total.pass(power, STEPS, left_of[i][part.lane]);
        to.left = total;
    } else {
        for (int i = WARPS - 1; i >= 0; --i) total.pass(power, STEPS, right_of[i][part.lane]);
        to.right = total;
    }
}

// Largest key of a block's part, per channel. Synchronizes the block.
template <class T>
__device__ float largest(const Part& part, T (*keys)[LANES]) {
    __shared__ float tops[WARPS][LANES];
    float top = LOWEST;
#pragma unroll
    for (int i = 0; i < STEPS; ++i)
        if (i < part.valid) top = fmaxf(top, widen(keys[part.warp * STEPS + i][part.lane]));
    tops[part.warp][part.lane] = top;
    __syncthreads();
    for (int i = 0; i < WARPS; ++i) top = fmaxf(top, tops[i][part.lane]);
    return top;
}

// The two streams of the gradient.
template <class T>
__device__ inline void streams(T grad, T y, float denominator, float& a, float& b) {
    a = fast_quotient(widen(grad), denominator);
    b = -a * widen(y);
}

template <class T>
__device__ void backward_sums(long long length, long long C, long long wide, const T* __restrict__ k,
                              const T* __restrict__ grad, const T* __restrict__ y,
                              const float* __restrict__ denominator, const float* __restrict__ w,
                              Sides<true>* __restrict__ states, float* __restrict__ tops) {
    alignas(16) __shared__ T keys[TOKENS][LANES], grads[TOKENS][LANES], results[TOKENS][LANES];
    alignas(16) __shared__ float dens[TOKENS][LANES];
    __shared__ State<true> left_of[WARPS][LANES], right_of[WARPS][LANES];
    const Part part(length, C, false);
    Carried<T> carried_k, carried_g, carried_y;
    Carried<float> carried_d;
    carried_k.fetch(part, k, wide), carried_g.fetch(part, grad, wide);
    carried_y.fetch(part, y, wide), carried_d.fetch(part, denominator, wide);
    carried_k.put(part, k, wide, keys), carried_g.put(part, grad, wide, grads);
    carried_y.put(part, y, wide, results), carried_d.put(part, denominator, wide, dens);
    __syncthreads();

    const Decay<float> decay(part.inside ? w[part.c] : 0.0f, length);
    const float lam = decay.power(1);
    const float top = largest(part, keys);
    float a[STEPS], b[STEPS];
    State<true> left = {}, right = {};
#pragma unroll
    for (int i = 0; i < STEPS; ++i) {
        const int t = part.warp * STEPS + i;
        a[i] = b[i] = 0.0f;
        if (i < part.valid) streams(grads[t][part.lane], results[t][part.lane], dens[t][part.lane], a[i], b[i]);
        left.step(lam, a[i], b[i]);
    }
#pragma unroll
    for (int i = STEPS - 1; i >= 0; --i)
        if (i < part.valid) right.step(lam, a[i], b[i]);
    left_of[part.warp][part.lane] = left, right_of[part.warp][part.lane] = right;
    __syncthreads();
    store_sums(part, states, decay.power(STEPS), left_of, right_of);
    if (part.warp == 0 && part.inside) tops[part.row * C + part.c] = top;
}

// partial (B, chunks, 2, C) float32: each chunk's share of the gradients of w and u.
template <class T>
__device__ void backward_apply(long long length, long long C, long long wide, const T* __restrict__ k,
                               const T* __restrict__ v, const T* __restrict__ grad, const T* __restrict__ y,
                               const float* __restrict__ denominator, const float* __restrict__ w,
                               const float* __restrict__ u, const Sides<true>* __restrict__ states,
                               const float* __restrict__ tops, T* __restrict__ grad_k, T* __restrict__ grad_v,
                               float* __restrict__ partial) {
    alignas(16) __shared__ T keys[TOKENS][LANES], values[TOKENS][LANES];
    alignas(16) __shared__ T grads[TOKENS][LANES], results[TOKENS][LANES];
    alignas(16) __shared__ float dens[TOKENS][LANES];
    __shared__ State<true> left_of[WARPS][LANES], right_of[WARPS][LANES];
    const Part part(length, C, true);
    {
        Carried<T> carried_k, carried_v, carried_g, carried_y;
        Carried<float> carried_d;
        carried_k.fetch(part, k, wide), carried_v.fetch(part, v, wide), carried_g.fetch(part, grad, wide);
        carried_y.fetch(part, y, wide), carried_d.fetch(part, denominator, wide);
        carried_k.put(part, k, wide, keys), carried_v.put(part, v, wide, values);
        carried_g.put(part, grad, wide, grads), carried_y.put(part, y, wide, results);
        carried_d.put(part, denominator, wide, dens);
    }
    __syncthreads();

    const Decay<float> decay(part.inside ? w[part.c] : 0.0f, length);
    const float lam = decay.power(1);
    const float bonus = part.inside ? expf(u[part.c]) : 1.0f;
    const Exponential<T> weight(part.inside ? tops[part.row * C + part.c] : 0.0f);
    float a[STEPS], b[STEPS], e[STEPS], x[STEPS];
    State<true> left = {}, right = {};
#pragma unroll
    for (int i = 0; i < STEPS; ++i) {
        const int t = part.warp * STEPS + i;
        a[i] = b[i] = e[i] = x[i] = 0.0f;
        if (i < part.valid) {
            streams(grads[t][part.lane], results[t][part.lane], dens[t][part.lane], a[i], b[i]);
            e[i] = weight(widen(keys[t][part.lane]));
            x[i] = e[i] * widen(values[t][part.lane]);
        }
        left.step(lam, a[i], b[i]);
    }
#pragma unroll
    for (int i = STEPS - 1; i >= 0; --i)
        if (i < part.valid) right.step(lam, a[i], b[i]);
    left_of[part.warp][part.lane] = left, right_of[part.warp][part.lane] = right;
    __syncthreads();

    Sides<true> enters = entering(part, states, decay.power(STEPS), left_of, right_of);
    float from_right_a[STEPS], from_right_b[STEPS], share_w = 0.0f, share_u = 0.0f;
#pragma unroll
    for (int i = STEPS - 1; i >= 0; --i) {
        from_right_a[i] = enters.right.at[A], from_right_b[i] = enters.right.at[B];
        if (i >= part.valid) continue;
        share_w += x[i] * enters.right.at[SLOPE_A] + e[i] * enters.right.at[SLOPE_B];
        enters.right.step(lam, a[i], b[i]);
    }
#pragma unroll
    for (int i = 0; i < STEPS; ++i) {
        if (i >= part.valid) continue;
        const int t = part.warp * STEPS + i;
        const float d_x = enters.left.at[A] + from_right_a[i] + bonus * a[i];
        const float d_e = enters.left.at[B] + from_right_b[i] + bonus * b[i];
        narrow(x[i] * d_x + e[i] * d_e, keys[t][part.lane]);
        narrow(e[i] * d_x, values[t][part.lane]);
        share_w += x[i] * enters.left.at[SLOPE_A] + e[i] * enters.left.at[SLOPE_B];
        share_u += x[i] * a[i] + e[i] * b[i];
        enters.left.step(lam, a[i], b[i]);
    }
    __syncthreads();  // left_of has been read by all: it holds the shares from here on
    store_tile(part, keys, grad_k, wide);
    store_tile(part, values, grad_v, wide);
    left_of[part.warp][part.lane].at[A] = share_w, left_of[part.warp][part.lane].at[B] = share_u;
    __syncthreads();
    if (part.warp > 1 || !part.inside) return;
    float total = 0.0f;
    for (int i = 0; i < WARPS; ++i) total += left_of[i][part.lane].at[part.warp == 0 ? A : B];
    total *= part.warp == 0 ? -1.0f / static_cast<float>(length) : bonus;
    partial[(part.row * 2 + part.warp) * C + part.c] = total;
}

}  // namespace
