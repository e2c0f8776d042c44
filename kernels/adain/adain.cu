// Adaptive instance normalisation once the statistics are known, and the leaky ReLU behind it, on a graphics card.
// Formula: stylecli/ops/adain.py.
//
// x and y are (B, T, C), contiguous; mean, std, gain and offset (B, C) float32. `limit` and `slope` are the bits of
// float32 numbers. Every argument is 8 bytes long.

#include "../common/storage.cuh"
#include "../common/tokens.cuh"

namespace {

template <class T, int N>
__device__ void adain(long long length, long long C, long long columns, long long steps, long long limit_bits,
                      long long slope_bits, const T* __restrict__ x, const float* __restrict__ mean,
                      const float* __restrict__ std, const float* __restrict__ gain,
                      const float* __restrict__ offset, T* __restrict__ y) {
    using V = Vector<T, N>;
    const Share share(length, C, columns, steps, N);
    if (!share.inside) return;
    const float limit = __uint_as_float(static_cast<unsigned int>(limit_bits));
    const float slope = __uint_as_float(static_cast<unsigned int>(slope_bits));
    const long long image = static_cast<long long>(blockIdx.z), at = image * C + share.c;
    float m[N], scale[N], g[N], o[N];
    load_floats(mean + at, m), load_floats(std + at, scale), load_floats(gain + at, g), load_floats(offset + at, o);
#pragma unroll
    for (int n = 0; n < N; ++n) scale[n] = 1.0f / scale[n];

    const long long start = image * length * C + share.c;
    for (long long first = share.begin; first < share.end; first += AHEAD * share.rows) {
        const Batch<T, N> from(x + start, C, first, share.rows, share.end);
#pragma unroll
        for (int i = 0; i < AHEAD; ++i) {
            const long long t = first + i * share.rows;
            if (t >= share.end) break;
            V to;
#pragma unroll
            for (int n = 0; n < N; ++n) {
                const float normal = (widen(from.at[i].at[n]) - m[n]) * scale[n];
                const float kept = normal > limit ? limit : normal < -limit ? -limit : normal;  // NaN stays
                const float result = kept * g[n] + o[n];
                narrow(result < 0.0f ? slope * result : result, to.at[n]);
            }
            *reinterpret_cast<V*>(y + start + t * C) = to;
        }
    }
}

}  // namespace

// `_wide`: 16 bytes a thread, where rows of C and all pointers are multiples of that; `_narrow`: one channel.
#define KERNELS(NAME, TYPE)                                                                                          \
    extern "C" __global__ void __launch_bounds__(TOKEN_THREADS)                                                      \
        adain_wide_##NAME(long long T, long long C, long long columns, long long steps, long long limit,             \
                          long long slope, const TYPE* x, const float* mean, const float* std, const float* gain,    \
                          const float* offset, TYPE* y) {                                                            \
        adain<TYPE, 16 / sizeof(TYPE)>(T, C, columns, steps, limit, slope, x, mean, std, gain, offset, y);           \
    }                                                                                                                \
    extern "C" __global__ void __launch_bounds__(TOKEN_THREADS)                                                      \
        adain_narrow_##NAME(long long T, long long C, long long columns, long long steps, long long limit,           \
                            long long slope, const TYPE* x, const float* mean, const float* std, const float* gain,  \
                            const float* offset, TYPE* y) {                                                          \
        adain<TYPE, 1>(T, C, columns, steps, limit, slope, x, mean, std, gain, offset, y);                           \
    }

FOR_EACH_STORAGE(KERNELS)
