// Mean, variance and standard deviation of every channel over all tokens, on a graphics card. Formula:
// stylecli/ops/moments.py.
//
// x (B, T, C) is contiguous and read once: `partial` makes the statistics of chunks, (B, chunks, 2, C) float32 (means,
// then sums of squared deviations from these), `combine` puts them together as Chan, Golub and LeVeque (1979) do:
// nothing is lost where means are large. Nothing is summed in an order that depends on timing: the same input gives the
// same bits. Every argument is 8 bytes long.

#include "../common/storage.cuh"
#include "../common/tokens.cuh"

namespace {

// Of `count` numbers: their mean, and the sum of their squared deviations from it.
struct Statistics {
    float count, mean, squares;

    __device__ void join(const Statistics& other) {
        const float both = count + other.count;
        const float share = both > 0.0f ? other.count / both : 0.0f;
        const float gap = other.mean - mean;
        squares += other.squares + gap * gap * (count * share);
        mean += gap * share;
        count = both;
    }
};

// A thread sums deviations from its first token: that one is as far from the mean as its square is in the sum that is
// wanted, so that subtracting loses no more than `steps` roundings.
template <class T, int N>
__device__ void partial(long long length, long long C, long long columns, long long steps, const T* __restrict__ x,
                        float* __restrict__ chunks) {
    __shared__ float counts[TOKEN_THREADS], means[N][TOKEN_THREADS], squares[N][TOKEN_THREADS];
    const Share share(length, C, columns, steps, N);
    Statistics own[N] = {};
    if (share.inside && share.begin < share.end) {
        const T* from = x + static_cast<long long>(blockIdx.z) * length * C + share.c;
        const auto first = *reinterpret_cast<const Vector<T, N>*>(from + share.begin * C);
        float pivot[N], sum[N] = {}, square[N] = {}, count = 1.0f;
#pragma unroll
        for (int n = 0; n < N; ++n) pivot[n] = widen(first.at[n]);
        for (long long t = share.begin + share.rows; t < share.end; t += AHEAD * share.rows) {
            const Batch<T, N> now(from, C, t, share.rows, share.end);
#pragma unroll
            for (int i = 0; i < AHEAD; ++i) {
                if (t + i * share.rows >= share.end) break;
#pragma unroll
                for (int n = 0; n < N; ++n) {
                    const float apart = widen(now.at[i].at[n]) - pivot[n];
                    sum[n] += apart, square[n] += apart * apart;
                }
                count += 1.0f;
            }
        }
        const float each = 1.0f / count;
#pragma unroll
        for (int n = 0; n < N; ++n) {
            const float gap = sum[n] * each, left = square[n] - sum[n] * gap;
            own[n] = {count, pivot[n] + gap, left < 0.0f ? 0.0f : left};
        }
    }

    // Rows of threads, the lower half each time with the upper one.
    const int me = threadIdx.x;
    for (int width = share.rows; width > 1;) {
        const int half = (width + 1) / 2;
        if (share.row >= half && share.row < width) {
            counts[me] = own[0].count;
#pragma unroll
            for (int n = 0; n < N; ++n) means[n][me] = own[n].mean, squares[n][me] = own[n].squares;
        }
        __syncthreads();
        if (share.row < width - half) {
            const int other = me + half * static_cast<int>(columns);
#pragma unroll
            for (int n = 0; n < N; ++n) own[n].join({counts[other], means[n][other], squares[n][other]});
        }
        __syncthreads();
        width = half;
    }
    if (share.row > 0 || !share.inside) return;
    float* to = chunks + (static_cast<long long>(blockIdx.z) * gridDim.x + blockIdx.x) * 2 * C + share.c;
#pragma unroll
    for (int n = 0; n < N; ++n) to[n] = own[n].mean, to[C + n] = own[n].squares;
}

constexpr int LANES = 8, SEGMENTS = 32;  // a block of `combine`: channels, and threads of each

// results (3, B, C) float32. `chunk`: tokens of one, the last one may have fewer. `eps` is added under the root.
__device__ void combine(long long length, long long C, long long chunks, long long chunk, long long eps,
                        const float* __restrict__ partial, float* __restrict__ results) {
    __shared__ Statistics shared[SEGMENTS][LANES];
    const int lane = threadIdx.x % LANES, segment = threadIdx.x / LANES;
    const long long c = static_cast<long long>(blockIdx.x) * LANES + lane;
    Statistics own = {};
    if (c < C) {
        const float* from = partial + static_cast<long long>(blockIdx.y) * chunks * 2 * C + c;
#pragma unroll 4
        for (long long j = segment; j < chunks; j += SEGMENTS) {
            const long long left = length - j * chunk;
            const float count = static_cast<float>(left < chunk ? left : chunk);
            own.join({count, from[j * 2 * C], from[(j * 2 + 1) * C]});
        }
    }
    for (int half = SEGMENTS / 2; half > 0; half /= 2) {
        if (segment >= half) shared[segment][lane] = own;
        __syncthreads();
        if (segment < half) own.join(shared[segment + half][lane]);
        __syncthreads();
    }
    if (segment > 0 || c >= C) return;
    const float variance = own.squares / static_cast<float>(length);
    const long long at = blockIdx.y * C + c, apart = gridDim.y * C;
    results[at] = own.mean, results[apart + at] = variance;
    results[2 * apart + at] = sqrtf(variance + __uint_as_float(static_cast<unsigned int>(eps)));
}

}  // namespace

// `_wide`: 16 bytes a thread, where rows of C and x are multiples of that; `_narrow`: one channel. Grids of `partial`:
// common/tokens.cuh; of `combine`: (ceil(C / LANES), B).
#define KERNELS(NAME, TYPE)                                                                                         \
    extern "C" __global__ void __launch_bounds__(TOKEN_THREADS)                                                     \
        moments_partial_wide_##NAME(long long T, long long C, long long columns, long long steps, const TYPE* x,    \
                                    float* chunks) {                                                                \
        partial<TYPE, 16 / sizeof(TYPE)>(T, C, columns, steps, x, chunks);                                          \
    }                                                                                                               \
    extern "C" __global__ void __launch_bounds__(TOKEN_THREADS)                                                     \
        moments_partial_narrow_##NAME(long long T, long long C, long long columns, long long steps, const TYPE* x,  \
                                      float* chunks) {                                                              \
        partial<TYPE, 1>(T, C, columns, steps, x, chunks);                                                          \
    }

FOR_EACH_STORAGE(KERNELS)

extern "C" __global__ void __launch_bounds__(LANES* SEGMENTS)
    moments_combine(long long T, long long C, long long chunks, long long chunk, long long eps, const float* partial,
                    float* results) {
    combine(T, C, chunks, chunk, eps, partial, results);
}
