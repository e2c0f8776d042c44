// Bidirectional WKV on the CPU, float32, plain C interface. Formula: stylecli/ops/bi_wkv/reference.py.
//
// With e = exp(k - max k), numerator and denominator are one symmetric operator applied to e * v and to e:
//     (A x)_t = exp(u) x_t + sum_{i != t} lam^(|t - i| - 1) x_i,   lam = exp(-w / T).
// Both directions are constant-coefficient recurrences S <- lam S + x. A first sweep runs from the right and
// keeps the state at chunk borders only; a second sweep runs from the left, recomputing the right-hand states
// of one chunk at a time into scratch that stays in the first-level cache. The backward pass is the same
// operator applied to the gradient (A is symmetric); the decay's gradient carries one more state per direction,
//     P_t = sum_i (t - 1 - i) lam^(t - 1 - i) x_i,   P <- lam (P + S).
// Work is split over (batch, block of LANES channels); no sum crosses a block, so any number of threads gives
// the same bits.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

constexpr int LANES = 16;
constexpr int CHUNK = 32;

struct Row {
    float x[LANES];
};

// exp(x) for x <= 88, relative error about 1e-7; written out so that every compiler can vectorise it.
inline float exp_approx(float x) {
    x = x < -87.0f ? -87.0f : x;
    float n = x * 1.44269504f;
    n = (n + 12582912.0f) - 12582912.0f;  // round to nearest
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    std::int32_t bits;
    std::memcpy(&bits, &p, 4);
    bits += static_cast<std::int32_t>(n) << 23;
    std::memcpy(&p, &bits, 4);
    return p;
}

// One block: channels c0 .. c0 + n of batch b. Lanes past n compute on zeros.
struct Block {
    std::ptrdiff_t T, C;
    int n;
    const float *k, *v;

    Row row(const float* p, std::ptrdiff_t t) const {
        Row r;
        const float* q = p + t * C;
        if (n == LANES)
            std::memcpy(r.x, q, sizeof r.x);
        else
            for (int c = 0; c < LANES; ++c) r.x[c] = c < n ? q[c] : 0.0f;
        return r;
    }
    void put(float* p, std::ptrdiff_t t, const Row& r) const {
        std::memcpy(p + t * C, r.x, sizeof(float) * n);
    }
    // e = exp(k - max k), (T, LANES)
    void weights(std::vector<Row>& e) const {
        Row top = row(k, 0);
        for (std::ptrdiff_t t = 1; t < T; ++t) {
            Row r = row(k, t);
            for (int c = 0; c < LANES; ++c) top.x[c] = r.x[c] > top.x[c] ? r.x[c] : top.x[c];
        }
        for (std::ptrdiff_t t = 0; t < T; ++t) {
            Row r = row(k, t);
            for (int c = 0; c < LANES; ++c) e[t].x[c] = exp_approx(r.x[c] - top.x[c]);
        }
    }
};

inline Row lane_exp(const float* p, int n, float scale) {
    Row r;
    for (int c = 0; c < LANES; ++c) r.x[c] = exp_approx(c < n ? p[c] * scale : 0.0f);
    return r;
}

// State of one direction for the two streams a and b.
struct State {
    Row a{}, b{};
    void step(const Row& lam, const Row& xa, const Row& xb) {
        for (int c = 0; c < LANES; ++c) {
            a.x[c] = lam.x[c] * a.x[c] + xa.x[c];
            b.x[c] = lam.x[c] * b.x[c] + xb.x[c];
        }
    }
};

// Slopes P of one direction; step before the State's own step.
struct Slope {
    Row a{}, b{};
    void step(const Row& lam, const State& s) {
        for (int c = 0; c < LANES; ++c) {
            a.x[c] = lam.x[c] * (a.x[c] + s.a.x[c]);
            b.x[c] = lam.x[c] * (b.x[c] + s.b.x[c]);
        }
    }
};

void forward_block(const Block& k, const float* w, const float* u, float* y, float* den) {
    const std::ptrdiff_t T = k.T, chunks = (T + CHUNK - 1) / CHUNK;
    const Row lam = lane_exp(w, k.n, -1.0f / static_cast<float>(T)), bonus = lane_exp(u, k.n, 1.0f);
    std::vector<Row> e(T);
    k.weights(e);
    auto product = [&](std::ptrdiff_t t) {
        Row r = k.row(k.v, t);
        for (int c = 0; c < LANES; ++c) r.x[c] *= e[t].x[c];
        return r;
    };
    std::vector<State> border(chunks);
    State right;
    for (std::ptrdiff_t j = chunks - 1; j >= 0; --j) {
        border[j] = right;
        if (j == 0) break;
        for (std::ptrdiff_t t = (j + 1) * CHUNK < T ? (j + 1) * CHUNK - 1 : T - 1; t >= j * CHUNK; --t)
            right.step(lam, product(t), e[t]);
    }
    State left, inside[CHUNK];
    Row ev[CHUNK];
    for (std::ptrdiff_t j = 0; j < chunks; ++j) {
        const std::ptrdiff_t begin = j * CHUNK, end = begin + CHUNK < T ? begin + CHUNK : T;
        right = border[j];
        for (std::ptrdiff_t t = end - 1; t >= begin; --t) {
            ev[t - begin] = product(t);
            inside[t - begin] = right;
            right.step(lam, ev[t - begin], e[t]);
        }
        for (std::ptrdiff_t t = begin; t < end; ++t) {
            const State& r = inside[t - begin];
            const Row& x = ev[t - begin];
            Row out, d;
            for (int c = 0; c < LANES; ++c) {
                d.x[c] = left.b.x[c] + r.b.x[c] + bonus.x[c] * e[t].x[c];
                out.x[c] = (left.a.x[c] + r.a.x[c] + bonus.x[c] * x.x[c]) / d.x[c];
            }
            k.put(y, t, out);
            k.put(den, t, d);
            left.step(lam, x, e[t]);
        }
    }
}

void backward_block(const Block& k, const float* w, const float* u, const float* grad, const float* y,
                    const float* den, float* gw, float* gu, float* gk, float* gv) {
    const std::ptrdiff_t T = k.T, chunks = (T + CHUNK - 1) / CHUNK;
    const Row lam = lane_exp(w, k.n, -1.0f / static_cast<float>(T)), bonus = lane_exp(u, k.n, 1.0f);
    std::vector<Row> e(T);
    k.weights(e);
    auto streams = [&](std::ptrdiff_t t, Row& a, Row& b) {
        const Row g = k.row(grad, t), o = k.row(y, t), d = k.row(den, t);
        for (int c = 0; c < LANES; ++c) {
            a.x[c] = c < k.n ? g.x[c] / d.x[c] : 0.0f;
            b.x[c] = -a.x[c] * o.x[c];
        }
    };
    struct Both {
        State s;
        Slope p;
    };
    auto step = [&](Both& z, const Row& a, const Row& b) {
        z.p.step(lam, z.s);
        z.s.step(lam, a, b);
    };
    std::vector<Both> border(chunks);
    Both right;
    Row a, b;
    for (std::ptrdiff_t j = chunks - 1; j >= 0; --j) {
        border[j] = right;
        if (j == 0) break;
        for (std::ptrdiff_t t = (j + 1) * CHUNK < T ? (j + 1) * CHUNK - 1 : T - 1; t >= j * CHUNK; --t) {
            streams(t, a, b);
            step(right, a, b);
        }
    }
    Both left, inside[CHUNK];
    Row as[CHUNK], bs[CHUNK];
    double dw[LANES] = {}, du[LANES] = {};
    for (std::ptrdiff_t j = 0; j < chunks; ++j) {
        const std::ptrdiff_t begin = j * CHUNK, end = begin + CHUNK < T ? begin + CHUNK : T;
        right = border[j];
        for (std::ptrdiff_t t = end - 1; t >= begin; --t) {
            streams(t, as[t - begin], bs[t - begin]);
            inside[t - begin] = right;
            step(right, as[t - begin], bs[t - begin]);
        }
        Row chunk_w{}, chunk_u{};
        for (std::ptrdiff_t t = begin; t < end; ++t) {
            const Both& r = inside[t - begin];
            const Row &xa = as[t - begin], &xb = bs[t - begin], v = k.row(k.v, t);
            Row dv, dk;
            for (int c = 0; c < LANES; ++c) {
                const float ec = e[t].x[c], ev = ec * v.x[c];
                const float d_ev = left.s.a.x[c] + r.s.a.x[c] + bonus.x[c] * xa.x[c];
                const float d_e = left.s.b.x[c] + r.s.b.x[c] + bonus.x[c] * xb.x[c];
                dv.x[c] = ec * d_ev;
                dk.x[c] = ev * d_ev + ec * d_e;
                chunk_w.x[c] += ev * (left.p.a.x[c] + r.p.a.x[c]) + ec * (left.p.b.x[c] + r.p.b.x[c]);
                chunk_u.x[c] += ev * xa.x[c] + ec * xb.x[c];
            }
            k.put(gk, t, dk);
            k.put(gv, t, dv);
            step(left, xa, xb);
        }
        for (int c = 0; c < LANES; ++c) dw[c] += chunk_w.x[c], du[c] += chunk_u.x[c];
    }
    for (int c = 0; c < k.n; ++c) {
        gw[c] = static_cast<float>(-dw[c] / static_cast<double>(T));
        gu[c] = static_cast<float>(du[c]) * bonus.x[c];
    }
}

template <class F>
void for_blocks(std::ptrdiff_t B, std::ptrdiff_t T, std::ptrdiff_t C, const float* k, const float* v,
                int threads, F f) {
    const std::ptrdiff_t blocks = (C + LANES - 1) / LANES;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (std::ptrdiff_t i = 0; i < B * blocks; ++i) {
        const std::ptrdiff_t b = i / blocks, c0 = i % blocks * LANES, at = b * T * C + c0;
        const int n = static_cast<int>(C - c0 < LANES ? C - c0 : LANES);
        f(Block{T, C, n, k + at, v + at}, b, c0, at);
    }
}

}  // namespace

extern "C" {

// w, u (C,); k, v, y, den (B, T, C), contiguous float32.
void stylecli_bi_wkv_forward(std::int64_t B, std::int64_t T, std::int64_t C, const float* w, const float* u,
                             const float* k, const float* v, float* y, float* den, int threads) {
    for_blocks(B, T, C, k, v, threads, [&](const Block& block, std::ptrdiff_t, std::ptrdiff_t c0, std::ptrdiff_t at) {
        forward_block(block, w + c0, u + c0, y + at, den + at);
    });
}

// gw, gu (B, C) are partial sums per image; gk, gv (B, T, C).
void stylecli_bi_wkv_backward(std::int64_t B, std::int64_t T, std::int64_t C, const float* w, const float* u,
                              const float* k, const float* v, const float* grad, const float* y, const float* den,
                              float* gw, float* gu, float* gk, float* gv, int threads) {
    for_blocks(B, T, C, k, v, threads, [&](const Block& block, std::ptrdiff_t b, std::ptrdiff_t c0, std::ptrdiff_t at) {
        backward_block(block, w + c0, u + c0, grad + at, y + at, den + at, gw + b * C + c0, gu + b * C + c0, gk + at,
                       gv + at);
    });
}
}
