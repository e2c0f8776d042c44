// A painting of working size brought to its photograph's full size with the photograph's detail, plain C interface.
// What it is for: stylecli/paint/size.py; formula: stylecli/ops/enlarge.py.
//
// `small` has 8 numbers a place, which fill a vector: the painting's colours, the photograph's luma, the gain of each
// colour, nothing. Colours and luma are enlarged with cubic weights, gains with linear ones, all at once. A tile of the
// result is gone through from top to bottom; rows of `small` are widened once, and four of them are at hand.

#include <algorithm>
#include <vector>

#include "../common.h"

namespace {

using namespace stylecli;

typedef float Four __attribute__((vector_size(16)));

constexpr Index PLACE = 8, TILE_ROWS = 256, TILE_COLUMNS = 512;
constexpr float RED = 0.299f, GREEN = 0.587f, BLUE = 0.114f;  // of luma (BT.601)

// Where a place of the result lies among `size` places: those from `first` on (held inside), with these weights.
struct Taps {
    Index first;
    float cubic[4], linear[4];

    Taps(Index at, Index size, Index result) {
        const double place = (at + 0.5) * (static_cast<double>(size) / result) - 0.5;
        const Index below = static_cast<Index>(std::floor(place));
        const double x = place - below;
        first = below - 1;
        for (int t = 0; t < 4; ++t) cubic[t] = static_cast<float>(keys(std::abs(x - (t - 1))));
        linear[0] = linear[3] = 0.0f, linear[1] = static_cast<float>(1 - x), linear[2] = static_cast<float>(x);
    }
    Vec weights(int t) const {
        const float c = cubic[t], l = linear[t];
        return Vec{c, c, c, c, l, l, l, l};
    }
    // Keys' convolution kernel with the slope that torch takes.
    static double keys(double x) {
        constexpr double a = -0.75;
        return x < 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
    }
};

inline float number(std::uint8_t x) { return x * (1.0f / 255.0f); }
inline float number(float x) { return x; }
inline void put(float x, std::uint8_t& to) { to = static_cast<std::uint8_t>(x * 255.0f + 0.5f); }
inline void put(float x, float& to) { to = x; }

inline float held(float x) { return std::min(1.0f, std::max(0.0f, x)); }

// One place of the result. `keeps_colour`: only lightness comes from the painting.
template <class T>
inline void finish(Vec place, const T* photo, bool keeps_colour, T* to) {
    Four painted, gain;
    std::memcpy(&painted, &place, sizeof painted);
    std::memcpy(&gain, reinterpret_cast<const char*>(&place) + sizeof painted, sizeof gain);
    const float own[3] = {number(photo[0]), number(photo[1]), number(photo[2])};
    const float luma = RED * own[0] + GREEN * own[1] + BLUE * own[2];
    const Four sum = painted + gain * (luma - painted[3]);
    float result[3] = {held(sum[0]), held(sum[1]), held(sum[2])};
    if (keeps_colour) {
        const float lighter = RED * result[0] + GREEN * result[1] + BLUE * result[2] - luma;
        for (int c = 0; c < 3; ++c) result[c] = held(own[c] + lighter);
    }
    for (int c = 0; c < 3; ++c) put(result[c], to[c]);
}

template <class T>
struct Enlarging {
    Index h, w, H, W;
    const float* small;  // (h, w, 8)
    const T* photo;      // (H, W, 3)
    bool keeps_colour;
    T* out;  // (H, W, 3)
    std::vector<Taps> across;

    // A row of `small` at the full width, for some columns: (right - left, 8).
    void widen(Index row, Index left, Index right, float* to) const {
        const float* from = small + row * w * PLACE;
        for (Index x = left; x < right; ++x, to += PLACE) {
            const Taps& taps = across[x];
            Vec sum = {};
            for (int t = 0; t < 4; ++t) {
                const Index at = std::clamp<Index>(taps.first + t, 0, w - 1);
                sum = mad8(taps.weights(t), load8(from + at * PLACE), sum);
            }
            store8(to, sum);
        }
    }

    void tile(Index top, Index left) const {
        const Index bottom = std::min(top + TILE_ROWS, H), right = std::min(left + TILE_COLUMNS, W);
        std::vector<float> rows(4 * (right - left) * PLACE);  // a row of `small` lies at its number modulo 4
        Index there[4] = {-1, -1, -1, -1};
        for (Index y = top; y < bottom; ++y) {
            const Taps taps(y, h, H);
            const float* from[4];
            Vec weights[4];
            for (int t = 0; t < 4; ++t) {
                const Index row = std::clamp<Index>(taps.first + t, 0, h - 1);
                float* place = rows.data() + row % 4 * (right - left) * PLACE;
                if (there[row % 4] != row) widen(row, left, right, place), there[row % 4] = row;
                from[t] = place, weights[t] = taps.weights(t);
            }
            const Index at = (y * W + left) * 3;
            for (Index x = 0; x < right - left; ++x) {
                Vec sum = weights[0] * load8(from[0] + x * PLACE);
                for (int t = 1; t < 4; ++t) sum = mad8(weights[t], load8(from[t] + x * PLACE), sum);
                finish(sum, photo + at + x * 3, keeps_colour, out + at + x * 3);
            }
        }
    }
};

template <class T>
void enlarge(Index h, Index w, Index H, Index W, bool keeps_colour, const float* small, const T* photo, T* out,
             int threads) {
    Enlarging<T> job{h, w, H, W, small, photo, keeps_colour, out, {}};
    job.across.reserve(W);
    for (Index x = 0; x < W; ++x) job.across.emplace_back(x, w, W);
    const Index down = (H + TILE_ROWS - 1) / TILE_ROWS, columns = (W + TILE_COLUMNS - 1) / TILE_COLUMNS;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (Index i = 0; i < down * columns; ++i) job.tile(i / columns * TILE_ROWS, i % columns * TILE_COLUMNS);
}

}  // namespace

// small (h, w, 8); photo, out (H, W, 3): bytes, or floats in 0..1.
extern "C" void stylecli_enlarge_uint8(std::int64_t h, std::int64_t w, std::int64_t H, std::int64_t W,
                                       std::int64_t keeps_colour, const float* small, const std::uint8_t* photo,
                                       std::uint8_t* out, int threads) {
    enlarge(h, w, H, W, keeps_colour != 0, small, photo, out, threads);
}
extern "C" void stylecli_enlarge_float32(std::int64_t h, std::int64_t w, std::int64_t H, std::int64_t W,
                                         std::int64_t keeps_colour, const float* small, const float* photo, float* out,
                                         int threads) {
    enlarge(h, w, H, W, keeps_colour != 0, small, photo, out, threads);
}
