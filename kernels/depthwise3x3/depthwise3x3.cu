// Depthwise 3 x 3 convolution of a map that goes on beyond its border as it is there, and the activation behind it, on
// a graphics card. Formula: stylecli/ops/depthwise3x3.py.
//
// A thread goes down one column of the map, `run` rows of N channels: consecutive lanes take consecutive channels, then
// the next column. Each row that it reads belongs to three results, whose sums are on their way at once. x is
// (B, H, W, C) with any distance between batches, rows and columns, y (B, H, W, C) contiguous, weight (C, 9), bias
// (C,). Every argument is 8 bytes long. Grids are (pieces of a row, ceil(H / run), B).

#include "../common/storage.cuh"
#include "../common/tokens.cuh"

namespace {

enum { NONE, SILU, GELU };

__device__ inline float activated(float x, long long activation) {
    if (activation == SILU) return x / (1.0f + expf(-x));
    if (activation == GELU) return 0.5f * x * (1.0f + erff(0.707106781f * x));
    return x;
}

template <class T, int N>
__device__ void depthwise(long long H, long long W, long long C, long long run, long long per_image, long long per_row,
                          long long per_column, long long activation, const T* __restrict__ x,
                          const T* __restrict__ weight, const T* __restrict__ bias, T* __restrict__ y) {
    using V = Vector<T, N>;
    const int each = static_cast<int>(C / N);
    const long long place = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    const long long j = place / each, c = place % each * N;
    if (j >= W) return;
    float w[9][N], b[N];
    V nine[9];  // these channels' weights as they lie there, 9 N of them
#pragma unroll
    for (int k = 0; k < 9; ++k) nine[k] = reinterpret_cast<const V*>(weight + c * 9)[k];
#pragma unroll
    for (int n = 0; n < N; ++n) {
        b[n] = widen(bias[c + n]);
#pragma unroll
        for (int k = 0; k < 9; ++k) w[k][n] = widen(nine[(n * 9 + k) / N].at[(n * 9 + k) % N]);
    }

    const long long columns[3] = {(j > 0 ? j - 1 : 0) * per_column, j * per_column,
                                  (j + 1 < W ? j + 1 : j) * per_column};
    const long long begin = blockIdx.y * run, end = begin + run < H ? begin + run : H;
    const T* image = x + blockIdx.z * per_image + c;
    T* to = y + ((blockIdx.z * H + begin) * W + j) * C + c;
    float above[N], here[N];  // results of the row before the one that is read, and of this one, as far as they are
#pragma unroll
    for (int n = 0; n < N; ++n) above[n] = here[n] = b[n];
    V next[3];
    const auto read = [&](long long i) {
        const T* row = image + (i < 0 ? 0 : i < H ? i : H - 1) * per_row;
#pragma unroll
        for (int k = 0; k < 3; ++k) next[k] = *reinterpret_cast<const V*>(row + columns[k]);
    };
    read(begin - 1);
    for (long long i = begin - 1; i <= end; ++i) {
        const V now[3] = {next[0], next[1], next[2]};
        if (i < end) read(i + 1);  // asked for before what is there is worked on
        V result;
#pragma unroll
        for (int n = 0; n < N; ++n) {
            const auto add = [&](float sum, int k) {
                return sum + w[k][n] * widen(now[0].at[n]) + w[k + 1][n] * widen(now[1].at[n]) +
                       w[k + 2][n] * widen(now[2].at[n]);
            };
            narrow(activated(add(above[n], 6), activation), result.at[n]);
            above[n] = add(here[n], 3), here[n] = add(b[n], 0);
        }
        if (i <= begin) continue;
        *reinterpret_cast<V*>(to) = result;
        to += W * C;
    }
}

}  // namespace

// `_wide`: four channels a thread, where C, all distances and all pointers are multiples of that; `_narrow`: one.
#define KERNELS(NAME, TYPE)                                                                                            \
    extern "C" __global__ void __launch_bounds__(256)                                                                  \
        depthwise3x3_wide_##NAME(long long H, long long W, long long C, long long run, long long per_image,            \
                                 long long per_row, long long per_column, long long activation, const TYPE* x,         \
                                 const TYPE* weight, const TYPE* bias, TYPE* y) {                                      \
        depthwise<TYPE, 4>(H, W, C, run, per_image, per_row, per_column, activation, x, weight, bias, y);              \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(256)                                                                  \
        depthwise3x3_narrow_##NAME(long long H, long long W, long long C, long long run, long long per_image,          \
                                   long long per_row, long long per_column, long long activation, const TYPE* x,       \
                                   const TYPE* weight, const TYPE* bias, TYPE* y) {                                    \
        depthwise<TYPE, 1>(H, W, C, run, per_image, per_row, per_column, activation, x, weight, bias, y);              \
    }

FOR_EACH_STORAGE(KERNELS)
