// Bidirectional WKV on a graphics card. Formula: stylecli/ops/bi_wkv/reference.py, derivation: bi_wkv.cpp beside this.
//
// With e = exp(k - max k), numerator and denominator are one symmetric operator applied to e * v and to e:
//     (A x)_t = exp(u) x_t + S_t + S'_t,   S_{t+1} = lam S_t + x_t  (S' likewise from the right),   lam = exp(-w / T).
// The gradient is A applied to grad / den and -grad y / den; the decay's needs the slopes P_{t+1} = lam (P_t + S_t).
//
// A block takes LANES channels, one a lane, and one chunk of the tokens; a warp takes STEPS of these tokens. Three
// kernels make a scan over any number of tokens: `sums` (each chunk alone), `carry` (the states that enter each
// chunk, in place), `apply` (each chunk again, now with what enters it). Powers of lam over more than one step are
// exponentials, not products, so that rounding does not build up with T. Nothing is summed in an order that
// depends on timing: the same input gives the same bits.
//
// Every argument is 8 bytes long. Tensors are contiguous (B, T, C). `wide` says that rows of C and all pointers are
// multiples of 16 bytes. The denominator of the forward pass may be null. Shared between `sums`, `carry` and `apply`:
// sums (B, chunks, fields, C) float32, its fields being max k, the state from the left, the state from the right.

#include "../common/storage.cuh"

namespace {

constexpr int LANES = 32;
constexpr float LOWEST = -3.4e38f;

// Shapes of a block. Python knows WARPS * STEPS as the length of a chunk.
template <class T>
struct Forward {
    static constexpr int STEPS = 16, WARPS = sizeof(T) == 2 ? 16 : 8;
};
struct Backward {
    static constexpr int STEPS = 8, WARPS = 8;
};

constexpr int SEGMENTS = 128, SEGMENT_LANES = 8;  // a block of `carry`

enum { A, B, SLOPE_A, SLOPE_B };

// State of one direction for the two streams a and b; with slopes or without.
template <bool SLOPES>
struct State {
    static constexpr int FIELDS = SLOPES ? 4 : 2;
    float at[FIELDS];

    // Go on over `length` tokens that leave `own` behind where nothing enters them; power = lam^length.
    __device__ void pass(float power, float length, const State& own) {
        if constexpr (SLOPES) {
            at[SLOPE_A] = power * (at[SLOPE_A] + length * at[A]) + own.at[SLOPE_A];
            at[SLOPE_B] = power * (at[SLOPE_B] + length * at[B]) + own.at[SLOPE_B];
        }
        at[A] = power * at[A] + own.at[A];
        at[B] = power * at[B] + own.at[B];
    }
    __device__ void step(float lam, float a, float b) { pass(lam, 1.0f, State{{a, b}}); }

    __device__ static State load(const float* from, long long stride) {
        State s;
#pragma unroll
        for (int f = 0; f < FIELDS; ++f) s.at[f] = from[f * stride];
        return s;
    }
    __device__ void store(float* to, long long stride) const {
#pragma unroll
        for (int f = 0; f < FIELDS; ++f) to[f * stride] = at[f];
    }
};

template <bool SLOPES>
constexpr int FIELDS = 1 + 2 * State<SLOPES>::FIELDS;

// exp(x), and a / b. Results of 16 bits need no more than the card's own approximations (2e-6 at |x| = 30), and without
// them arithmetic takes longer than reading and writing.
template <class T>
__device__ inline float exponential(float x) {
    if constexpr (sizeof(T) == 2) return fast_exp2(x * LOG2_E);
    return expf(x);
}
template <class T>
__device__ inline float quotient(float a, float b) {
    if constexpr (sizeof(T) == 2) return fast_quotient(a, b);
    return a / b;
}

// lam^n. No state other than zero is passed over more than T tokens, so that the bound keeps 0 * inf away.
__device__ inline float power(float w, long long n, long long T) {
    return expf(-w * (static_cast<float>(n < T ? n : T) / static_cast<float>(T)));
}

// Which part of the tensors a block works on, and a thread of it.
template <int STEPS, int WARPS>
struct Part {
    static constexpr int TOKENS = STEPS * WARPS, THREADS = LANES * WARPS;
    long long C, at;   // at: the first element of the block's part
    long long row;     // of sums: b * chunks + chunk
    int rows, columns;  // of the block's part that exist
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
    __device__ float* fields(float* sums, int fields) const { return sums + row * fields * C + c; }
};

// A block's part of one tensor on its way into shared memory: 16 bytes a thread where `wide`.
template <class T, class P>
struct Carried {
    static constexpr int WIDTH = 16 / sizeof(T), PARTS = LANES / WIDTH, ROUNDS = P::TOKENS * PARTS / P::THREADS;
    static_assert(ROUNDS * P::THREADS == P::TOKENS * PARTS, "whole rounds");
    Bytes16 held[ROUNDS];

    __device__ void fetch(const P& part, const T* __restrict__ from, bool wide) {
        if (!wide) return;
#pragma unroll
        for (int r = 0; r < ROUNDS; ++r) {
            const int i = threadIdx.x + r * P::THREADS, row = i / PARTS, column = i % PARTS * WIDTH;
            held[r] = Bytes16{};
            if (row < part.rows && column < part.columns)
                held[r] = *reinterpret_cast<const Bytes16*>(from + part.at + row * part.C + column);
        }
    }
    __device__ void put(const P& part, const T* __restrict__ from, bool wide, T (*tile)[LANES]) {
        if (wide) {
#pragma unroll
            for (int r = 0; r < ROUNDS; ++r) {
                const int i = threadIdx.x + r * P::THREADS;
                *reinterpret_cast<Bytes16*>(&tile[i / PARTS][i % PARTS * WIDTH]) = held[r];
            }
        } else {
            for (int row = part.warp; row < P::TOKENS; row += P::THREADS / LANES)
                tile[row][part.lane] =
                    row < part.rows && part.inside ? from[part.at + row * part.C + part.lane] : T{};
        }
    }
};

template <class T, class P>
__device__ void store_tile(const P& part, T (*tile)[LANES], T* __restrict__ to, bool wide) {
    using Way = Carried<T, P>;
    if (wide) {
#pragma unroll
        for (int r = 0; r < Way::ROUNDS; ++r) {
            const int i = threadIdx.x + r * P::THREADS, row = i / Way::PARTS, column = i % Way::PARTS * Way::WIDTH;
            if (row < part.rows && column < part.columns)
                *reinterpret_cast<Bytes16*>(to + part.at + row * part.C + column) =
                    *reinterpret_cast<const Bytes16*>(&tile[row][column]);
        }
    } else {
        for (int row = part.warp; row < part.rows; row += P::THREADS / LANES)
            if (part.inside) to[part.at + row * part.C + part.lane] = tile[row][part.lane];
    }
}

// What enters this warp's tokens: what enters the chunk, passed over the warps in between.
template <int WARPS, bool SLOPES>
struct Entering {
    State<SLOPES> left, right;

    __device__ Entering(const float* fields, long long C, bool inside, int warp, int lane, float power, float length,
                        const State<SLOPES> (*left_of)[LANES], const State<SLOPES> (*right_of)[LANES])
        : left{}, right{} {
        if (inside) {
            left = State<SLOPES>::load(fields + C, C);
            right = State<SLOPES>::load(fields + (1 + State<SLOPES>::FIELDS) * C, C);
        }
        for (int i = 0; i < warp; ++i) left.pass(power, length, left_of[i][lane]);
        for (int i = WARPS - 1; i > warp; --i) right.pass(power, length, right_of[i][lane]);
    }
};

// The whole chunk's state, from those of its warps, by warp 0 for the left and by warp 1 for the right.
template <int WARPS, bool SLOPES, class P>
__device__ void store_sums(const P& part, float* fields, float top, float power, float length,
                           const State<SLOPES> (*left_of)[LANES], const State<SLOPES> (*right_of)[LANES]) {
    if (part.warp > 1 || !part.inside) return;
    State<SLOPES> total = {};
    if (part.warp == 0) {
        for (int i = 0; i < WARPS; ++i) total.pass(power, length, left_of[i][part.lane]);
        fields[0] = top;
        total.store(fields + part.C, part.C);
    } else {
        for (int i = WARPS - 1; i >= 0; --i) total.pass(power, length, right_of[i][part.lane]);
        total.store(fields + (1 + State<SLOPES>::FIELDS) * part.C, part.C);
    }
}

// Largest key of a block's part, per channel. Synchronizes the block.
template <int STEPS, int WARPS, class T, class P>
__device__ float largest(const P& part, T (*keys)[LANES]) {
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

template <class T>
__device__ void forward_sums(long long length, long long C, long long wide, const T* __restrict__ k,
                             const T* __restrict__ v, const float* __restrict__ w, float* __restrict__ sums) {
    constexpr int STEPS = Forward<T>::STEPS, WARPS = Forward<T>::WARPS;
    using P = Part<STEPS, WARPS>;
    alignas(16) __shared__ T keys[P::TOKENS][LANES], values[P::TOKENS][LANES];
    __shared__ State<false> left_of[WARPS][LANES], right_of[WARPS][LANES];
    const P part(length, C, false);
    Carried<T, P> carried_k, carried_v;
    carried_k.fetch(part, k, wide), carried_v.fetch(part, v, wide);
    carried_k.put(part, k, wide, keys), carried_v.put(part, v, wide, values);
    __syncthreads();

    const float decay = part.inside ? w[part.c] : 0.0f, lam = power(decay, 1, length);
    const float top = largest<STEPS, WARPS>(part, keys);
    float e[STEPS], x[STEPS];
    State<false> left = {}, right = {};
#pragma unroll
    for (int i = 0; i < STEPS; ++i) {
        const int t = part.warp * STEPS + i;
        e[i] = i < part.valid ? exponential<T>(widen(keys[t][part.lane]) - top) : 0.0f;
        x[i] = i < part.valid ? e[i] * widen(values[t][part.lane]) : 0.0f;
        left.step(lam, x[i], e[i]);
    }
#pragma unroll
    for (int i = STEPS - 1; i >= 0; --i)
        if (i < part.valid) right.step(lam, x[i], e[i]);
    left_of[part.warp][part.lane] = left, right_of[part.warp][part.lane] = right;
    __syncthreads();
    store_sums<WARPS, false>(part, part.fields(sums, FIELDS<false>), top, power(decay, STEPS, length), STEPS, left_of,
                             right_of);
}

template <class T>
__device__ void forward_apply(long long length, long long C, long long wide, const T* __restrict__ k,
                              const T* __restrict__ v, const float* __restrict__ w, const float* __restrict__ u,
                              float* __restrict__ sums, T* __restrict__ y, float* __restrict__ denominator) {
    constexpr int STEPS = Forward<T>::STEPS, WARPS = Forward<T>::WARPS;
    using P = Part<STEPS, WARPS>;
    alignas(16) __shared__ T keys[P::TOKENS][LANES], values[P::TOKENS][LANES];
    __shared__ State<false> left_of[WARPS][LANES], right_of[WARPS][LANES];
    const P part(length, C, true);
    Carried<T, P> carried_k, carried_v;
    carried_k.fetch(part, k, wide), carried_v.fetch(part, v, wide);
    carried_k.put(part, k, wide, keys), carried_v.put(part, v, wide, values);
    __syncthreads();

    const float decay = part.inside ? w[part.c] : 0.0f, lam = power(decay, 1, length);
    const float bonus = part.inside ? expf(u[part.c]) : 1.0f;
    const float* fields = part.fields(sums, FIELDS<false>);
    const float top = part.inside ? fields[0] : 0.0f;
    T(*own_keys)[LANES] = keys + part.warp * STEPS;
    T(*own_values)[LANES] = values + part.warp * STEPS;
    State<false> left = {}, right = {};
    {
        float e[STEPS], x[STEPS];
#pragma unroll
        for (int i = 0; i < STEPS; ++i) {
            e[i] = i < part.valid ? exponential<T>(widen(own_keys[i][part.lane]) - top) : 0.0f;
            x[i] = i < part.valid ? e[i] * widen(own_values[i][part.lane]) : 0.0f;
            left.step(lam, x[i], e[i]);
        }
#pragma unroll
        for (int i = STEPS - 1; i >= 0; --i)
            if (i < part.valid) right.step(lam, x[i], e[i]);
    }
    left_of[part.warp][part.lane] = left, right_of[part.warp][part.lane] = right;
    __syncthreads();

    Entering<WARPS, false> enters(fields, C, part.inside, part.warp, part.lane, power(decay, STEPS, length), STEPS,
                                  left_of, right_of);
    // The exponentials are taken again rather than kept: registers decide how many blocks hide the memory's latency.
    float from_right_a[STEPS], from_right_b[STEPS];
#pragma unroll
    for (int i = STEPS - 1; i >= 0; --i) {
        from_right_a[i] = enters.right.at[A], from_right_b[i] = enters.right.at[B];
        if (i < part.valid) {
            const float e = exponential<T>(widen(own_keys[i][part.lane]) - top);
            enters.right.step(lam, e * widen(own_values[i][part.lane]), e);
        }
    }
#pragma unroll
    for (int i = 0; i < STEPS; ++i) {
        if (i >= part.valid) continue;
        const float e = exponential<T>(widen(own_keys[i][part.lane]) - top), x = e * widen(own_values[i][part.lane]);
        const float den = enters.left.at[B] + from_right_b[i] + bonus * e;
        narrow(quotient<T>(enters.left.at[A] + from_right_a[i] + bonus * x, den), own_values[i][part.lane]);
        if (part.inside && denominator) denominator[part.at + (part.warp * STEPS + i) * C + part.lane] = den;
        enters.left.step(lam, x, e);
    }
    __syncthreads();
    store_tile(part, values, y, wide);
}

// Grid: B * ceil(C / SEGMENT_LANES) blocks. A thread takes one channel and one segment of the chunks.
template <bool SLOPES>
__device__ void carry(long long length, long long C, long long tokens, const float* __restrict__ w, float* sums) {
    using S = State<SLOPES>;
    __shared__ S left_of[SEGMENTS][SEGMENT_LANES], right_of[SEGMENTS][SEGMENT_LANES];
    __shared__ float tops[SEGMENTS][SEGMENT_LANES];
    const unsigned int blocks = static_cast<unsigned int>((C + SEGMENT_LANES - 1) / SEGMENT_LANES);
    const int lane = threadIdx.x % SEGMENT_LANES, segment = threadIdx.x / SEGMENT_LANES;
    const long long c = static_cast<long long>(blockIdx.x % blocks) * SEGMENT_LANES + lane;
    const bool inside = c < C;
    const long long chunks = (length + tokens - 1) / tokens, fair = (chunks + SEGMENTS - 1) / SEGMENTS;
    const long long share = fair < 4 ? 4 : fair, used = (chunks + share - 1) / share;
    const long long begin = segment * share < chunks && inside ? segment * share : chunks;
    const long long end = begin + share < chunks ? begin + share : chunks;
    const long long row = FIELDS<SLOPES> * C;
    float* at = sums + blockIdx.x / blocks * chunks * row + c;
    float *left_at = at + C, *right_at = at + (1 + S::FIELDS) * C;

    float top = LOWEST;
#pragma unroll 4
    for (long long j = begin; j < end; ++j) top = fmaxf(top, at[j * row]);
    tops[segment][lane] = top;
    __syncthreads();
    for (long long i = 0; i < used; ++i) top = fmaxf(top, tops[i][lane]);

    const float decay = inside ? w[c] : 0.0f, chunk_power = power(decay, tokens, length);
    const float chunk_length = static_cast<float>(tokens);
    // Forward sums are relative to their own chunk's largest key; gradients have nothing to do with it.
    auto scaled = [&](const float* from, long long j) {
        S s = S::load(from + j * row, C);
        if (!SLOPES) {
            const float scale = expf(at[j * row] - top);
            s.at[A] *= scale, s.at[B] *= scale;
        }
        return s;
    };
    S left = {}, right = {};
#pragma unroll 4
    for (long long j = begin; j < end; ++j) left.pass(chunk_power, chunk_length, scaled(left_at, j));
#pragma unroll 4
    for (long long j = end - 1; j >= begin; --j) right.pass(chunk_power, chunk_length, scaled(right_at, j));
    left_of[segment][lane] = left, right_of[segment][lane] = right;
    __syncthreads();

    const float segment_power = power(decay, share * tokens, length);
    const float segment_length = static_cast<float>(share * tokens);
    if (segment < 2) {  // segment 0 does the left, segment 1 the right
        S state = {};
        for (long long i = 0; i < used; ++i) {
            S& place = segment == 0 ? left_of[i][lane] : right_of[used - 1 - i][lane];
            const S own = place;
            place = state;
            state.pass(segment_power, segment_length, own);
        }
    }
    __syncthreads();

    left = left_of[segment][lane], right = right_of[segment][lane];
#pragma unroll 4
    for (long long j = begin; j < end; ++j) {
        const S own = scaled(left_at, j);
        left.store(left_at + j * row, C);
        left.pass(chunk_power, chunk_length, own);
    }
#pragma unroll 4
    for (long long j = end - 1; j >= begin; --j) {
        const S own = scaled(right_at, j);
        right.store(right_at + j * row, C);
        right.pass(chunk_power, chunk_length, own);
        at[j * row] = top;  // of the whole sequence now
    }
}

// The two streams of the gradient.
template <class T>
__device__ inline void streams(T grad, T y, float denominator, float& a, float& b) {
    a = quotient<T>(widen(grad), denominator);
    b = -a * widen(y);
}

template <class T>
__device__ void backward_sums(long long length, long long C, long long wide, const T* __restrict__ k,
                              const T* __restrict__ grad, const T* __restrict__ y,
                              const float* __restrict__ denominator, const float* __restrict__ w,
                              float* __restrict__ sums) {
    constexpr int STEPS = Backward::STEPS, WARPS = Backward::WARPS;
    using P = Part<STEPS, WARPS>;
    alignas(16) __shared__ T keys[P::TOKENS][LANES], grads[P::TOKENS][LANES], results[P::TOKENS][LANES];
    alignas(16) __shared__ float dens[P::TOKENS][LANES];
    __shared__ State<true> left_of[WARPS][LANES], right_of[WARPS][LANES];
    const P part(length, C, false);
    Carried<T, P> carried_k, carried_g, carried_y;
    Carried<float, P> carried_d;
    carried_k.fetch(part, k, wide), carried_g.fetch(part, grad, wide);
    carried_y.fetch(part, y, wide), carried_d.fetch(part, denominator, wide);
    carried_k.put(part, k, wide, keys), carried_g.put(part, grad, wide, grads);
    carried_y.put(part, y, wide, results), carried_d.put(part, denominator, wide, dens);
    __syncthreads();

    const float decay = part.inside ? w[part.c] : 0.0f, lam = power(decay, 1, length);
    const float top = largest<STEPS, WARPS>(part, keys);
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
    store_sums<WARPS, true>(part, part.fields(sums, FIELDS<true>), top, power(decay, STEPS, length), STEPS, left_of,
                            right_of);
}

// partial (B, chunks, 2, C) float32: each chunk's share of the gradients of w and u.
template <class T>
__device__ void backward_apply(long long length, long long C, long long wide, const T* __restrict__ k,
                               const T* __restrict__ v, const T* __restrict__ grad, const T* __restrict__ y,
                               const float* __restrict__ denominator, const float* __restrict__ w,
                               const float* __restrict__ u, float* __restrict__ sums, T* __restrict__ grad_k,
                               T* __restrict__ grad_v, float* __restrict__ partial) {
    constexpr int STEPS = Backward::STEPS, WARPS = Backward::WARPS;
    using P = Part<STEPS, WARPS>;
    alignas(16) __shared__ T keys[P::TOKENS][LANES], values[P::TOKENS][LANES];
    alignas(16) __shared__ T grads[P::TOKENS][LANES], results[P::TOKENS][LANES];
    alignas(16) __shared__ float dens[P::TOKENS][LANES];
    __shared__ State<true> left_of[WARPS][LANES], right_of[WARPS][LANES];
    const P part(length, C, true);
    {
        Carried<T, P> carried_k, carried_v, carried_g, carried_y;
        Carried<float, P> carried_d;
        carried_k.fetch(part, k, wide), carried_v.fetch(part, v, wide), carried_g.fetch(part, grad, wide);
        carried_y.fetch(part, y, wide), carried_d.fetch(part, denominator, wide);
        carried_k.put(part, k, wide, keys), carried_v.put(part, v, wide, values);
        carried_g.put(part, grad, wide, grads), carried_y.put(part, y, wide, results);
        carried_d.put(part, denominator, wide, dens);
    }
    __syncthreads();

    const float decay = part.inside ? w[part.c] : 0.0f, lam = power(decay, 1, length);
    const float bonus = part.inside ? expf(u[part.c]) : 1.0f;
    const float* fields = part.fields(sums, FIELDS<true>);
    const float top = part.inside ? fields[0] : 0.0f;
    float a[STEPS], b[STEPS], e[STEPS], x[STEPS];
    State<true> left = {}, right = {};
#pragma unroll
    for (int i = 0; i < STEPS; ++i) {
        const int t = part.warp * STEPS + i;
        a[i] = b[i] = e[i] = x[i] = 0.0f;
        if (i < part.valid) {
            streams(grads[t][part.lane], results[t][part.lane], dens[t][part.lane], a[i], b[i]);
            e[i] = exponential<T>(widen(keys[t][part.lane]) - top);
            x[i] = e[i] * widen(values[t][part.lane]);
        }
        left.step(lam, a[i], b[i]);
    }
#pragma unroll
    for (int i = STEPS - 1; i >= 0; --i)
        if (i < part.valid) right.step(lam, a[i], b[i]);
    left_of[part.warp][part.lane] = left, right_of[part.warp][part.lane] = right;
    __syncthreads();

    Entering<WARPS, true> enters(fields, C, part.inside, part.warp, part.lane, power(decay, STEPS, length), STEPS,
                                 left_of, right_of);
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

// Grids: B * chunks * ceil(C / LANES) blocks of 32 * WARPS threads; `carry` see above.
#define KERNELS(NAME, TYPE)                                                                                          \
    extern "C" __global__ void __launch_bounds__(32 * Forward<TYPE>::WARPS, 1024 / (32 * Forward<TYPE>::WARPS))      \
        bi_wkv_forward_sums_##NAME(long long T, long long C, long long wide, const TYPE* k, const TYPE* v,           \
                                   const float* w, float* sums) {                                                    \
        forward_sums<TYPE>(T, C, wide, k, v, w, sums);                                                               \
    }                                                                                                                \
    extern "C" __global__ void __launch_bounds__(32 * Forward<TYPE>::WARPS, 1024 / (32 * Forward<TYPE>::WARPS))      \
        bi_wkv_forward_apply_##NAME(long long T, long long C, long long wide, const TYPE* k, const TYPE* v,          \
                                    const float* w, const float* u, float* sums, TYPE* y, float* denominator) {      \
        forward_apply<TYPE>(T, C, wide, k, v, w, u, sums, y, denominator);                                           \
    }                                                                                                                \
    extern "C" __global__ void __launch_bounds__(32 * Backward::WARPS)                                               \
        bi_wkv_backward_sums_##NAME(long long T, long long C, long long wide, const TYPE* k, const TYPE* grad,       \
                                    const TYPE* y, const float* denominator, const float* w, float* sums) {          \
        backward_sums<TYPE>(T, C, wide, k, grad, y, denominator, w, sums);                                           \
    }                                                                                                                \
    extern "C" __global__ void __launch_bounds__(32 * Backward::WARPS)                                               \
        bi_wkv_backward_apply_##NAME(long long T, long long C, long long wide, const TYPE* k, const TYPE* v,         \
                                     const TYPE* grad, const TYPE* y, const float* denominator, const float* w,      \
                                     const float* u, float* sums, TYPE* grad_k, TYPE* grad_v, float* partial) {      \
        backward_apply<TYPE>(T, C, wide, k, v, grad, y, denominator, w, u, sums, grad_k, grad_v, partial);           \
    }

FOR_EACH_STORAGE(KERNELS)

extern "C" __global__ void __launch_bounds__(SEGMENTS* SEGMENT_LANES)
    bi_wkv_forward_carry(long long T, long long C, long long tokens, const float* w, float* sums) {
    carry<false>(T, C, tokens, w, sums);
}

extern "C" __global__ void __launch_bounds__(SEGMENTS* SEGMENT_LANES)
    bi_wkv_backward_carry(long long T, long long C, long long tokens, const float* w, float* sums) {
    carry<true>(T, C, tokens, w, sums);
}
