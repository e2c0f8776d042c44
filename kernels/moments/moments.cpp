// Mean and variance of every channel over all places of a map, in one reading, plain C interface.
//
// A block of places is read twice while it is in the nearest cache, for its mean and for the squares around that mean;
// blocks are put together in double precision (Chan, Golub and LeVeque 1979), the threads' parts in a fixed order.

#include <algorithm>
#include <vector>

#include "../common.h"

namespace {

using namespace stylecli;

constexpr Index BLOCK = 64;

struct Moments {
    double count = 0;
    std::vector<double> mean, squares;
    explicit Moments(Index C) : mean(C), squares(C) {}

    template <class M, class S>
    void add(double n, const M& of_mean, const S& of_squares) {
        if (n == 0) return;
        const double both = count + n, share = n / both;
        for (std::size_t c = 0; c < mean.size(); ++c) {
            const double apart = of_mean[c] - mean[c];
            mean[c] += apart * share;
            squares[c] += of_squares[c] + apart * apart * count * share;
        }
        count = both;
    }
};

void read(Index begin, Index end, Index C, const float* x, Moments& into) {
    std::vector<float> mean_of(C), squares_of(C);
    float *__restrict mean = mean_of.data(), *__restrict squares = squares_of.data();
    for (Index first = begin; first < end; first += BLOCK) {
        const Index n = std::min(BLOCK, end - first);
        std::fill(mean, mean + C, 0.0f);
        std::fill(squares, squares + C, 0.0f);
        for (Index t = first; t < first + n; ++t) {
            const float* p = x + t * C;
#pragma omp simd
            for (Index c = 0; c < C; ++c) mean[c] += p[c];
        }
        for (Index c = 0; c < C; ++c) mean[c] /= static_cast<float>(n);
        for (Index t = first; t < first + n; ++t) {
            const float* p = x + t * C;
#pragma omp simd
            for (Index c = 0; c < C; ++c) squares[c] += (p[c] - mean[c]) * (p[c] - mean[c]);
        }
        into.add(static_cast<double>(n), mean, squares);
    }
}

}  // namespace

// x (B, T, C); mean, variance (B, C).
extern "C" void stylecli_moments_float32(std::int64_t B, std::int64_t T, std::int64_t C, const float* x, float* mean,
                                         float* variance, int threads) {
    for (Index b = 0; b < B; ++b) {
        std::vector<Moments> parts(threads, Moments(C));
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int part = 0; part < threads; ++part)
            read(T * part / threads, T * (part + 1) / threads, C, x + b * T * C, parts[part]);
        for (int part = 1; part < threads; ++part) parts[0].add(parts[part].count, parts[part].mean, parts[part].squares);
        for (Index c = 0; c < C; ++c) {
            mean[b * C + c] = static_cast<float>(parts[0].mean[c]);
            variance[b * C + c] = static_cast<float>(parts[0].squares[c] / parts[0].count);
        }
    }
}
