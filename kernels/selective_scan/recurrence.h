// The recurrence of selective scan for LANES channels: what a scan of sequences and a scan of maps share.

#pragma once

#include <algorithm>
#include <vector>

#include "../common.h"

namespace stylecli {

constexpr int CHUNK = 32;

// Numbers (n, N) of n channels, scaled: N rows.
inline void read_columns(const float* from, Index N, int n, Row* to, float scale = 1.0f) {
    for (Index i = 0; i < N; ++i) {
        float column[LANES] = {};
        for (int c = 0; c < n; ++c) column[c] = from[c * N + i] * scale;
        to[i] = load(column, LANES);
    }
}

inline void write_columns(const Row* from, Index N, int n, float* to) {
    for (Index i = 0; i < N; ++i) {
        float column[LANES];
        store(column, LANES, from[i]);
        for (int c = 0; c < n; ++c) to[c * N + i] = column[c];
    }
}

// Exponents A (n, N), scaled by log2 e.
inline void read_exponents(const float* A, Index N, int n, Row* to) { read_columns(A, N, n, to, 1.44269504f); }

// Whether every |a| is at most `limit`; not where one is NaN.
inline bool within(Row a, float limit) {
    float x[LANES];
    store(x, LANES, a);
    return std::all_of(x, x + LANES, [=](float f) { return f >= -limit && f <= limit; });
}

inline Row abs(Row a) { return max(a, a * -1.0f); }

inline Row largest(const std::vector<Row>& rows) {
    Row top{};
    for (const Row& a : rows) top = max(top, abs(a));
    return top;
}

// y of tokens begin .. begin + count. `k` gives inputs u, B and C by token, exponents A2 and skip; `mild`: every
// exponent is within the range of exp2_inside.
template <bool mild, class Channels>
void recur(const Channels& k, Index N, Index begin, int count, const Row* dt, Row* h, Row* y) {
    const Row* A2 = k.A2.data();
    for (int t = 0; t < count; ++t) {
        const float *B = k.B(begin + t), *C = k.C(begin + t);
        const Row u = k.u(begin + t), d = dt[t], du = d * u;
        Row sum = k.skip * u;
        for (Index i = 0; i < N; ++i) {
            const Row power = d * A2[i];
            h[i] = mad(mild ? exp2_inside(power) : exp2(power), h[i], du * B[i]);
            sum = mad(h[i], C[i], sum);
        }
        y[t] = sum;
    }
}

}  // namespace stylecli
