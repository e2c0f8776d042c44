// A photograph made smaller, each place a weighted mean of those that it covers, plain C interface. Formula and
// weights: stylecli/ops/shrink.py.
//
// Down first: whole rows of bytes are added up, eight numbers at once, and what is left for going across is as many
// rows as the result has.

#include <algorithm>
#include <vector>

#include "../common.h"

namespace {

using namespace stylecli;

typedef float Four __attribute__((vector_size(16)));
typedef std::uint8_t Bytes __attribute__((vector_size(8)));

inline Vec numbers8(const float* p) { return load8(p); }
inline Vec numbers8(const std::uint8_t* p) {
#ifdef __AVX2__  // GCC takes each number by itself
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#else
    Bytes b;
    std::memcpy(&b, p, sizeof b);
    return __builtin_convertvector(__builtin_convertvector(b, Bits), Vec);
#endif
}

// The sum of some rows with their weights, of `count` numbers.
template <class T>
void add_rows(const std::vector<const T*>& rows, const std::vector<float>& weights, Index count, float* sum) {
    constexpr Index VECTORS = 4, STEP = 8 * VECTORS;
    const std::size_t many = rows.size();
    Index i = 0;
    for (; i + STEP <= count; i += STEP) {
        Vec part[VECTORS] = {};
        for (std::size_t k = 0; k < many; ++k)
            for (Index v = 0; v < VECTORS; ++v) part[v] = mad8(numbers8(rows[k] + i + 8 * v), weights[k], part[v]);
        for (Index v = 0; v < VECTORS; ++v) store8(sum + i + 8 * v, part[v]);
    }
    for (; i < count; ++i) {
        sum[i] = 0.0f;
        for (std::size_t k = 0; k < many; ++k) sum[i] += weights[k] * rows[k][i];
    }
}

// photo (H, W, 3), out (3, h, w). For each row of the result: the first of K rows that it is made of, and their
// weights, (h,) and (h, K); the same across. Weights of places that do not exist are 0.
template <class T>
void shrink(Index H, Index W, Index h, Index w, Index down, Index across, float white, const T* photo,
            const std::int64_t* first_row, const float* row_weights, const std::int64_t* first_column,
            const float* column_weights, float* out, int threads) {
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> sum(W * 3 + 1), weights;  // (four numbers are read where three are wanted)
        std::vector<const T*> rows;
#pragma omp for schedule(static)
        for (Index y = 0; y < h; ++y) {
            rows.clear(), weights.clear();
            for (Index k = 0; k < down && first_row[y] + k < H; ++k) {
                rows.push_back(photo + (first_row[y] + k) * W * 3);
                weights.push_back(row_weights[y * down + k] / white);
            }
            add_rows(rows, weights, W * 3, sum.data());
            for (Index x = 0; x < w; ++x) {
                const float *from = sum.data() + first_column[x] * 3, *by = column_weights + x * across;
                const Index many = std::min(across, W - first_column[x]);
                Four parts[4] = {};  // several sums at once: each waits for its own last addition
                for (Index k = 0; k < many; ++k) {
                    Four place;
                    std::memcpy(&place, from + k * 3, sizeof place);
                    parts[k % 4] += place * by[k];
                }
                const Four mean = (parts[0] + parts[1]) + (parts[2] + parts[3]);
                for (int c = 0; c < 3; ++c) {
                    const float value = mean[c];
                    out[(c * h + y) * w + x] = value < 0 ? 0.0f : value > 1 ? 1.0f : value;  // NaN stays
                }
            }
        }
    }
}

}  // namespace

extern "C" void stylecli_shrink_uint8(std::int64_t H, std::int64_t W, std::int64_t h, std::int64_t w, std::int64_t down,
                                      std::int64_t across, const std::uint8_t* photo, const std::int64_t* first_row,
                                      const float* row_weights, const std::int64_t* first_column,
                                      const float* column_weights, float* out, int threads) {
    shrink(H, W, h, w, down, across, 255.0f, photo, first_row, row_weights, first_column, column_weights, out, threads);
}
extern "C" void stylecli_shrink_float32(std::int64_t H, std::int64_t W, std::int64_t h, std::int64_t w,
                                        std::int64_t down, std::int64_t across, const float* photo,
                                        const std::int64_t* first_row, const float* row_weights,
                                        const std::int64_t* first_column, const float* column_weights, float* out,
                                        int threads) {
    shrink(H, W, h, w, down, across, 1.0f, photo, first_row, row_weights, first_column, column_weights, out, threads);
}
