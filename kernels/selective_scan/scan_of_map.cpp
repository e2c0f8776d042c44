// Selective scan (S6) of a map in four directions at once, on the CPU, plain C interface. Formula:
// stylecli/ops/selective_scan/of_map.py; the recurrence: recurrence.h.
//
// Each quarter of the channels goes its own way: rows from the first and from the last token, columns from both ends.
// Tokens are read and written where they lie, so nothing is lined up before or put together behind; step sizes are
// multiplied out of their few numbers here, and the gate is applied on the way out.

#include "recurrence.h"

namespace {

using namespace stylecli;

constexpr Index DIRECTIONS = 4;

struct Map {
    Index images, H, W, D, N, rank;  // D: channels of one direction
    const float *u, *gate;           // (images, H, W, 4 D) ...
    Index between_u, between_gate;   // ... and how many numbers lie from one pixel to the next
    const float* dt_B_C;             // (images, H, W, 4, rank + 2 N): of the step sizes, B and C
    const float *step, *bias, *A, *skip;  // (4, rank, D), (4, D), (4, D, N), (4, D)
    Index L() const { return H * W; }
    Index blocks() const { return (D + LANES - 1) / LANES; }
};

// LANES channels of one image and direction.
struct Channels {
    const Map& m;
    Index image, direction, c0;
    int n;
    std::vector<Row> A2, step;
    Row skip, bias;
    Index places[CHUNK] = {};  // of the tokens of a chunk

    Channels(const Map& map, Index image, Index direction, Index block)
        : m(map), image(image), direction(direction), c0(block * LANES),
          n(static_cast<int>(std::min<Index>(LANES, map.D - c0))), A2(map.N), step(map.rank),
          skip(load(map.skip + direction * map.D + c0, n)), bias(load(map.bias + direction * map.D + c0, n)) {
        read_exponents(map.A + (direction * map.D + c0) * map.N, map.N, n, A2.data());
        for (Index r = 0; r < map.rank; ++r)
            step[r] = load(map.step + (direction * map.rank + r) * map.D + c0, n);
    }
    void line_up(Index begin, int count) {
        for (int t = 0; t < count; ++t) {
            const Index at = direction % 2 ? m.L() - 1 - begin - t : begin + t;
            places[t] = image * m.L() + (direction < 2 ? at : at % m.H * m.W + at / m.H);
        }
    }
    // Of tokens of the chunk that is lined up:
    const float* chosen(Index t) const {
        return m.dt_B_C + (places[t] * DIRECTIONS + direction) * (m.rank + 2 * m.N);
    }
    const float* B(Index t) const { return chosen(t) + m.rank; }
    const float* C(Index t) const { return B(t) + m.N; }
    Row at(const float* pixel) const { return load(pixel + direction * m.D + c0, n); }
    Row u(Index t) const { return at(m.u + places[t] * m.between_u); }
    Row gate(Index t) const { return at(m.gate + places[t] * m.between_gate); }
    Row step_size(Index t) const {
        Row sum = bias;
        const float* by = chosen(t);
        for (Index r = 0; r < m.rank; ++r) sum = mad(step[r], by[r], sum);
        return softplus(sum);
    }
};

void scan(Channels& k, float* out) {
    const Map& m = k.m;
    std::vector<Row> states(m.N);
    const Row steepest = largest(k.A2);
    Row dt[CHUNK], y[CHUNK];
    for (Index begin = 0; begin < m.L(); begin += CHUNK) {
        const int count = static_cast<int>(std::min<Index>(CHUNK, m.L() - begin));
        k.line_up(begin, count);
        Row longest{};
        for (int t = 0; t < count; ++t) longest = max(dt[t] = k.step_size(t), longest);
        const bool mild = within(longest * steepest, 126.0f);
        mild ? recur<true>(k, m.N, 0, count, dt, states.data(), y)
             : recur<false>(k, m.N, 0, count, dt, states.data(), y);
        for (int t = 0; t < count; ++t) {
            const Row z = k.gate(t);
            store(out + k.places[t] * DIRECTIONS * m.D + k.direction * m.D + k.c0, k.n, y[t] * z * sigmoid(z));
        }
    }
}

}  // namespace

// Sizes and layouts: see Map; out (images, H, W, 4 D).
extern "C" void stylecli_scan_of_map_float32(std::int64_t images, std::int64_t H, std::int64_t W, std::int64_t D,
                                             std::int64_t N, std::int64_t rank, std::int64_t between_u,
                                             std::int64_t between_gate, const float* u, const float* gate,
                                             const float* dt_B_C, const float* step, const float* bias,
                                             const float* A, const float* skip, float* out, int threads) {
    const Map map{images, H, W, D, N, rank, u, gate, between_u, between_gate, dt_B_C, step, bias, A, skip};
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (Index unit = 0; unit < images * DIRECTIONS * map.blocks(); ++unit) {
        Channels k(map, unit / (DIRECTIONS * map.blocks()), unit / map.blocks() % DIRECTIONS, unit % map.blocks());
        scan(k, out);
    }
}
