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
//
// A block of LANES channels jumps from row to row, which no hardware prefetcher follows, and half the time went into
// waiting. So each block asks for its share of the next chunk, in the order in which that lies in memory.

#include <cstddef>
#include <type_traits>
#include <vector>

#include "../common.h"

namespace {

using namespace stylecli;

constexpr int CHUNK = 64;
constexpr float LOG2E = 1.44269504f;

// State of one direction for the two streams a and b. Not initialised by itself: arrays of it are scratch.
struct State {
    Row a, b;
    void add(Row weight, Row xa, Row xb) {
        a = mad(weight, xa, a);
        b = mad(weight, xb, b);
    }
    void step(Row lam, Row xa, Row xb) {
        a = mad(lam, a, xa);
        b = mad(lam, b, xb);
    }
    // Token t, that many steps away; far = lam^t.
    void reach(Row far, int, Row xa, Row xb) { add(far, xa, xb); }
};

// A State with its slopes P.
struct Slope {
    State s, p;
    void step(Row lam, Row xa, Row xb) {
        p.a = lam * (p.a + s.a);
        p.b = lam * (p.b + s.b);
        s.step(lam, xa, xb);
    }
    void reach(Row far, int t, Row xa, Row xb) {
        s.add(far, xa, xb);
        p.add(far * static_cast<float>(t), xa, xb);
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

// N: the number of channels in use, a constant where all are: lanes past it compute on numbers that nobody reads.
using Full = std::integral_constant<int, LANES>;

// The rows of one tile in one array.
template <class T, class N>
struct Rows {
    T* p;
    Index C, next;
    N n;
    Row operator[](int t) const { return load(p + t * C, n); }
    void put(int t, Row r) const { store(p + t * C, n, r); }
    void ask_ahead(int t) const { __builtin_prefetch(p + next + t * LANES, 0, 2); }
    void own_ahead(int t) const { __builtin_prefetch(p + next + t * LANES, 1, 2); }
};

// The same where token t of the sequence lies at order[t]: neighbours in it are anywhere in memory, but a block's part
// of a token is one line.
template <class T, class N>
struct Visited {
    T* p;
    const std::int64_t* order;
    Index C, last;
    N n;
    T* at(int t) const { return p + order[t] * C; }
    T* ahead(int t) const { return p + order[t + CHUNK < last ? t + CHUNK : last] * C; }
    Row operator[](int t) const { return load(at(t), n); }
    void put(int t, Row r) const { store(at(t), n, r); }
    void ask_ahead(int t) const { __builtin_prefetch(ahead(t), 0, 2); }
    void own_ahead(int t) const { __builtin_prefetch(ahead(t), 1, 2); }
};

// One chunk of one block of channels: tokens 0 .. rows, n channels.
template <class N>
struct Tile {
    Index index, block, C, image, begin, T;  // `image`: where image and block begin in a (B, T, C) array
    int rows;
    N n;

    template <class X>
    Rows<X, N> of(X* p) const {
        return {p + image + begin * C, C, CHUNK * C + block * LANES * (CHUNK - 1), n};
    }
    template <class X>
    Visited<X, N> of(X* p, const std::int64_t* order) const {
        return {p + image, order + begin, C, T - begin - 1, n};
    }
    template <class X>
    Rows<X, N> of(X* p, std::nullptr_t) const {
        return of(p);
    }
};

// T tokens out of a sequence of `length`, whose decay per step is lam = exp(-w / length).
struct Shape {
    Index B, T, C, length;
    Index chunks() const { return (T + CHUNK - 1) / CHUNK; }
    Index blocks() const { return (C + LANES - 1) / LANES; }
    int lanes(Index block) const { return static_cast<int>(C - block * LANES < LANES ? C - block * LANES : LANES); }
    Index size() const { return B * chunks() * blocks(); }

    // Neighbouring blocks of one chunk follow each other.
    template <class F>
    void for_tiles(int threads, F f) const {
#pragma omp parallel for num_threads(threads) schedule(static)
        for (Index i = 0; i < size(); ++i) {
            const Index block = i % blocks(), chunk = i / blocks() % chunks(), image = i / blocks() / chunks();
            const Index begin = chunk * CHUNK, first = image * T * C + block * LANES;
            const int rows = static_cast<int>(T - begin < CHUNK ? T - begin : CHUNK);
            if (lanes(block) == LANES)
                f(Tile<Full>{i, block, C, first, begin, T, rows, {}});
            else
                f(Tile<int>{i, block, C, first, begin, T, rows, lanes(block)});
        }
    }
};

// exp(-w n / T) of one block, and exp(u).
Row decay(const Shape& shape, const float* w, Index block, int n) {
    const float scale = -static_cast<float>(n) / static_cast<float>(shape.length);
    return exp(load(w + block * LANES, shape.lanes(block)) * scale);
}
Row bonus(const Shape& shape, const float* u, Index block) {
    return exp(load(u + block * LANES, shape.lanes(block)));
}

template <class R>
Row largest(const R& k, int rows) {
    Row top = k[0];
    for (int t = 1; t < rows; ++t) top = max(top, k[t]);
    return top;
}

// exp(k - max k), given max k times log2 e.
inline Row weight(Row k, Row top) { return exp2_down(mad(k, LOG2E, top * -1.0f)); }

// A key times log2 e, rounded: not to be fused into what follows, for all parts must be relative to the same number.
inline Row in_log2(Row key) {
    Row r = key * LOG2E;
#ifdef __AVX__
    asm("" : "+x"(r.lo), "+x"(r.hi));
#else
    asm("" : "+m"(r.lo), "+m"(r.hi));
#endif
    return r;
}

// exp(own - top) for own <= top.
inline Row share(Row own, Row top) { return exp2_down(in_log2(own) - in_log2(top)); }

// What enters a part of a sequence from both sides and what leaves it: (B, 3, C) each, the largest key of all tokens
// there, and the sums a and b relative to it. Any may be null: nothing enters, or nobody asks.
struct Ends {
    const float *left_in, *right_in;
    float *left_out, *right_out;
};

// One block of one of them.
struct End {
    Row top;
    State state;
    static End load_from(const float* p, const Shape& shape, Index image, Index block) {
        if (!p) return {filled(-3.4e38f), State{}};
        p += image * 3 * shape.C + block * LANES;
        const int n = shape.lanes(block);
        return {load(p, n), {load(p + shape.C, n), load(p + 2 * shape.C, n)}};
    }
    void store_to(float* p, const Shape& shape, Index image, Index block) const {
        if (!p) return;
        p += image * 3 * shape.C + block * LANES;
        const int n = shape.lanes(block);
        store(p, n, top), store(p + shape.C, n, state.a), store(p + 2 * shape.C, n, state.b);
    }
};

// Sweep 2 of the forward pass, for one block of one image.
void carry_between(const Shape& shape, const float* w, std::vector<Border<State>>& borders, const Ends& ends,
                   int threads) {
    const Index chunks = shape.chunks(), blocks = shape.blocks();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (Index i = 0; i < shape.B * blocks; ++i) {
        const Index block = i % blocks, image = i / blocks;
        Border<State>* first = borders.data() + image * chunks * blocks + block;
        const End left_in = End::load_from(ends.left_in, shape, image, block);
        const End right_in = End::load_from(ends.right_in, shape, image, block);
        Row top = max(max(left_in.top, right_in.top), first->top);
        for (Index j = 1; j < chunks; ++j) top = max(top, first[j * blocks].top);
        const int n = static_cast<int>(shape.T < CHUNK ? shape.T : CHUNK);
        const int rest = static_cast<int>(shape.T - (chunks - 1) * CHUNK);  // of the last chunk
        const Row far = decay(shape, w, block, n), far_rest = decay(shape, w, block, rest);
        State left = scaled(left_in.state, share(left_in.top, top));
        State right = scaled(right_in.state, share(right_in.top, top));
        for (Index j = 0; j < chunks; ++j) {
            Border<State>& border = first[j * blocks];
            const State own = scaled(border.left, share(border.top, top));
            border.left = left;
            left = moved(left, j == chunks - 1 ? far_rest : far, n, own);
        }
        for (Index j = chunks - 1; j >= 0; --j) {
            Border<State>& border = first[j * blocks];
            const State own = scaled(border.right, share(border.top, top));
            border.right = right;
            right = moved(right, j == chunks - 1 ? far_rest : far, n, own);
            border.top = top;
        }
        End{top, left}.store_to(ends.left_out, shape, image, block);
        End{top, right}.store_to(ends.right_out, shape, image, block);
    }
}

// Sweep 2 of the backward pass, where nothing enters from outside.
void carry(const Shape& shape, const float* w, std::vector<Border<Slope>>& borders, int threads) {
    const Index chunks = shape.chunks(), blocks = shape.blocks();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (Index i = 0; i < shape.B * blocks; ++i) {
        const Index block = i % blocks;
        Border<Slope>* first = borders.data() + i / blocks * chunks * blocks + block;
        Row top = first->top;
        for (Index j = 1; j < chunks; ++j) top = max(top, first[j * blocks].top);
        const int n = static_cast<int>(shape.T < CHUNK ? shape.T : CHUNK);
        const Row far = decay(shape, w, block, n);
        Slope left{}, right{};
        for (Index j = 0; j < chunks; ++j) {
            Border<Slope>& border = first[j * blocks];
            const Slope own = border.left;
            border.left = left;
            left = moved(left, far, n, own);
        }
        for (Index j = chunks - 1; j >= 0; --j) {
            Border<Slope>& border = first[j * blocks];
            const Slope own = border.right;
            border.right = right;
            right = moved(right, far, n, own);
            border.top = top;
        }
    }
}

// `order`: nullptr, or (T,) where each token of the sequence lies. y may be null: then the ends are all that is wanted.
template <class T, class Order>
void forward(const Shape& shape, const float* w, const float* u, const T* k, const T* v, T* y, float* den,
             const Ends& ends, Order order, int threads) {
    std::vector<Border<State>> borders(shape.size());
    shape.for_tiles(threads, [=, &borders](const auto& tile) {
        const auto ks = tile.of(k, order), vs = tile.of(v, order);
        const Row lam = decay(shape, w, tile.block, 1), highest = largest(ks, tile.rows), top = in_log2(highest);
        Row far = filled(1.0f);
        State left{}, right{};
        for (int t = 0; t < tile.rows; ++t) {
            ks.ask_ahead(t);
            vs.ask_ahead(t);
            const Row e = weight(ks[t], top), ev = e * vs[t];
            left.step(lam, ev, e);
            right.reach(far, t, ev, e);
            far = far * lam;
        }
        borders[tile.index] = Border<State>{highest, left, right, Row{}, Row{}};
    });
    carry_between(shape, w, borders, ends, threads);
    if (!y) return;
    shape.for_tiles(threads, [=, &borders](const auto& tile) {
        const auto ks = tile.of(k, order), vs = tile.of(v, order);
        const auto ys = tile.of(y, order);
        const Border<State>& border = borders[tile.index];
        const Row lam = decay(shape, w, tile.block, 1), self = bonus(shape, u, tile.block), top = in_log2(border.top);
        State x[CHUNK], own[CHUNK];  // what enters, and what it and all to its right add up to
        State left = border.left, right = border.right;
        for (int t = tile.rows - 1; t >= 0; --t) {
            ks.ask_ahead(t);
            vs.ask_ahead(t);
            const Row e = weight(ks[t], top), ev = e * vs[t];
            x[t] = {ev, e};
            own[t] = {mad(self, ev, right.a), mad(self, e, right.b)};
            right.step(lam, ev, e);
        }
        const auto results = [&](auto keep) {
            for (int t = 0; t < tile.rows; ++t) {
                ys.own_ahead(t);
                const Row d = left.b + own[t].b;
                ys.put(t, (left.a + own[t].a) / d);
                keep(t, d);
                left.step(lam, x[t].a, x[t].b);
            }
        };
        if (den)
            results([ds = tile.of(den, order)](int t, Row d) { ds.put(t, d); });
        else
            results([](int, Row) {});
    });
}

template <class T>
void backward(const Shape& shape, const float* w, const float* u, const T* k, const T* v, const T* grad, const T* y,
              const float* den, float* gw, float* gu, T* gk, T* gv, int threads) {
    std::vector<Border<Slope>> borders(shape.size());
    // The two streams that A is applied to.
    const auto streams = [=](const auto& tile) {
        return [gs = tile.of(grad), ys = tile.of(y), ds = tile.of(den)](int t) -> State {
            gs.ask_ahead(t);
            ys.ask_ahead(t);
            ds.ask_ahead(t);
            const Row a = gs[t] / ds[t];
            return {a, a * ys[t] * -1.0f};
        };
    };
    shape.for_tiles(threads, [=, &borders](const auto& tile) {
        const auto stream = streams(tile);
        const Row lam = decay(shape, w, tile.block, 1);
        Row far = filled(1.0f);
        Slope left{}, right{};
        for (int t = 0; t < tile.rows; ++t) {
            const State x = stream(t);
            left.step(lam, x.a, x.b);
            right.reach(far, t, x.a, x.b);
            far = far * lam;
        }
        borders[tile.index] = Border<Slope>{largest(tile.of(k), tile.rows), left, right, Row{}, Row{}};
    });
    carry(shape, w, borders, threads);
    shape.for_tiles(threads, [=, &borders](const auto& tile) {
        const auto stream = streams(tile);
        const auto ks = tile.of(k), vs = tile.of(v);
        const auto gks = tile.of(gk), gvs = tile.of(gv);
        Border<Slope>& border = borders[tile.index];
        const Row lam = decay(shape, w, tile.block, 1), self = bonus(shape, u, tile.block), top = in_log2(border.top);
        Row dw{}, du{};
        State x[CHUNK];
        Slope left = border.left, right = border.right, inside[CHUNK];
        for (int t = tile.rows - 1; t >= 0; --t) {
            x[t] = stream(t);
            inside[t] = right;
            right.step(lam, x[t].a, x[t].b);
        }
        for (int t = 0; t < tile.rows; ++t) {
            ks.ask_ahead(t);
            vs.ask_ahead(t);
            gks.own_ahead(t);
            gvs.own_ahead(t);
            const State z = x[t];
            const Slope& r = inside[t];
            const Row e = weight(ks[t], top), ev = e * vs[t];
            const Row d_ev = mad(self, z.a, left.s.a + r.s.a), d_e = mad(self, z.b, left.s.b + r.s.b);
            gvs.put(t, e * d_ev);
            gks.put(t, mad(ev, d_ev, e * d_e));  // max k cancels between numerator and denominator
            dw += mad(ev, left.p.a + r.p.a, e * (left.p.b + r.p.b));
            du += mad(ev, z.a, e * z.b);
            left.step(lam, z.a, z.b);
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
// order (T,): which token is the t-th of the sequence, in all four; null where that is the t-th.
// length: of the whole sequence, of which these are T tokens; what enters and leaves them: see Ends. y may be null.
// Gradients gw, gu (C,) float32; gk, gv (B, T, C).
#define STYLECLI_BI_WKV(NAME, TYPE)                                                                                    \
    void stylecli_bi_wkv_forward_##NAME(std::int64_t B, std::int64_t T, std::int64_t C, const float* w,               \
                                        const float* u, const TYPE* k, const TYPE* v, TYPE* y, float* den,            \
                                        const std::int64_t* order, std::int64_t length, const float* left_in,         \
                                        const float* right_in, float* left_out, float* right_out, int threads) {      \
        const Shape shape{B, T, C, length};                                                                           \
        const Ends ends{left_in, right_in, left_out, right_out};                                                      \
        if (order)                                                                                                    \
            forward<TYPE>(shape, w, u, k, v, y, den, ends, order, threads);                                           \
        else                                                                                                          \
            forward<TYPE>(shape, w, u, k, v, y, den, ends, nullptr, threads);                                         \
    }                                                                                                                 \
    void stylecli_bi_wkv_backward_##NAME(std::int64_t B, std::int64_t T, std::int64_t C, const float* w,              \
                                         const float* u, const TYPE* k, const TYPE* v, const TYPE* grad,              \
                                         const TYPE* y, const float* den, float* gw, float* gu, TYPE* gk, TYPE* gv,   \
                                         int threads) {                                                               \
        backward<TYPE>({B, T, C, T}, w, u, k, v, grad, y, den, gw, gu, gk, gv, threads);                              \
    }
STYLECLI_BI_WKV(float32, float)
STYLECLI_BI_WKV(bfloat16, Bfloat16)
}
