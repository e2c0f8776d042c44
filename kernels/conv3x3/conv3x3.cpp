// 3 x 3 convolutions with few products on the CPU, plain C interface. All maps are (B, H, W, C); a border is continued
// by its last pixel. Formulas and sources: stylecli/ops/conv3x3/op.py.
//
// Winograd F(4 x 4, 3 x 3): a tile of 6 x 6 input pixels becomes 36 numbers for each channel, and 36 sums of products
// become 4 x 4 output pixels. Upsampled: the nine taps were applied before enlarging, here they are enlarged and added.

#include <algorithm>
#include <vector>

#include "../common.h"

namespace {

using namespace stylecli;

constexpr Index TILE = 4, REACH = TILE + 2, POINTS = REACH * REACH;

inline Vec load_part(const float* p, Index n) {
    if (n >= 8) return load8(p);
    float x[8] = {};
    std::copy(p, p + n, x);
    return load8(x);
}
inline void store_part(float* p, Index n, Vec v) {
    if (n >= 8) return store8(p, v);
    float x[8];
    store8(x, v);
    std::copy(x, x + n, p);
}

// Leaky ReLU for a slope in 0..1; of slope 1, x itself.
inline Vec leaky8(Vec x, Vec slope) { return max8(x * slope, x); }

// What is done to a map on its way in and out, so that it need not be read once more: leaky ReLUs, and a map to add.
struct Around {
    float before, after;
    const float* added;  // or null
};

// B^T d: six numbers `step` apart.
inline void into(Vec* d, Index step) {
    Vec &a = d[0], &b = d[step], &c = d[2 * step], &e = d[3 * step], &f = d[4 * step], &g = d[5 * step];
    const Vec even = mad8(c, -4.0f, f), odd = mad8(b, -4.0f, e), close = f - c, far = 2.0f * (e - b);
    a = mad8(a, 4.0f, mad8(c, -5.0f, f));
    g = mad8(b, 4.0f, mad8(e, -5.0f, g));
    b = even + odd;
    c = even - odd;
    e = close + far;
    f = close - far;
}

// A^T m: six numbers `step` apart become four.
inline void out_of(Vec* m, Index step) {
    Vec &a = m[0], &b = m[step], &c = m[2 * step], &d = m[3 * step];
    const Vec e = m[4 * step], f = m[5 * step];
    const Vec near = b + c, turn = b - c, far = d + e, skew = d - e;
    a = a + near + far;
    b = mad8(skew, 2.0f, turn);
    c = mad8(far, 4.0f, near);
    d = mad8(skew, 8.0f, turn) + f;
}

// One convolution. Of each of 36 points the weights are (C, 16) for the first 16 columns, (C, 16) for the next and so
// on, at last perhaps (C, 8): D rounded up to whole vectors.
struct Shape {
    Index B, H, W, C, D;
    Index rows() const { return (H + TILE - 1) / TILE; }
    Index columns() const { return (W + TILE - 1) / TILE; }
    Index tiles() const { return B * rows() * columns(); }
    Index width() const { return (D + 7) / 8 * 8; }
};

// Tile `index` of x to `to`, whose 36 points lie `plane` apart.
void take(const Shape& s, Index index, const float* x, Vec slope, float* to, Index plane) {
    const Index b = index / (s.rows() * s.columns());
    const Index top = index / s.columns() % s.rows() * TILE - 1, left = index % s.columns() * TILE - 1;
    const float* from[POINTS];
    for (Index i = 0; i < REACH; ++i)
        for (Index j = 0; j < REACH; ++j) {
            const Index y = std::clamp<Index>(top + i, 0, s.H - 1), z = std::clamp<Index>(left + j, 0, s.W - 1);
            from[i * REACH + j] = x + ((b * s.H + y) * s.W + z) * s.C;
        }
    for (Index c = 0; c < s.C; c += 8) {
        Vec d[POINTS];
        for (Index k = 0; k < POINTS; ++k) d[k] = leaky8(load_part(from[k] + c, s.C - c), slope);
        for (Index j = 0; j < REACH; ++j) into(d + j, REACH);
        for (Index i = 0; i < REACH; ++i) into(d + i * REACH, 1);
        for (Index k = 0; k < POINTS; ++k) store_part(to + k * plane + c, s.C - c, d[k]);
    }
}

// The sums of a tile, at `from`, to its place in `out`.
void give(const Shape& s, Index index, const float* from, Index plane, const float* bias, const Around& around,
          float* out) {
    const Index b = index / (s.rows() * s.columns());
    const Index top = index / s.columns() % s.rows() * TILE, left = index % s.columns() * TILE;
    const Index height = std::min(TILE, s.H - top), width = std::min(TILE, s.W - left);
    const Index place = ((b * s.H + top) * s.W + left) * s.D;
    const Vec slope = filled8(around.after);
    for (Index c = 0; c < s.D; c += 8) {
        Vec m[POINTS];
        for (Index k = 0; k < POINTS; ++k) m[k] = load8(from + k * plane + c);
        for (Index j = 0; j < REACH; ++j) out_of(m + j, REACH);
        const Vec add = load_part(bias + c, s.D - c);
        for (Index i = 0; i < height; ++i) {
            out_of(m + i * REACH, 1);
            for (Index j = 0; j < width; ++j) {
                const Index at = place + (i * s.W + j) * s.D + c;
                Vec y = m[i * REACH + j] + add;
                if (around.added) y = y + load_part(around.added + at, s.D - c);
                store_part(out + at, s.D - c, leaky8(y, slope));
            }
        }
    }
}

// GROUP rows of `a` (., C) times `weight` (C, 8 VECTORS), to `sums` (., width): as many as there are registers for.
constexpr Index GROUP = 6;

template <int VECTORS>
inline void product(Index C, Index width, const float* a, const float* weight, float* sums) {
    Vec sum[GROUP][VECTORS] = {};
    for (Index c = 0; c < C; ++c) {
        Vec w[VECTORS];
        for (int v = 0; v < VECTORS; ++v) w[v] = load8(weight + 8 * (c * VECTORS + v));
        for (Index i = 0; i < GROUP; ++i) {
            const Vec x = filled8(a[i * C + c]);
            for (int v = 0; v < VECTORS; ++v) sum[i][v] = mad8(x, w[v], sum[i][v]);
        }
    }
    for (Index i = 0; i < GROUP; ++i)
        for (int v = 0; v < VECTORS; ++v) store8(sums + i * width + 8 * v, sum[i][v]);
}

// Tiles are taken some at a time: rearranged, multiplied and put in place while they are in the cache.
constexpr Index AT_ONCE = 4 * GROUP;

void winograd(const Shape& s, const float* x, const float* weight, const float* bias, const Around& around, float* out,
              int threads) {
    const Index width = s.width(), plane = AT_ONCE * s.C, sums_plane = AT_ONCE * width;
    const Index blocks = (s.tiles() + AT_ONCE - 1) / AT_ONCE;
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> points(POINTS * plane), sums(POINTS * sums_plane);
#pragma omp for schedule(static)
        for (Index block = 0; block < blocks; ++block) {
            const Index first = block * AT_ONCE, count = std::min(AT_ONCE, s.tiles() - first);
            for (Index t = 0; t < count; ++t) take(s, first + t, x, filled8(around.before), points.data() + t * s.C, plane);
            for (Index k = 0; k < POINTS; ++k)
                for (Index t = 0; t < count; t += GROUP) {  // the last group may hold leftovers, which nobody reads
                    const float* a = points.data() + k * plane + t * s.C;
                    const float* w = weight + k * s.C * width;
                    float* to = sums.data() + k * sums_plane + t * width;
                    Index d = 0;
                    for (; d + 16 <= width; d += 16) product<2>(s.C, width, a, w + d * s.C, to + d);
                    if (d < width) product<1>(s.C, width, a, w + d * s.C, to + d);
                }
            for (Index t = 0; t < count; ++t)
                give(s, first + t, sums.data() + t * width, sums_plane, bias, around, out);
        }
    }
}

// Bilinear enlargement to twice the size followed by three taps, along one axis: what each tap of the places before,
// at and after contributes to the even and to the odd one of two places.
constexpr float SHARE[2][3][3] = {{{.75f, .25f, 0}, {.25f, .75f, 0}, {0, .75f, .25f}},
                                  {{.25f, .75f, 0}, {0, .75f, .25f}, {0, .25f, .75f}}};

// Taps (H, W, 3, 3, C) of one picture, of which rows i - 1, i, i + 1 count, to row 2 i + odd: first along columns, into
// `mixed` (W, 3, C), then along rows.
void enlarged_row(Index H, Index W, Index C, const float* taps, const float* bias, float slope, Index i, int odd,
                  float* mixed, float* out) {
    const Index pixel = 9 * C;
    const float* rows[3];
    for (Index m = 0; m < 3; ++m) rows[m] = taps + std::clamp<Index>(i - 1 + m, 0, H - 1) * W * pixel;
    const auto& share = SHARE[odd];
    for (Index j = 0; j < W; ++j) {
        float* __restrict to = mixed + j * 3 * C;
        const float *above = rows[0] + j * pixel, *here = rows[1] + j * pixel, *below = rows[2] + j * pixel;
        const Index n = 3 * C;  // one row of the kernel after the other: its three taps lie side by side
        if (odd) {
#pragma omp simd
            for (Index c = 0; c < n; ++c)
                to[c] = share[0][0] * above[c] + share[0][1] * here[c] + share[1][1] * here[n + c] +
                        share[1][2] * below[n + c] + share[2][1] * here[2 * n + c] + share[2][2] * below[2 * n + c];
        } else {
#pragma omp simd
            for (Index c = 0; c < n; ++c)
                to[c] = share[0][0] * above[c] + share[0][1] * here[c] + share[1][0] * above[n + c] +
                        share[1][1] * here[n + c] + share[2][1] * here[2 * n + c] + share[2][2] * below[2 * n + c];
        }
    }
    for (Index j = 0; j < W; ++j) {
        const float* left = mixed + std::max<Index>(j - 1, 0) * 3 * C;
        const float* here = mixed + j * 3 * C;
        const float* right = mixed + std::min<Index>(j + 1, W - 1) * 3 * C;
        float* __restrict even = out + 2 * j * C;
        float* __restrict next = even + C;
#pragma omp simd
        for (Index c = 0; c < C; ++c) {
            const float a = here[c], e = here[C + c], f = here[2 * C + c];
            const float y = bias[c] + .75f * left[c] + .25f * a + .25f * left[C + c] + .75f * e + .75f * f + .25f * right[2 * C + c];
            const float z = bias[c] + .25f * left[c] + .75f * a + .75f * e + .25f * right[C + c] + .25f * f + .75f * right[2 * C + c];
            even[c] = y > 0 ? y : slope * y;
            next[c] = z > 0 ? z : slope * z;
        }
    }
}

void enlarged(Index B, Index H, Index W, Index C, const float* taps, const float* bias, float slope, float* out,
              int threads) {
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> mixed(W * 3 * C);
#pragma omp for schedule(static)
        for (Index row = 0; row < B * H; ++row) {
            const Index b = row / H, i = row % H;
            for (int odd = 0; odd < 2; ++odd)
                enlarged_row(H, W, C, taps + b * H * W * 9 * C, bias, slope, i, odd, mixed.data(),
                             out + ((b * H + i) * 2 + odd) * 2 * W * C);
        }
    }
}

}  // namespace

extern "C" {

// x (B, H, W, C); weight see Shape; bias (D); added (B, H, W, D) or null; out (B, H, W, D).
void stylecli_conv3x3_winograd_float32(std::int64_t B, std::int64_t H, std::int64_t W, std::int64_t C, std::int64_t D,
                                       const float* x, const float* weight, const float* bias, double before,
                                       double after, const float* added, float* out, int threads) {
    const Around around{static_cast<float>(before), static_cast<float>(after), added};
    winograd({B, H, W, C, D}, x, weight, bias, around, out, threads);
}
// taps (B, H, W, 3, 3, C); bias (C); out (B, 2 H, 2 W, C).
void stylecli_conv3x3_enlarge_float32(std::int64_t B, std::int64_t H, std::int64_t W, std::int64_t C,
                                      const float* taps, const float* bias, double after, float* out, int threads) {
    enlarged(B, H, W, C, taps, bias, static_cast<float>(after), out, threads);
}
}
