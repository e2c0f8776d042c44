// Deform-shift on a graphics card. Formula: stylecli/ops/deform_shift/reference.py.
//
// Four rows of channels are gathered for each token and group; consecutive lanes read consecutive channels. x and y
// are (B, H, W, C), offset is (B, H, W, G, 2), all contiguous. Grids are (pieces of a row, H, B). Every argument is
// 8 bytes long.

#include "../common/storage.cuh"
#include "../common/tokens.cuh"

namespace {

// The four tokens around the point that token (i, j) reads in one group, and their weights.
struct Corners {
    long long top, bottom;  // first token of their rows
    int left, right;
    float fy, fx;
    bool moves_y, moves_x;  // false where the point was held at the border: no gradient there

    template <class T>
    __device__ Corners(const T* offset, long long token, int G, int g, int H, int W, int j) {
        const T* at = offset + (token * G + g) * 2;
        const float y = static_cast<float>(blockIdx.y) + widen(at[0]), x = static_cast<float>(j) + widen(at[1]);
        const float last_y = static_cast<float>(H - 1), last_x = static_cast<float>(W - 1);
        const float held_y = fminf(fmaxf(y, 0.0f), last_y), held_x = fminf(fmaxf(x, 0.0f), last_x);  // NaN becomes 0
        moves_y = y > 0.0f && y < last_y, moves_x = x > 0.0f && x < last_x;
        const float floor_y = floorf(held_y), floor_x = floorf(held_x);
        fy = held_y - floor_y, fx = held_x - floor_x;
        const int i0 = static_cast<int>(floor_y), i1 = i0 + 1 < H ? i0 + 1 : H - 1;
        left = static_cast<int>(floor_x), right = left + 1 < W ? left + 1 : W - 1;
        const long long image = static_cast<long long>(blockIdx.z) * H;
        top = (image + i0) * W, bottom = (image + i1) * W;
    }
};

// This thread's place in the row of images blockIdx.z and height blockIdx.y, which holds `each` items per token.
struct Place {
    int j, item;
    long long token;
    bool inside;

    __device__ Place(int H, int W, int each) {
        const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
        j = static_cast<int>(i / each), item = static_cast<int>(i % each);
        inside = i < static_cast<long long>(W) * each;
        token = (static_cast<long long>(blockIdx.z) * H + blockIdx.y) * W + j;
    }
};

// A thread makes N channels of one token, N dividing C / G.
template <class T, int N>
__device__ void forward(long long H, long long W, long long C, long long G, const T* __restrict__ x,
                        const T* __restrict__ offset, T* __restrict__ y) {
    using V = Vector<T, N>;
    const Place place(H, W, C / N);
    if (!place.inside) return;
    const int c = place.item * N;
    const Corners corners(offset, place.token, G, c / static_cast<int>(C / G), H, W, place.j);
    const auto read = [&](long long token) { return *reinterpret_cast<const V*>(x + token * C + c); };
    const V a = read(corners.top + corners.left), b = read(corners.top + corners.right);
    const V d = read(corners.bottom + corners.left), e = read(corners.bottom + corners.right);
    V result;
#pragma unroll
    for (int n = 0; n < N; ++n) {
        const float top = widen(a.at[n]) + corners.fx * (widen(b.at[n]) - widen(a.at[n]));
        const float bottom = widen(d.at[n]) + corners.fx * (widen(e.at[n]) - widen(d.at[n]));
        narrow(top + corners.fy * (bottom - top), result.at[n]);
    }
    *reinterpret_cast<V*>(y + place.token * C + c) = result;
}

// grad_x (B, H, W, C) float32, zeros at first. Points of several tokens may meet in one: their order, and so the last
// bits of the sum, depends on timing.
template <class T>
__device__ void backward_x(long long H, long long W, long long C, long long G, const T* __restrict__ grad,
                           const T* __restrict__ offset, float* __restrict__ grad_x) {
    const Place place(H, W, C);
    if (!place.inside) return;
    const int c = place.item;
    const Corners corners(offset, place.token, G, c / static_cast<int>(C / G), H, W, place.j);
    const float g = widen(grad[place.token * C + c]);
    const float top = g * (1.0f - corners.fy), bottom = g * corners.fy;
    const auto add = [&](long long token, float value) { atomicAdd(grad_x + token * C + c, value); };
    add(corners.top + corners.left, top * (1.0f - corners.fx));
    add(corners.top + corners.right, top * corners.fx);
    add(corners.bottom + corners.left, bottom * (1.0f - corners.fx));
    add(corners.bottom + corners.right, bottom * corners.fx);
}

// A thread makes the two gradients of one token and group: sums over the group's channels, N at a time.
template <class T, int N>
__device__ void backward_offset(long long H, long long W, long long C, long long G, const T* __restrict__ grad,
                                const T* __restrict__ x, const T* __restrict__ offset, T* __restrict__ grad_offset) {
    using V = Vector<T, N>;
    const Place place(H, W, G);
    if (!place.inside) return;
    const Corners corners(offset, place.token, G, place.item, H, W, place.j);
    const int begin = place.item * static_cast<int>(C / G), end = begin + static_cast<int>(C / G);
    float sum_y = 0.0f, sum_x = 0.0f;
    for (int c = begin; c < end; c += N) {
        const auto read = [&](const T* from, long long token) {
            return *reinterpret_cast<const V*>(from + token * C + c);
        };
        const V a = read(x, corners.top + corners.left), b = read(x, corners.top + corners.right);
        const V d = read(x, corners.bottom + corners.left), e = read(x, corners.bottom + corners.right);
        const V g = read(grad, place.token);
#pragma unroll
        for (int n = 0; n < N; ++n) {
            const float above = widen(b.at[n]) - widen(a.at[n]), below = widen(e.at[n]) - widen(d.at[n]);
            const float down = widen(d.at[n]) - widen(a.at[n]);
            sum_y += widen(g.at[n]) * (down + corners.fx * (below - above));
            sum_x += widen(g.at[n]) * (above + corners.fy * (below - above));
        }
    }
    T* to = grad_offset + (place.token * G + place.item) * 2;
    narrow(corners.moves_y ? sum_y : 0.0f, to[0]);
    narrow(corners.moves_x ? sum_x : 0.0f, to[1]);
}

}  // namespace

// `_wide`: 16 bytes a thread, where C / G channels and all pointers are multiples of that; `_half`: 8, likewise;
// `_narrow`: one channel.
#define KERNELS(NAME, TYPE)                                                                                            \
    extern "C" __global__ void __launch_bounds__(256)                                                                  \
        deform_shift_forward_wide_##NAME(long long H, long long W, long long C, long long G, const TYPE* x,            \
                                         const TYPE* offset, TYPE* y) {                                                \
        forward<TYPE, 16 / sizeof(TYPE)>(H, W, C, G, x, offset, y);                                                    \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(256)                                                                  \
        deform_shift_forward_half_##NAME(long long H, long long W, long long C, long long G, const TYPE* x,            \
                                         const TYPE* offset, TYPE* y) {                                                \
        forward<TYPE, 8 / sizeof(TYPE)>(H, W, C, G, x, offset, y);                                                     \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(256)                                                                  \
        deform_shift_forward_narrow_##NAME(long long H, long long W, long long C, long long G, const TYPE* x,          \
                                           const TYPE* offset, TYPE* y) {                                              \
        forward<TYPE, 1>(H, W, C, G, x, offset, y);                                                                    \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(256)                                                                  \
        deform_shift_backward_x_##NAME(long long H, long long W, long long C, long long G, const TYPE* grad,           \
                                       const TYPE* offset, float* grad_x) {                                            \
        backward_x<TYPE>(H, W, C, G, grad, offset, grad_x);                                                            \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(256)                                                                  \
        deform_shift_backward_offset_wide_##NAME(long long H, long long W, long long C, long long G, const TYPE* grad, \
                                                 const TYPE* x, const TYPE* offset, TYPE* grad_offset) {               \
        backward_offset<TYPE, 16 / sizeof(TYPE)>(H, W, C, G, grad, x, offset, grad_offset);                            \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(256)                                                                  \
        deform_shift_backward_offset_narrow_##NAME(long long H, long long W, long long C, long long G,                 \
                                                   const TYPE* grad, const TYPE* x, const TYPE* offset,                \
                                                   TYPE* grad_offset) {                                                \
        backward_offset<TYPE, 1>(H, W, C, G, grad, x, offset, grad_offset);                                            \
    }

FOR_EACH_STORAGE(KERNELS)
