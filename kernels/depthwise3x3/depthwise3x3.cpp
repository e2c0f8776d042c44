// Depthwise 3 x 3 convolution of a map whose border is continued by its last pixel, and the activation behind it, in
// one reading, plain C interface. Formula: stylecli/ops/depthwise3x3.py.

#include <algorithm>

#include "../common.h"

namespace {

using namespace stylecli;

enum Activation : int { NONE, SILU, GELU };

inline Vec sigmoid8(Vec x) { return 1.0f / (exp8(-x) + 1.0f); }

// x Phi(x). The error function after Abramowitz and Stegun, 7.1.26: absolute error below 2e-7.
inline Vec gelu8(Vec x) {
    const Vec z = max8(x, -x) * 0.70710678f;
    const Vec t = 1.0f / mad8(z, 0.3275911f, 1.0f);
    Vec p = mad8(t, 1.061405429f, -1.453152027f);
    p = mad8(p, t, filled8(1.421413741f));
    p = mad8(p, t, filled8(-0.284496736f));
    p = mad8(p, t, filled8(0.254829592f));
    const Vec half = 0.5f * p * t * exp8(-z * z);  // (1 - erf z) / 2
    return x * (x < 0.0f ? half : 1.0f - half);
}

template <int ACTIVATION>
inline Vec activated(Vec x) {
    return ACTIVATION == SILU ? x * sigmoid8(x) : ACTIVATION == GELU ? gelu8(x) : x;
}

// The nine pixels around one, each C numbers; weight (9, C).
template <int ACTIVATION>
void pixel(Index C, const float* const* around, const float* weight, const float* bias, float* out) {
    for (Index c = 0; c < C; c += 8) {
        const Index n = std::min<Index>(8, C - c);
        if (n == 8) {
            Vec sum = load8(bias + c);
            for (int k = 0; k < 9; ++k) sum = mad8(load8(around[k] + c), load8(weight + k * C + c), sum);
            store8(out + c, activated<ACTIVATION>(sum));
        } else {
            float last[8] = {};
            for (Index i = 0; i < n; ++i) {
                last[i] = bias[c + i];
                for (int k = 0; k < 9; ++k) last[i] += around[k][c + i] * weight[k * C + c + i];
            }
            store8(last, activated<ACTIVATION>(load8(last)));
            std::copy(last, last + n, out + c);
        }
    }
}

struct Map {
    const float* x;
    Index B, H, W, C, image, row, pixel;  // sizes, and how far apart two of each lie
};

template <int ACTIVATION>
void convolve(const Map& m, const float* weight, const float* bias, float* out, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (Index line = 0; line < m.B * m.H; ++line) {
        const Index b = line / m.H, y = line % m.H;
        const float* rows[3];
        for (Index i = 0; i < 3; ++i)
            rows[i] = m.x + b * m.image + std::clamp<Index>(y - 1 + i, 0, m.H - 1) * m.row;
        for (Index j = 0; j < m.W; ++j) {
            const float* around[9];
            for (Index k = 0; k < 9; ++k)
                around[k] = rows[k / 3] + std::clamp<Index>(j - 1 + k % 3, 0, m.W - 1) * m.pixel;
            pixel<ACTIVATION>(m.C, around, weight, bias, out + (line * m.W + j) * m.C);
        }
    }
}

}  // namespace

// x (B, H, W, C), whose images, rows and pixels lie so many numbers apart; weight (9, C); bias (C); out (B, H, W, C).
extern "C" void stylecli_depthwise3x3_float32(std::int64_t B, std::int64_t H, std::int64_t W, std::int64_t C,
                                              std::int64_t image, std::int64_t row, std::int64_t pixel,
                                              std::int64_t activation, const float* x, const float* weight,
                                              const float* bias, float* out, int threads) {
    const Map map{x, B, H, W, C, image, row, pixel};
    if (activation == SILU) return convolve<SILU>(map, weight, bias, out, threads);
    if (activation == GELU) return convolve<GELU>(map, weight, bias, out, threads);
    convolve<NONE>(map, weight, bias, out, threads);
}
