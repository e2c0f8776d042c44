// What is computed number by number between products, each in one reading, on a graphics card. Formulas:
// stylecli/ops/gates.py. All tensors are contiguous, of `count` numbers. `bound` is the bits of a float32 number. Every
// argument is 8 bytes long. Grids are as many blocks of 256 threads as it takes.

#include "../common/storage.cuh"
#include "../common/tokens.cuh"

namespace {

// y = f(a, b), N numbers a thread; b is a again where there is but one.
template <class T, int N, class F>
__device__ void each(long long count, const T* __restrict__ a, const T* __restrict__ b, T* __restrict__ y, F f) {
    using V = Vector<T, N>;
    const long long at = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * N;
    if (at >= count) return;
    const V left = *reinterpret_cast<const V*>(a + at), right = *reinterpret_cast<const V*>(b + at);
    V result;
#pragma unroll
    for (int n = 0; n < N; ++n) narrow(f(widen(left.at[n]), widen(right.at[n])), result.at[n]);
    *reinterpret_cast<V*>(y + at) = result;
}

template <class T, int N>
__device__ void gated(long long count, const T* gate, const T* x, T* y) {
    each<T, N>(count, gate, x, y, [](float g, float value) { return value / (1.0f + expf(-g)); });
}

template <class T, int N>
__device__ void squared_relu(long long count, const T* x, T* y) {
    each<T, N>(count, x, x, y, [](float value, float) { return value < 0.0f ? 0.0f : value * value; });  // NaN stays
}

template <class T, int N>
__device__ void bounded(long long count, long long bound, const T* x, T* y) {
    const float most = __uint_as_float(static_cast<unsigned int>(bound));
    each<T, N>(count, x, x, y, [=](float value, float) { return most * tanhf(value); });
}

}  // namespace

// `_wide`: 16 bytes a thread, where all of a tensor and its pointer are multiples of that; `_narrow`: one number.
#define KERNEL(WAY, NAME, TYPE, N)                                                                                    \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        gates_gated_##WAY##_##NAME(long long count, const TYPE* gate, const TYPE* x, TYPE* y) {                       \
        gated<TYPE, N>(count, gate, x, y);                                                                            \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        gates_squared_relu_##WAY##_##NAME(long long count, const TYPE* x, TYPE* y) {                                  \
        squared_relu<TYPE, N>(count, x, y);                                                                           \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        gates_bounded_##WAY##_##NAME(long long count, long long bound, const TYPE* x, TYPE* y) {                      \
        bounded<TYPE, N>(count, bound, x, y);                                                                         \
    }
#define KERNELS(NAME, TYPE) KERNEL(wide, NAME, TYPE, 16 / sizeof(TYPE)) KERNEL(narrow, NAME, TYPE, 1)

FOR_EACH_STORAGE(KERNELS)
