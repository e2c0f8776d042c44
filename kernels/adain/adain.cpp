// Adaptive instance normalisation once the statistics are known, and the leaky ReLU behind it, in one reading, plain C
// interface. Formula and source: stylecli/ops/adain.py.

#include <vector>

#include "../common.h"

namespace {

using namespace stylecli;

constexpr Index BLOCK = 64;

// One channel's numbers: y = leaky(clamp(x scale + shift) gain + offset).
struct Channels {
    std::vector<float> scale, shift;
    const float *gain, *offset;
};

void apply(Index places, Index C, const float* x, const Channels& by, float limit, float slope, float* out) {
    const float *scale = by.scale.data(), *shift = by.shift.data();
    for (Index t = 0; t < places; ++t) {
        const float* from = x + t * C;
        float* to = out + t * C;
        Index c = 0;
        for (; c + 8 <= C; c += 8) {
            const Vec normal = mad8(load8(from + c), load8(scale + c), load8(shift + c));
            const Vec y = mad8(clamp8(normal, -limit, limit), load8(by.gain + c), load8(by.offset + c));
            store8(to + c, max8(y * filled8(slope), y));
        }
        for (; c < C; ++c) {
            const float normal = from[c] * scale[c] + shift[c];
            const float kept = normal > limit ? limit : normal < -limit ? -limit : normal;
            const float y = kept * by.gain[c] + by.offset[c];
            to[c] = y < 0 ? slope * y : y;
        }
    }
}

}  // namespace

// x, out (B, T, C); mean, std, gain, offset (B, C); limit in standard deviations, may be infinite.
extern "C" void stylecli_adain_float32(std::int64_t B, std::int64_t T, std::int64_t C, const float* x,
                                       const float* mean, const float* std, const float* gain, const float* offset,
                                       double limit, double slope, float* out, int threads) {
    for (Index b = 0; b < B; ++b) {
        Channels by{std::vector<float>(C), std::vector<float>(C), gain + b * C, offset + b * C};
        for (Index c = 0; c < C; ++c) {
            by.scale[c] = 1 / std[b * C + c];
            by.shift[c] = -mean[b * C + c] * by.scale[c];
        }
#pragma omp parallel for num_threads(threads) schedule(static)
        for (Index first = 0; first < T; first += BLOCK) {
            const Index at = (b * T + first) * C, places = first + BLOCK < T ? BLOCK : T - first;
            apply(places, C, x + at, by, static_cast<float>(limit), static_cast<float>(slope), out + at);
        }
    }
}
