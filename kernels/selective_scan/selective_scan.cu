// Selective scan (S6 of Mamba, arXiv 2312.00752) on a graphics card, written from its formula:
//     d_t = softplus(delta_t + bias),   h_t = exp(d_t A) h_{t-1} + d_t B_t u_t,   y_t = (C_t h_t + D u_t) silu(z_t)
// with STATES states for each channel; the softplus may be left out. Backward, with g_t = dL/dh_t:
//     g_t = C_t dy_t + exp(d_{t+1} A) g_{t+1}.
//
// A thread takes one channel and one chunk of the tokens, with all states in registers; the exponentials, STATES for
// each token and channel, bound the speed. Three kernels make a scan over any number of tokens: `sums` (each chunk
// alone), `carry` (the states that enter each chunk, in place), `apply` (each chunk again, now with what enters it).
// A chunk's decay is exp(A sum d), so that one sum serves all states. Nothing is summed in an order that depends on
// timing: the same input gives the same bits.
//
// Every argument is 8 bytes long; pointers to z and bias may be null. u, delta, z, y and grad (batch, L, D) are of the
// storage type; all else is float32: B and C (batch, L, STATES), A, given as (STATES, D), D and bias (D,). Contiguous.
// states (batch, chunks, STATES, D) and totals (batch, chunks, D), the sums of d, are float32. `chunk` is the length
// of a chunk, a multiple of TILE.

#include "../common/storage.cuh"

#ifndef STATES
#define STATES 16
#endif
#ifndef TILE  // tokens read at once; more than 8 do not fit into shared memory with more than 32 states
#define TILE 16
#endif

namespace {

constexpr int THREADS = 64;  // channels of a block
constexpr int AHEAD = 8;     // chunks that `carry` reads at once

using Column = float (*)[THREADS];  // TILE numbers of each thread, in shared memory

template <class T>
struct Inputs {
    const T *u, *delta;
    const float *A, *B, *C, *D;
    const T* z;
    const float* bias;
    bool softplus;
};

// A block's channels and chunk, and a thread's channel.
struct Part {
    long long batches, L, D, row, begin, end, batch;  // row: batch * chunks + chunk; tokens begin .. end of the batch
    long long d;
    unsigned int block;  // of the channels
    bool inside;

    __device__ Part(long long all, long long length, long long channels, long long chunk)
        : batches(all), L(length), D(channels) {
        const unsigned int blocks = static_cast<unsigned int>((D + THREADS - 1) / THREADS);
        const long long chunks = (L + chunk - 1) / chunk;
        block = blockIdx.x % blocks, row = blockIdx.x / blocks;
        batch = row / chunks, begin = row % chunks * chunk;
        end = begin + chunk < L ? begin + chunk : L;
        d = static_cast<long long>(block) * THREADS + threadIdx.x;
        inside = d < D;
    }
    // This channel's first token of a tile; tokens are D apart.
    template <class T>
    __device__ T* at(T* tensor, long long t) const {
        return tensor + (batch * L + t) * D + d;
    }
};

__device__ inline float softplus(float x) { return x > 20.0f ? x : log1pf(expf(x)); }
__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// TILE tokens of this thread's channel; zero where there are none.
template <class T>
__device__ void read(const Part& part, const T* __restrict__ from, long long t, Column to) {
    T raw[TILE];
#pragma unroll
    for (int i = 0; i < TILE; ++i) raw[i] = part.inside && t + i < part.end ? part.at(from, t)[i * part.D] : T{};
#pragma unroll
    for (int i = 0; i < TILE; ++i) to[i][threadIdx.x] = widen(raw[i]);
}

// d for TILE tokens; zero where there are none, which leaves every state as it is.
template <class T>
__device__ void read_steps(const Part& part, const Inputs<T>& in, long long t, Column to) {
    const float bias = in.bias && part.inside ? in.bias[part.d] : 0.0f;
    read(part, in.delta, t, to);
#pragma unroll 1
    for (int i = 0; i < TILE; ++i) {
        float& step = to[i][threadIdx.x];
        step = part.inside && t + i < part.end ? (in.softplus ? softplus(step + bias) : step + bias) : 0.0f;
    }
}

// TILE tokens of B or C, for all threads. Synchronize before the tile is read, and before it is filled again.
__device__ inline void share(const Part& part, const float* __restrict__ from, long long t, float (*tile)[STATES]) {
    for (int i = threadIdx.x; i < TILE * STATES; i += THREADS) {
        const bool there = t + i / STATES < part.end;
        tile[i / STATES][i % STATES] = there ? from[(part.batch * part.L + t) * STATES + i] : 0.0f;
    }
}

// A of one channel, for powers of two.
__device__ inline void read_decays(const Part& part, const float* __restrict__ A, float (&a)[STATES]) {
#pragma unroll
    for (int n = 0; n < STATES; ++n) a[n] = part.inside ? A[n * part.D + part.d] * LOG2_E : 0.0f;
}

__device__ inline void advance(float step, float input, const float (&a)[STATES], const float* b, float (&h)[STATES]) {
#pragma unroll
    for (int n = 0; n < STATES; ++n) h[n] = fast_exp2(step * a[n]) * h[n] + input * b[n];
}

__device__ inline float product(const float* c, const float (&h)[STATES]) {
    float sum = 0.0f;
#pragma unroll
    for (int n = 0; n < STATES; ++n) sum += c[n] * h[n];
    return sum;
}

__device__ inline void put_states(const Part& part, const float (&h)[STATES], float* states, long long row) {
    if (!part.inside) return;
#pragma unroll
    for (int n = 0; n < STATES; ++n) states[(row * STATES + n) * part.D + part.d] = h[n];
}

__device__ inline void get_states(const Part& part, const float* states, float (&h)[STATES]) {
#pragma unroll
    for (int n = 0; n < STATES; ++n) h[n] = part.inside ? states[(part.row * STATES + n) * part.D + part.d] : 0.0f;
}

template <class T>
__device__ void forward_sums(const Part& part, const Inputs<T>& in, float* states, float* totals) {
    __shared__ float tile_b[TILE][STATES], inputs[TILE][THREADS], steps[TILE][THREADS];
    float a[STATES], h[STATES] = {}, total = 0.0f;
    read_decays(part, in.A, a);
    for (long long t = part.begin; t < part.end; t += TILE) {
        read(part, in.u, t, inputs), read_steps(part, in, t, steps);
        __syncthreads();
        share(part, in.B, t, tile_b);
        __syncthreads();
#pragma unroll 2
        for (int i = 0; i < TILE; ++i) {
            const float step = steps[i][threadIdx.x];
            total += step;
            advance(step, step * inputs[i][threadIdx.x], a, tile_b[i], h);
        }
    }
    put_states(part, h, states, part.row);
    if (part.inside) totals[part.row * part.D + part.d] = total;
}

// A thread for each batch, state and channel, in this order. `reversed` goes from the last chunk to the first.
__device__ void carry(long long batches, long long chunks, long long D, bool reversed, const float* __restrict__ A,
                      const float* __restrict__ totals, float* states) {
    const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    const long long d = i % D, n = i / D % STATES, batch = i / D / STATES;
    if (batch >= batches) return;
    const float a = A[n * D + d] * LOG2_E;
    float h = 0.0f;
    const auto row = [&](long long j) { return batch * chunks + (reversed ? chunks - 1 - j : j); };
    for (long long first = 0; first < chunks; first += AHEAD) {
        float own[AHEAD], total[AHEAD];
#pragma unroll
        for (int j = 0; j < AHEAD; ++j)
            if (first + j < chunks) {
                own[j] = states[(row(first + j) * STATES + n) * D + d];
                total[j] = totals[row(first + j) * D + d];
            }
#pragma unroll
        for (int j = 0; j < AHEAD; ++j)
            if (first + j < chunks) {
                states[(row(first + j) * STATES + n) * D + d] = h;
                h = fast_exp2(a * total[j]) * h + own[j];
            }
    }
}

template <class T>
__device__ void forward_apply(const Part& part, const Inputs<T>& in, const float* states, T* y) {
    __shared__ float tile_b[TILE][STATES], tile_c[TILE][STATES];
    __shared__ float inputs[TILE][THREADS], steps[TILE][THREADS], gates[TILE][THREADS];
    float a[STATES], h[STATES];
    read_decays(part, in.A, a), get_states(part, states, h);
    const float skip = part.inside ? in.D[part.d] : 0.0f;
    for (long long t = part.begin; t < part.end; t += TILE) {
        read(part, in.u, t, inputs), read_steps(part, in, t, steps);
        if (in.z) read(part, in.z, t, gates);
        __syncthreads();
        share(part, in.B, t, tile_b), share(part, in.C, t, tile_c);
        __syncthreads();
#pragma unroll 2
        for (int i = 0; i < TILE; ++i) {
            const float step = steps[i][threadIdx.x], input = inputs[i][threadIdx.x];
            advance(step, step * input, a, tile_b[i], h);
            float result = product(tile_c[i], h) + skip * input;
            if (in.z) result *= gates[i][threadIdx.x] * sigmoid(gates[i][threadIdx.x]);
            if (part.inside && t + i < part.end) narrow(result, part.at(y, t)[i * part.D]);
        }
    }
}

// dL/dy before the gate; `room` is for the gate.
template <class T>
__device__ void read_gradients(const Part& part, const T* grad, const T* z, long long t, Column to, Column room) {
    read(part, grad, t, to);
    if (!z) return;
    read(part, z, t, room);
#pragma unroll 1
    for (int i = 0; i < TILE; ++i) to[i][threadIdx.x] *= room[i][threadIdx.x] * sigmoid(room[i][threadIdx.x]);
}

// states: what each chunk hands to the one before it, where nothing enters it.
template <class T>
__device__ void backward_sums(const Part& part, const Inputs<T>& in, const T* grad, float* states, float* totals) {
    __shared__ float tile_c[TILE][STATES], grads[TILE][THREADS], steps[TILE][THREADS];
    float a[STATES], g[STATES] = {}, total = 0.0f;
    read_decays(part, in.A, a);
    for (long long t = part.begin + (part.end - part.begin - 1) / TILE * TILE; t >= part.begin; t -= TILE) {
        read_gradients(part, grad, in.z, t, grads, steps), read_steps(part, in, t, steps);
        __syncthreads();
        share(part, in.C, t, tile_c);
        __syncthreads();
#pragma unroll 2
        for (int i = TILE - 1; i >= 0; --i) {
            const float step = steps[i][threadIdx.x], dy = grads[i][threadIdx.x];
            total += step;
#pragma unroll
            for (int n = 0; n < STATES; ++n) g[n] = fast_exp2(step * a[n]) * (g[n] + dy * tile_c[i][n]);
        }
    }
    put_states(part, g, states, part.row);
    if (part.inside) totals[part.row * part.D + part.d] = total;
}

// First half of a chunk's backward pass: the states again from the left; those that enter each tile are kept in
// marks (batch, ceil(L / TILE), STATES, D) float32. Makes grad_z.
template <class T>
__device__ void backward_marks(const Part& part, const Inputs<T>& in, const T* grad, const float* states, float* marks,
                               T* grad_z) {
    __shared__ float tile_b[TILE][STATES], tile_c[TILE][STATES];
    __shared__ float inputs[TILE][THREADS], steps[TILE][THREADS], gates[TILE][THREADS], grads[TILE][THREADS];
    float a[STATES], h[STATES];
    read_decays(part, in.A, a), get_states(part, states, h);
    const float skip = part.inside ? in.D[part.d] : 0.0f;
    for (long long t = part.begin; t < part.end; t += TILE) {
        put_states(part, h, marks, part.batch * ((part.L + TILE - 1) / TILE) + t / TILE);
        read(part, in.u, t, inputs), read_steps(part, in, t, steps);
        if (in.z) read(part, in.z, t, gates), read(part, grad, t, grads);
        __syncthreads();
        share(part, in.B, t, tile_b), share(part, in.C, t, tile_c);
        __syncthreads();
#pragma unroll 2
        for (int i = 0; i < TILE; ++i) {
            const float step = steps[i][threadIdx.x], input = inputs[i][threadIdx.x];
            advance(step, step * input, a, tile_b[i], h);
            if (!in.z) continue;
            const float gate = gates[i][threadIdx.x], open = sigmoid(gate);
            const float slope = grads[i][threadIdx.x] * open * (1.0f + gate * (1.0f - open));
            const float result = (product(tile_c[i], h) + skip * input) * slope;
            if (part.inside && t + i < part.end) narrow(result, part.at(grad_z, t)[i * part.D]);
        }
    }
}

// Sum over a block's channels of what each thread has for TILE tokens. Synchronizes the block.
struct Reduction {
    static constexpr int PARTS = THREADS / TILE, STRIDE = THREADS + PARTS;  // no two lanes of a warp in one bank
    static_assert(PARTS * TILE == THREADS, "PARTS threads for a token");
    float (*room)[STRIDE];

    // One of the PARTS shares of token threadIdx.x / PARTS.
    __device__ float share(const float (&values)[TILE]) const {
        __syncthreads();
#pragma unroll
        for (int i = 0; i < TILE; ++i) room[i][threadIdx.x] = values[i];
        __syncthreads();
        float sum = 0.0f;
#pragma unroll
        for (int i = 0; i < THREADS; i += PARTS) sum += room[threadIdx.x / PARTS][i + threadIdx.x % PARTS];
        return sum;
    }
    // The whole sum of token threadIdx.x, for threads below TILE.
    __device__ float whole(float part) const {
        __syncthreads();
        room[0][threadIdx.x] = part;
        __syncthreads();
        float sum = 0.0f;
        if (threadIdx.x < TILE)
            for (int i = 0; i < PARTS; ++i) sum += room[0][threadIdx.x * PARTS + i];
        return sum;
    }
};

// Second half: tiles from the right, in each one state after the other. carried: what enters each chunk from the right.
// sums (batch, chunks, STATES + 2, D): a chunk's share of the gradients of A, D and bias. sums_b and sums_c
// (blocks of channels, batch, L, STATES): a block's share of the gradients of B and C. All float32.
template <class T>
__device__ void backward_apply(const Part& part, const Inputs<T>& in, const T* grad, const float* marks,
                               const float* carried, T* grad_u, T* grad_delta, float* sums, float* sums_b,
                               float* sums_c) {
    __shared__ float tile_b[TILE][STATES], tile_c[TILE][STATES], room[TILE][Reduction::STRIDE];
    __shared__ float enters[STATES][THREADS], share_a[STATES][THREADS];
    __shared__ float grads[TILE][THREADS], inputs[TILE][THREADS], steps[TILE][THREADS];
    const Reduction reduction{room};
    for (int n = 0; n < STATES; ++n) {
        enters[n][threadIdx.x] = part.inside ? carried[(part.row * STATES + n) * part.D + part.d] : 0.0f;
        share_a[n][threadIdx.x] = 0.0f;
    }
    const float skip = part.inside ? in.D[part.d] : 0.0f;
    float share_skip = 0.0f, share_bias = 0.0f;
    for (long long t = part.begin + (part.end - part.begin - 1) / TILE * TILE; t >= part.begin; t -= TILE) {
        float by_b[TILE] = {}, by_a[TILE] = {};
        read_gradients(part, grad, in.z, t, grads, inputs);
        read(part, in.u, t, inputs), read_steps(part, in, t, steps);
        __syncthreads();
        share(part, in.B, t, tile_b), share(part, in.C, t, tile_c);
        __syncthreads();
        const long long mark = part.batch * ((part.L + TILE - 1) / TILE) + t / TILE;
#pragma unroll 1
        for (int n = 0; n < STATES; ++n) {
            const float rate = part.inside ? in.A[n * part.D + part.d] : 0.0f;
            const float before = part.inside ? marks[(mark * STATES + n) * part.D + part.d] : 0.0f;
            float decay[TILE], h[TILE], values[TILE], state = before;
#pragma unroll
            for (int i = 0; i < TILE; ++i) {
                const float step = steps[i][threadIdx.x];
                decay[i] = fast_exp2(step * (rate * LOG2_E));
                h[i] = state = decay[i] * state + step * inputs[i][threadIdx.x] * tile_b[i][n];
            }
            float carry = enters[n][threadIdx.x], sum_a = 0.0f;
#pragma unroll
            for (int i = TILE - 1; i >= 0; --i) {
                const float step = steps[i][threadIdx.x];
                const float g = grads[i][threadIdx.x] * tile_c[i][n] + carry;
                carry = decay[i] * g;
                const float along = carry * (i > 0 ? h[i - 1] : before);  // dL/d(step A)
                by_b[i] += g * tile_b[i][n];
                by_a[i] += along * rate;
                sum_a += along * step;
                values[i] = g * step * inputs[i][threadIdx.x];
            }
            enters[n][threadIdx.x] = carry;
            share_a[n][threadIdx.x] += sum_a;
            const float part_b = reduction.share(values);
#pragma unroll
            for (int i = 0; i < TILE; ++i) values[i] = grads[i][threadIdx.x] * h[i];
            const float part_c = reduction.share(values);
            const float whole_b = reduction.whole(part_b), whole_c = reduction.whole(part_c);
            if (threadIdx.x < TILE && t + threadIdx.x < part.end) {
                const long long token = (part.block * part.batches + part.batch) * part.L + t + threadIdx.x;
                sums_b[token * STATES + n] = whole_b;
                sums_c[token * STATES + n] = whole_c;
            }
        }
#pragma unroll
        for (int i = 0; i < TILE; ++i) {
            if (!part.inside || t + i >= part.end) continue;
            const float step = steps[i][threadIdx.x], input = inputs[i][threadIdx.x], dy = grads[i][threadIdx.x];
            narrow(skip * dy + step * by_b[i], part.at(grad_u, t)[i * part.D]);
            // softplus' = sigmoid, read off softplus itself: 1 - exp(-softplus)
            const float slope = (by_a[i] + input * by_b[i]) * (in.softplus ? -expm1f(-step) : 1.0f);
            narrow(slope, part.at(grad_delta, t)[i * part.D]);
            share_skip += dy * input;
            share_bias += slope;
        }
    }
    if (!part.inside) return;
    float* to = sums + part.row * (STATES + 2) * part.D + part.d;
    for (int n = 0; n < STATES; ++n) to[n * part.D] = share_a[n][threadIdx.x];
    to[STATES * part.D] = share_skip, to[(STATES + 1) * part.D] = share_bias;
}

}  // namespace

// Grids: batch * chunks * ceil(D / THREADS) blocks of THREADS; `carry`: enough blocks of any size.
#define KERNEL(WHICH, NAME, TYPE, ...)                                                                          \
    extern "C" __global__ void __launch_bounds__(THREADS) selective_scan_##WHICH##_##NAME(                      \
        long long batches, long long L, long long channels, long long chunk, long long softplus, const TYPE* u, \
        const TYPE* delta, const float* A, const float* B, const float* C, const float* D, const TYPE* z,       \
        const float* bias, __VA_ARGS__)
#define WORK Part(batches, L, channels, chunk), {u, delta, A, B, C, D, z, bias, softplus != 0}

#define KERNELS(NAME, TYPE)                                                                                     \
    KERNEL(forward_sums, NAME, TYPE, float* states, float* totals) {                                            \
        forward_sums<TYPE>(WORK, states, totals);                                                               \
    }                                                                                                           \
    KERNEL(forward_apply, NAME, TYPE, const float* states, TYPE* y) { forward_apply<TYPE>(WORK, states, y); }   \
    KERNEL(backward_sums, NAME, TYPE, const TYPE* grad, float* carried, float* totals) {                        \
        backward_sums<TYPE>(WORK, grad, carried, totals);                                                       \
    }                                                                                                           \
    KERNEL(backward_marks, NAME, TYPE, const TYPE* grad, const float* states, float* marks, TYPE* grad_z) {     \
        backward_marks<TYPE>(WORK, grad, states, marks, grad_z);                                                \
    }                                                                                                           \
    KERNEL(backward_apply, NAME, TYPE, const TYPE* grad, const float* marks, const float* carried,              \
           TYPE* grad_u, TYPE* grad_delta, float* sums, float* sums_b, float* sums_c) {                         \
        backward_apply<TYPE>(WORK, grad, marks, carried, grad_u, grad_delta, sums, sums_b, sums_c);             \
    }

FOR_EACH_STORAGE(KERNELS)

extern "C" __global__ void selective_scan_carry(long long batches, long long chunks, long long channels,
                                                long long reversed, const float* A, const float* totals,
                                                float* states) {
    carry(batches, chunks, channels, reversed != 0, A, totals, states);
}
