// Deform-shift on the CPU, plain C interface. Formula: stylecli/ops/deform_shift/reference.py.
//
// One displacement serves all C / G channels of a group, which lie side by side: position and weights are computed
// once, and the loops over channels are plain vector loops. Work is split over image rows. In the backward pass every
// thread owns a band of rows of grad_x and goes through all source rows that reach into it, in the same order
// whatever the bands are: no two threads write to one place, and any number of them gives the same bits.

#include <algorithm>
#include <type_traits>
#include <vector>

#include "../common.h"

namespace {

using namespace stylecli;

struct Shape {
    Index B, H, W, C, G;
    Index token(Index b, Index i, Index j) const { return (b * H + i) * W + j; }
};

// Where along one axis a token reads: between `low` and `high` tokens; `inside` is 0 where the border held it back.
struct Axis {
    Index low, high;
    float part, inside;
    Axis(Index at, float offset, Index size) {
        const float last = static_cast<float>(size - 1), wanted = static_cast<float>(at) + offset;
        const float p = wanted > 0.0f ? (wanted < last ? wanted : last) : 0.0f;  // NaN reads token 0
        low = static_cast<Index>(p);
        high = low + 1 < size ? low + 1 : low;
        part = p - static_cast<float>(low);
        inside = wanted > 0.0f && wanted < last ? 1.0f : 0.0f;
    }
};

template <class T>
void forward(const Shape& s, const T* x, const T* offset, T* out, int threads) {
    const Index n = s.C / s.G;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (Index row = 0; row < s.B * s.H; ++row) {
        const Index b = row / s.H, i = row % s.H;
        for (Index j = 0; j < s.W; ++j) {
            for (Index g = 0; g < s.G; ++g) {
                const T* d = offset + (s.token(b, i, j) * s.G + g) * 2;
                const Axis y(i, load1(d[0]), s.H), z(j, load1(d[1]), s.W);
                const T* group = x + g * n;
                const T* __restrict p00 = group + s.token(b, y.low, z.low) * s.C;
                const T* __restrict p01 = group + s.token(b, y.low, z.high) * s.C;
                const T* __restrict p10 = group + s.token(b, y.high, z.low) * s.C;
                const T* __restrict p11 = group + s.token(b, y.high, z.high) * s.C;
                T* __restrict to = out + s.token(b, i, j) * s.C + g * n;
                const float w00 = (1 - y.part) * (1 - z.part), w01 = (1 - y.part) * z.part;
                const float w10 = y.part * (1 - z.part), w11 = y.part * z.part;
#pragma omp simd
                for (Index c = 0; c < n; ++c)
                    store1(to[c], w00 * load1(p00[c]) + w01 * load1(p01[c]) + w10 * load1(p10[c]) +
                                      w11 * load1(p11[c]));
            }
        }
    }
}

// Gradient of one row of offsets; returns the rows of x that were read in [low, high].
template <class T>
void offset_row(const Shape& s, Index b, Index i, const T* grad, const T* x, const T* offset, T* grad_offset,
                Index* low, Index* high) {
    const Index n = s.C / s.G;
    *low = s.H;
    *high = -1;
    for (Index j = 0; j < s.W; ++j) {
        for (Index g = 0; g < s.G; ++g) {
            const Index at = (s.token(b, i, j) * s.G + g) * 2;
            const Axis y(i, load1(offset[at]), s.H), z(j, load1(offset[at + 1]), s.W);
            *low = std::min(*low, y.low);
            *high = std::max(*high, y.high);
            const T* group = x + g * n;
            const T* p00 = group + s.token(b, y.low, z.low) * s.C;
            const T* p01 = group + s.token(b, y.low, z.high) * s.C;
            const T* p10 = group + s.token(b, y.high, z.low) * s.C;
            const T* p11 = group + s.token(b, y.high, z.high) * s.C;
            const T* from = grad + s.token(b, i, j) * s.C + g * n;
            float dy = 0.0f, dz = 0.0f;
#pragma omp simd reduction(+ : dy, dz)
            for (Index c = 0; c < n; ++c) {
                const float a = load1(p00[c]), e = load1(p01[c]), f = load1(p10[c]), h = load1(p11[c]);
                const float v = load1(from[c]);
                dy += v * ((f - a) * (1 - z.part) + (h - e) * z.part);
                dz += v * ((e - a) * (1 - y.part) + (h - f) * y.part);
            }
            store1(grad_offset[at], dy * y.inside);
            store1(grad_offset[at + 1], dz * z.inside);
        }
    }
}

// What source row i of image b adds to rows begin .. end of grad_x; `band` is row `begin`.
template <class T>
void scatter_row(const Shape& s, Index b, Index i, const T* grad, const T* offset, Index begin, Index end,
                 float* band) {
    const Index n = s.C / s.G;
    for (Index j = 0; j < s.W; ++j) {
        for (Index g = 0; g < s.G; ++g) {
            const T* d = offset + (s.token(b, i, j) * s.G + g) * 2;
            const Axis y(i, load1(d[0]), s.H), z(j, load1(d[1]), s.W);
            const T* __restrict from = grad + s.token(b, i, j) * s.C + g * n;
            auto add = [&](Index to_row, float weight) {
                if (to_row < begin || to_row >= end || weight == 0.0f) return;
                float* __restrict left = band + ((to_row - begin) * s.W + z.low) * s.C + g * n;
                const float a = weight * (1 - z.part), e = weight * z.part;
#pragma omp simd
                for (Index c = 0; c < n; ++c) left[c] += a * load1(from[c]);
                if (e == 0.0f) return;
                float* __restrict right = band + ((to_row - begin) * s.W + z.high) * s.C + g * n;
#pragma omp simd
                for (Index c = 0; c < n; ++c) right[c] += e * load1(from[c]);
            };
            add(y.low, 1 - y.part);
            add(y.high, y.part);
        }
    }
}

template <class T>
void backward(const Shape& s, const T* grad, const T* x, const T* offset, T* grad_x, T* grad_offset, int threads) {
    std::vector<Index> low(s.B * s.H), high(s.B * s.H);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (Index row = 0; row < s.B * s.H; ++row)
        offset_row(s, row / s.H, row % s.H, grad, x, offset, grad_offset, &low[row], &high[row]);

    constexpr bool direct = std::is_same<T, float>::value;  // other types are added up in float32 first
    const Index rows = std::min<Index>(std::max<Index>((s.B * s.H + threads - 1) / threads, 4), 32);
    const Index bands = (s.H + rows - 1) / rows, width = s.W * s.C;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (Index unit = 0; unit < s.B * bands; ++unit) {
        const Index b = unit / bands, begin = unit % bands * rows, end = std::min(begin + rows, s.H);
        const Index count = (end - begin) * width;
        T* out = grad_x + (b * s.H + begin) * width;
        std::vector<float> own(direct ? 0 : count);
        float* band = direct ? reinterpret_cast<float*>(out) : own.data();
        if (direct) std::fill(band, band + count, 0.0f);
        for (Index i = 0; i < s.H; ++i)
            if (low[b * s.H + i] < end && high[b * s.H + i] >= begin)
                scatter_row(s, b, i, grad, offset, begin, end, band);
        if (!direct)
            for (Index c = 0; c < count; ++c) store1(out[c], band[c]);
    }
}

}  // namespace

extern "C" {

// x, out, grad, grad_x (B, H, W, C); offset, grad_offset (B, H, W, G, 2); all contiguous and of one type.
#define STYLECLI_DEFORM_SHIFT(NAME, TYPE)                                                                              \
    void stylecli_deform_shift_forward_##NAME(std::int64_t B, std::int64_t H, std::int64_t W, std::int64_t C,         \
                                              std::int64_t G, const TYPE* x, const TYPE* offset, TYPE* out,           \
                                              int threads) {                                                          \
        forward<TYPE>({B, H, W, C, G}, x, offset, out, threads);                                                      \
    }                                                                                                                 \
    void stylecli_deform_shift_backward_##NAME(std::int64_t B, std::int64_t H, std::int64_t W, std::int64_t C,        \
                                               std::int64_t G, const TYPE* grad, const TYPE* x, const TYPE* offset,   \
                                               TYPE* grad_x, TYPE* grad_offset, int threads) {                        \
        backward<TYPE>({B, H, W, C, G}, grad, x, offset, grad_x, grad_offset, threads);                               \
    }
STYLECLI_DEFORM_SHIFT(float32, float)
STYLECLI_DEFORM_SHIFT(bfloat16, Bfloat16)
}
