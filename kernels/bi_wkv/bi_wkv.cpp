// Bidirectional WKV on the CPU, plain C interface. Formula: stylecli/ops/bi_wkv/reference.py.
//
// With e = exp(k - max k), numerator and denominator are one symmetric operator applied to e * v and to e:
//     (A x)_t = exp(u) x_t + sum_{i != t} lam^(|t - i| - 1) x_i,   lam = exp(-w / T).
// The sums over both sides are constant-coefficient recurrences S <- lam S + x. The sequence is cut into chunks of
// CHUNK tokens, whatever its length and the number of threads, and three sweeps follow:
//     1. every chunk by itself: its largest key, and what it adds to its right and to its left neighbour;
//     2. from chunk to chunk: the states that enter each of them from both sides;
//     3. every chunk by itself: its results, with the inner states in scratch that stays in the first-level cache.
// Inputs are read from memory twice and results written once. The backward pass is the same operator applied to the
// gradient (A is symmetric); the decay's gradient carries one more state per direction,
//     P_t = sum_i (t - 1 - i) lam^(t - 1 - i) x_i,   P <- lam (P + S).
// Chunks are independent and sums that cross them have a fixed order: any number of threads gives the same bits.

#include <vector>

#include "../common.h"

namespace {

using namespace stylecli;

constexpr int CHUNK = 64;

// State of one direction for the two streams a and b.
struct State {
    Row a{}, b{};
    void step(Row lam, Row xa, Row xb) {
        a = mad(lam, a, xa);
        b = mad(lam, b, xb);
    }
};

// A State with its slopes P.
struct Slope {
    State s, p;
    void step(Row lam, Row xa, Row xb) {
        p.a = lam * (p.a + s.a);
        p.b = lam * (p.b + s.b);
        s.step(lam, xa, xb);
    }
};

// `s` after n empty tokens, far = lam^n, plus what those tokens added: `own`.
inline State moved(const State& s, Row far, int, const State& own) {
    return {mad(far, s.a, own.a), mad(far, s.b, own.b)};
}
inline Slope moved(const Slope& z, Row far, int n, const Slope& own) {
    const float steps = static_cast<float>(n);
    const State grown{mad(z.s.a, steps, z.p.a), mad(z.s.b, steps, z.p.b)};
    return {moved(z.s, far, n, own.s), moved(grown, far, n, own.p)};
}
inline State scaled(const State& s, Row by) { return {s.a * by, s.b * by}; }

// What sweep 1 leaves behind: the states that leave a chunk. Sweep 2 replaces them by the states that enter it.
template <class S>
struct Border {
    Row top;  // largest key: of the chunk, then of all
    S left, right;
    Row dw, du;  // backward alone
};

// One chunk of one block of channels: rows t = 0 .. rows of n channels; lanes past n compute on harmless numbers.
struct Tile {
    Index image, chunk, block, C, at;  // `at`: where it begins in a (B, T, C) array
    int rows, n;

    template <class T>
    Row row(const T* p, int t, float rest = 0.0f) const {
        return load(p + at + t * C, n, rest);
    }
    template <class T>
    void put(T* p, int t, Row r) const {
        store(p + at + t * C, n, r);
    }
};

struct Shape {
    Index B, T, C;
    Index chunks() const { return (T + CHUNK - 1) / CHUNK; }
    Index blocks() const { return (C + LANES - 1) / LANES; }
    int lanes(Index block) const { return static_cast<int>(C - block * LANES < LANES ? C - block * LANES : LANES); }
    Index index(const Tile& t) const { return (t.image * chunks() + t.chunk) * blocks() + t.block; }
    Index size() const { return B * chunks() * blocks(); }

    // Neighbouring blocks of one chunk follow each other: memory is read as it lies.
    template <class F>
    void for_tiles(int threads, F f) const {
#pragma omp parallel for num_threads(threads) schedule(static)
        for (Index i = 0; i < size(); ++i) {
            const Index block = i % blocks(), chunk = i / blocks() % chunks(), image = i / blocks() / chunks();
            const Index begin = chunk * CHUNK;
            const int rows = static_cast<int>(T - begin < CHUNK ? T - begin : CHUNK);
            f(Tile{image, chunk, block, C, (image * T + begin) * C + block * LANES, rows, lanes(block)});
        }
    }
};

// exp(-w n / T) of one block, and exp(u).
Row decay(const Shape& shape, const float* w, Index block, int n) {
    const float scale = -static_cast<float>(n) / static_cast<float>(shape.T);
    return exp(load(w + block * LANES, shape.lanes(block)) * scale);
}
Row bonus(const Shape& shape, const float* u, Index block) {
    return exp(load(u + block * LANES, shape.lanes(block)));
}

template <class K>
Row largest(const Tile& tile, const K* k) {
    Row top = tile.row(k, 0);
    for (int t = 1; t < tile.rows; ++t) top = max(top, tile.row(k, t));
    return top;
}

// Sweep 2 for one block of one image. `relative`: sums are relative to each chunk's own largest key.
template <class S, class Scale>
void carry(const Shape& shape, const float* w, std::vector<Border<S>>& borders, int threads, Scale scale) {
    const Index chunks = shape.chunks(), blocks = shape.blocks();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (Index i = 0; i < shape.B * blocks; ++i) {
        const Index block = i % blocks;
        Border<S>* first = borders.data() + i / blocks * chunks * blocks + block;
        Row top = first->top;
        for (Index j = 1; j < chunks; ++j) top = max(top, first[j * blocks].top);
        const int n = static_cast<int>(shape.T < CHUNK ? shape.T : CHUNK);
        const Row far = decay(shape, w, block, n);
        S left{}, right{};
        for (Index j = 0; j < chunks; ++j) {
            Border<S>& border = first[j * blocks];
            const S own = scale(border.left, border.top, top);
            border.left = left;
            left = moved(left, far, n, own);
        }
        for (Index j = chunks - 1; j >= 0; --j) {
            Border<S>& border = first[j * blocks];
            const S own = scale(border.right, border.top, top);
            border.right = right;
            right = moved(right, far, n, own);
            border.top = top;
        }
    }
}

template <class T>
void forward(const Shape& shape, const float* w, const float* u, const T* k, const T* v, T* y, float* den,
             int threads) {
    std::vector<Border<State>> borders(shape.size());
    shape.for_tiles(threads, [&](const Tile& tile) {
        Border<State>& border = borders[shape.index(tile)];
        const Row lam = decay(shape, w, tile.block, 1);
        border.top = largest(tile, k);
        Row e[CHUNK], ev[CHUNK];
        State left, right;
        for (int t = 0; t < tile.rows; ++t) {
            e[t] = exp(tile.row(k, t) - border.top);
            ev[t] = e[t] * tile.row(v, t);
            left.step(lam, ev[t], e[t]);
        }
        for (int t = tile.rows - 1; t >= 0; --t) right.step(lam, ev[t], e[t]);
        border.left = left;
        border.right = right;
    });
    carry(shape, w, borders, threads,
          [](const State& s, Row own, Row top) { return scaled(s, exp(own - top)); });
    shape.for_tiles(threads, [&](const Tile& tile) {
        const Border<State>& border = borders[shape.index(tile)];
        const Row lam = decay(shape, w, tile.block, 1), self = bonus(shape, u, tile.block), top = border.top;
        Row e[CHUNK], ev[CHUNK];
        Row own_a[CHUNK], own_b[CHUNK];
        State left = border.left, right = border.right;
        for (int t = tile.rows - 1; t >= 0; --t) {
            e[t] = exp(tile.row(k, t) - top);
            ev[t] = e[t] * tile.row(v, t);
            own_a[t] = mad(self, ev[t], right.a);
            own_b[t] = mad(self, e[t], right.b);
            right.step(lam, ev[t], e[t]);
        }
        for (int t = 0; t < tile.rows; ++t) {
            const Row d = left.b + own_b[t];
            tile.put(y, t, (left.a + own_a[t]) / d);
            if (den) tile.put(den, t, d);
            left.step(lam, ev[t], e[t]);
        }
    });
}

template <class T>
void backward(const Shape& shape, const float* w, const float* u, const T* k, const T* v, const T* grad, const T* y,
              const float* den, float* gw, float* gu, T* gk, T* gv, int threads) {
    std::vector<Border<Slope>> borders(shape.size());
    // The two streams that A is applied to.
    auto streams = [&](const Tile& tile, int t, Row& a, Row& b) {
        a = tile.row(grad, t) / tile.row(den, t, 1.0f);
        b = a * tile.row(y, t) * -1.0f;
    };
    shape.for_tiles(threads, [&](const Tile& tile) {
        Border<Slope>& border = borders[shape.index(tile)];
        const Row lam = decay(shape, w, tile.block, 1);
        border.top = largest(tile, k);
        Row a[CHUNK], b[CHUNK];
        Slope left, right;
        for (int t = 0; t < tile.rows; ++t) {
            streams(tile, t, a[t], b[t]);
            left.step(lam, a[t], b[t]);
        }
        for (int t = tile.rows - 1; t >= 0; --t) right.step(lam, a[t], b[t]);
        border.left = left;
        border.right = right;
    });
    carry(shape, w, borders, threads, [](const Slope& z, Row, Row) { return z; });
    shape.for_tiles(threads, [&](const Tile& tile) {
        Border<Slope>& border = borders[shape.index(tile)];
        const Row lam = decay(shape, w, tile.block, 1), self = bonus(shape, u, tile.block), top = border.top;
        Row a[CHUNK], b[CHUNK], dw{}, du{};
        Slope left = border.left, right = border.right, inside[CHUNK];
        for (int t = tile.rows - 1; t >= 0; --t) {
            streams(tile, t, a[t], b[t]);
            inside[t] = right;
            right.step(lam, a[t], b[t]);
        }
        for (int t = 0; t < tile.rows; ++t) {
            const Slope& r = inside[t];
            const Row e = exp(tile.row(k, t) - top), ev = e * tile.row(v, t);
            const Row d_ev = mad(self, a[t], left.s.a + r.s.a), d_e = mad(self, b[t], left.s.b + r.s.b);
            tile.put(gv, t, e * d_ev);
            tile.put(gk, t, mad(ev, d_ev, e * d_e));  // max k cancels between numerator and denominator
            dw += mad(ev, left.p.a + r.p.a, e * (left.p.b + r.p.b));
            du += mad(ev, a[t], e * b[t]);
            left.step(lam, a[t], b[t]);
        }
        border.dw = dw;
        border.du = du;
    });
    for (Index block = 0; block < shape.blocks(); ++block) {
        double dw[LANES] = {}, du[LANES] = {};
        for (Index i = block; i < shape.size(); i += shape.blocks())
            for (int c = 0; c < LANES; ++c) {
                dw[c] += reinterpret_cast<const float*>(&borders[i].dw)[c];
                du[c] += reinterpret_cast<const float*>(&borders[i].du)[c];
            }
        for (int c = 0; c < shape.lanes(block); ++c) {
            gw[block * LANES + c] = static_cast<float>(-dw[c] / static_cast<double>(shape.T));
            gu[block * LANES + c] = static_cast<float>(du[c] * std::exp(static_cast<double>(u[block * LANES + c])));
        }
    }
}

}  // namespace

extern "C" {

// w, u (C,) float32; k, v, y (B, T, C) contiguous; den (B, T, C) float32, or null where it is not wanted.
// Gradients gw, gu (C,) float32; gk, gv (B, T, C).
#define STYLECLI_BI_WKV(NAME, TYPE)                                                                                    \
    void stylecli_bi_wkv_forward_##NAME(std::int64_t B, std::int64_t T, std::int64_t C, const float* w,               \
                                        const float* u, const TYPE* k, const TYPE* v, TYPE* y, float* den,            \
                                        int threads) {                                                                \
        forward<TYPE>({B, T, C}, w, u, k, v, y, den, threads);                                                        \
    }                                                                                                                 \
    void stylecli_bi_wkv_backward_##NAME(std::int64_t B, std::int64_t T, std::int64_t C, const float* w,              \
                                         const float* u, const TYPE* k, const TYPE* v, const TYPE* grad,              \
                                         const TYPE* y, const float* den, float* gw, float* gu, TYPE* gk, TYPE* gv,   \
                                         int threads) {                                                               \
        backward<TYPE>({B, T, C}, w, u, k, v, grad, y, den, gw, gu, gk, gv, threads);                                 \
    }
STYLECLI_BI_WKV(float32, float)
STYLECLI_BI_WKV(bfloat16, Bfloat16)
}
