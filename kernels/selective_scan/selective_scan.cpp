// Selective scan (S6) on the CPU, plain C interface. Formula: stylecli/ops/selective_scan/reference.py.
//
// Channels lie in vector lanes, LANES at a time; the N states of each stay in the first-level cache, and so do the
// decays' exponents A, scaled by log2 e so that a decay is one 2^x. What is computed once for a token and channel
// (softplus, gate) is done for CHUNK tokens at a time, apart from the recurrence, so that its latency is hidden.
// A block of LANES channels jumps from row to row of memory, a page with every second one, and would wait for most of
// them: forward, a unit of work is up to MAX_BLOCKS neighbouring blocks that go through a chunk one after the other,
// and ask for the next one in the order in which it lies in memory.
// The backward pass keeps the states at chunk borders from a first sweep, recomputes those inside a chunk, and goes
// through the chunks from the last to the first.
//
// Backward, work is split over (image, group of channel blocks), the same for any number of threads; gradients of
// the matrices B and C are sums over channels: every group adds up its own, and the groups are added in their order.

#include "recurrence.h"

namespace {

using namespace stylecli;

constexpr Index MAX_BLOCKS = 16;
constexpr Index MAX_GROUPS = 16;  // of channels, in the backward pass: bounds the memory of their partial sums

// Large tensors are stored as T; the small ones, A (D, N), B and C (L, N) of each image, skip and bias (D,), as float.
template <class T>
struct Scan {
    Index images, L, D, N;
    const T *u, *delta, *z;  // (images, L, D); z may be null
    const float *A, *B, *C, *skip, *bias;
    bool softplus;
    const float* h0;  // (images, D, N): the states before the first token; null: zero
    float* ht;        // the same after the last one; null: nobody asks

    Index blocks() const { return (D + LANES - 1) / LANES; }
    Index chunks() const { return (L + CHUNK - 1) / CHUNK; }
};

// One block of channels of one image, and its constants.
template <class T>
struct Block {
    const Scan<T>& s;
    Index image, c0;
    int n;  // channels in use
    std::vector<Row> A2;
    Row skip, bias;

    Block(const Scan<T>& scan, Index image, Index block)
        : s(scan), image(image), c0(block * LANES), n(static_cast<int>(std::min<Index>(LANES, scan.D - c0))),
          A2(scan.N), skip(load(scan.skip + c0, n)), bias(scan.bias ? load(scan.bias + c0, n) : Row{}) {
        read_exponents(s.A + c0 * s.N, s.N, n, A2.data());
    }
    Index at(Index t) const { return (image * s.L + t) * s.D + c0; }
    Index at_state() const { return (image * s.D + c0) * s.N; }
    Row u(Index t) const { return row(s.u, t); }
    const float* B(Index t) const { return s.B + (image * s.L + t) * s.N; }
    const float* C(Index t) const { return s.C + (image * s.L + t) * s.N; }
    Row row(const T* p, Index t) const { return load(p + at(t), n); }
    // Step size before softplus.
    Row raw(Index t) const { return row(s.delta, t) + bias; }
    Row step(Index t) const { return s.softplus ? softplus(raw(t)) : raw(t); }
};

// Some neighbouring blocks of one image, and their states.
template <class T>
struct Unit {
    std::vector<Block<T>> blocks;
    std::vector<std::vector<Row>> states;
    std::vector<Row> steepest;  // largest |A2|

    Unit(const Scan<T>& s, Index image, Index first, Index count) : states(count, std::vector<Row>(s.N)) {
        for (Index i = 0; i < count; ++i) {
            blocks.emplace_back(s, image, first + i);
            steepest.push_back(largest(blocks.back().A2));
            if (s.h0) read_columns(s.h0 + blocks.back().at_state(), s.N, blocks.back().n, states[i].data());
        }
    }
    void keep_states() const {
        for (std::size_t i = 0; i < blocks.size(); ++i)
            write_columns(states[i].data(), blocks[i].s.N, blocks[i].n, blocks[i].s.ht + blocks[i].at_state());
    }
    // Where line `number` of the tokens from `begin` lies, in the order of memory.
    Index line(Index begin, Index number) const {
        const Index count = static_cast<Index>(blocks.size());
        return blocks[0].at(begin + number / count) + number % count * LANES;
    }
};

template <class T>
void forward_chunk(Unit<T>& unit, Index number, Index begin, T* out) {
    const Block<T>& k = unit.blocks[number];
    const Scan<T>& s = k.s;
    const int count = static_cast<int>(std::min<Index>(CHUNK, s.L - begin));
    Row dt[CHUNK], y[CHUNK], longest{};
    for (int t = 0; t < count; ++t) {
        dt[t] = k.step(begin + t);
        longest = max(abs(dt[t]), longest);
        const Index ahead = unit.line(begin + CHUNK, number * CHUNK + t);
        __builtin_prefetch(s.u + ahead, 0, 2);
        __builtin_prefetch(s.delta + ahead, 0, 2);
        if (s.z) __builtin_prefetch(s.z + ahead, 0, 2);
        __builtin_prefetch(out + ahead, 1, 2);
    }
    const bool mild = within(longest * unit.steepest[number], 126.0f);
    Row* states = unit.states[number].data();
    mild ? recur<true>(k, s.N, begin, count, dt, states, y) : recur<false>(k, s.N, begin, count, dt, states, y);
    for (int t = 0; t < count; ++t) {
        if (s.z) {
            const Row z = k.row(s.z, begin + t);
            y[t] = y[t] * z * sigmoid(z);
        }
        store(out + k.at(begin + t), k.n, y[t]);
    }
}

// Where gradients go. `B` and `C` belong to this block's group alone, (L, N); `A`, skip and bias to this image.
template <class T>
struct Gradients {
    T *u, *delta, *z;
    float *A, *B, *C, *skip, *bias;
};

// Adds the lanes of count rows to count numbers, lower lanes first in pairs.
inline void add_lanes(float* to, const Vec* rows, Index count) {
    for (Index i = 0; i < count; ++i) {
        const Vec v = rows[i];
        to[i] += ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7]));
    }
}

template <class T>
void backward_block(const Block<T>& k, const T* grad, const Gradients<T>& to) {
    const Scan<T>& s = k.s;
    const Index N = s.N, chunks = s.chunks();
    std::vector<Row> borders(chunks * N), h((CHUNK + 1) * N), decays(CHUNK * N), dh(N), dA(N), dA_chunk(N);
    std::vector<Vec> dB(N), dC(N);
    Row dt[CHUNK], u[CHUNK], y[CHUNK], g[CHUNK], d_step[CHUNK], d_u[CHUNK];
    for (Index j = 0; j < chunks; ++j) {  // states at the borders
        std::copy(dh.begin(), dh.end(), borders.begin() + j * N);
        if (j == chunks - 1) break;
        for (int t = 0; t < CHUNK; ++t) dt[t] = k.step(j * CHUNK + t);
        for (int t = 0; t < CHUNK; ++t) {
            const float* B = k.B(j * CHUNK + t);
            const Row du = dt[t] * k.row(s.u, j * CHUNK + t);
            for (Index i = 0; i < N; ++i) dh[i] = mad(exp2(dt[t] * k.A2[i]), dh[i], du * B[i]);
        }
    }
    std::fill(dh.begin(), dh.end(), Row{});
    Row d_skip{}, d_bias{};
    for (Index j = chunks - 1; j >= 0; --j) {
        const Index begin = j * CHUNK;
        const int count = static_cast<int>(std::min<Index>(CHUNK, s.L - begin));
        for (int t = 0; t < count; ++t) dt[t] = k.step(begin + t);
        std::copy_n(borders.begin() + j * N, N, h.begin());
        for (int t = 0; t < count; ++t) {
            const float *B = k.B(begin + t), *C = k.C(begin + t);
            const Row *before = &h[t * N], d = dt[t];
            Row *after = &h[(t + 1) * N], *decay = &decays[t * N];
            u[t] = k.row(s.u, begin + t);
            const Row du = d * u[t];
            Row sum = k.skip * u[t];
            for (Index i = 0; i < N; ++i) {
                decay[i] = exp2(d * k.A2[i]);
                after[i] = mad(decay[i], before[i], du * B[i]);
                sum = mad(after[i], C[i], sum);
            }
            y[t] = sum;
        }
        for (int t = 0; t < count; ++t) {
            g[t] = k.row(grad, begin + t);
            if (!s.z) continue;
            const Row z = k.row(s.z, begin + t), gate = sigmoid(z);
            const Row slope = gate * mad(z, filled(1.0f) - gate, filled(1.0f));  // of z * sigmoid(z)
            store(to.z + k.at(begin + t), k.n, g[t] * y[t] * slope);
            g[t] = g[t] * z * gate;
        }
        std::fill(dA_chunk.begin(), dA_chunk.end(), Row{});
        for (int t = count - 1; t >= 0; --t) {
            const float *B = k.B(begin + t), *C = k.C(begin + t);
            const Row *before = &h[t * N], *after = &h[(t + 1) * N], *decay = &decays[t * N];
            const Row d = dt[t], gt = g[t], du = d * u[t];
            Row along_A{}, along_B{};
            for (Index i = 0; i < N; ++i) {
                const Row state = mad(gt, C[i], dh[i]);
                const Row b = state * du, c = gt * after[i];
                dB[i] = b.lo + b.hi;
                dC[i] = c.lo + c.hi;
                along_B = mad(state, B[i], along_B);
                dh[i] = state * decay[i];
                const Row back = dh[i] * before[i];
                along_A = mad(back, k.A2[i], along_A);
                dA_chunk[i] = mad(back, d, dA_chunk[i]);
            }
            add_lanes(to.B + (begin + t) * N, dB.data(), N);
            add_lanes(to.C + (begin + t) * N, dC.data(), N);
            d_u[t] = mad(d, along_B, k.skip * gt);
            d_step[t] = mad(u[t], along_B, along_A * 0.693147181f);  // A2 = A log2 e
        }
        Row skip_chunk{}, bias_chunk{};
        for (int t = 0; t < count; ++t) {
            if (s.softplus) d_step[t] = d_step[t] * sigmoid(k.raw(begin + t));
            store(to.delta + k.at(begin + t), k.n, d_step[t]);
            store(to.u + k.at(begin + t), k.n, d_u[t]);
            skip_chunk = mad(g[t], u[t], skip_chunk);
            bias_chunk += d_step[t];
        }
        d_skip += skip_chunk;
        d_bias += bias_chunk;
        for (Index i = 0; i < N; ++i) dA[i] += dA_chunk[i];
    }
    store(to.skip + k.c0, k.n, d_skip);
    if (to.bias) store(to.bias + k.c0, k.n, d_bias);
    write_columns(dA.data(), N, k.n, to.A + k.c0 * N);
}

template <class T>
void forward(const Scan<T>& s, T* out, int threads) {
    const Index wanted = s.images * s.blocks() / threads, size = std::max<Index>(1, std::min(wanted, MAX_BLOCKS));
    const Index units = (s.blocks() + size - 1) / size;  // of one image
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (Index i = 0; i < s.images * units; ++i) {
        const Index first = i % units * size, count = std::min(size, s.blocks() - first);
        Unit<T> unit(s, i / units, first, count);
        for (Index begin = 0; begin < s.L; begin += CHUNK)
            for (Index number = 0; number < count; ++number) forward_chunk(unit, number, begin, out);
        if (s.ht) unit.keep_states();
    }
}

// to[i] = sum over parts of parts[part][i], in their order.
void add_parts(float* to, const float* parts, Index count, Index size, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (Index i = 0; i < size; ++i) {
        float sum = parts[i];
        for (Index part = 1; part < count; ++part) sum += parts[part * size + i];
        to[i] = sum;
    }
}

template <class T>
void backward(const Scan<T>& s, const T* grad, const Gradients<T>& to, int threads) {
    const Index per_group = (s.blocks() + MAX_GROUPS - 1) / MAX_GROUPS;
    const Index groups = (s.blocks() + per_group - 1) / per_group, sums = s.L * s.N, A = s.D * s.N;
    std::vector<float> parts(s.images * groups * 2 * sums), small(s.images * (A + 2 * s.D));
    float *parts_A = small.data(), *parts_skip = parts_A + s.images * A, *parts_bias = parts_skip + s.images * s.D;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (Index unit = 0; unit < s.images * groups; ++unit) {
        const Index image = unit / groups, group = unit % groups;
        float* part = parts.data() + image * groups * 2 * sums + group * sums;
        const Gradients<T> own{to.u, to.delta, to.z, parts_A + image * A, part, part + groups * sums,
                               parts_skip + image * s.D, parts_bias + image * s.D};
        for (Index block = group * per_group; block < std::min((group + 1) * per_group, s.blocks()); ++block)
            backward_block(Block<T>(s, image, block), grad, own);
    }
    for (Index image = 0; image < s.images; ++image) {
        const float* part = parts.data() + image * groups * 2 * sums;
        add_parts(to.B + image * sums, part, groups, sums, threads);
        add_parts(to.C + image * sums, part + groups * sums, groups, sums, threads);
    }
    add_parts(to.A, parts_A, s.images, A, threads);
    add_parts(to.skip, parts_skip, s.images, s.D, threads);
    if (to.bias) add_parts(to.bias, parts_bias, s.images, s.D, threads);
}

}  // namespace

extern "C" {

// u, delta, z, y and their gradients (images, L, D); A (D, N), B and C (images, L, N), skip and bias (D,) and their
// gradients float32; all contiguous. z and bias, and their gradients with them, may be null, and so may h0 and ht
// (images, D, N) float32, the states before the first token and after the last one.
#define STYLECLI_SELECTIVE_SCAN(NAME, TYPE)                                                                            \
    void stylecli_selective_scan_forward_##NAME(std::int64_t images, std::int64_t L, std::int64_t D, std::int64_t N,  \
                                                std::int64_t softplus, const TYPE* u, const TYPE* delta,              \
                                                const float* A, const float* B, const float* C, const float* skip,    \
                                                const TYPE* z, const float* bias, TYPE* y, const float* h0,           \
                                                float* ht, int threads) {                                             \
        forward<TYPE>({images, L, D, N, u, delta, z, A, B, C, skip, bias, softplus != 0, h0, ht}, y, threads);        \
    }                                                                                                                 \
    void stylecli_selective_scan_backward_##NAME(                                                                     \
        std::int64_t images, std::int64_t L, std::int64_t D, std::int64_t N, std::int64_t softplus, const TYPE* grad, \
        const TYPE* u, const TYPE* delta, const float* A, const float* B, const float* C, const float* skip,          \
        const TYPE* z, const float* bias, TYPE* gu, TYPE* gdelta, float* gA, float* gB, float* gC, float* gskip,      \
        TYPE* gz, float* gbias, int threads) {                                                                        \
        backward<TYPE>({images, L, D, N, u, delta, z, A, B, C, skip, bias, softplus != 0, nullptr, nullptr}, grad,    \
                       {gu, gdelta, gz, gA, gB, gC, gskip, gbias}, threads);                                          \
    }
STYLECLI_SELECTIVE_SCAN(float32, float)
STYLECLI_SELECTIVE_SCAN(bfloat16, Bfloat16)
}
