// The results: `forward_sums` and `forward_apply`.
//
// A thread takes the channels that fill 32 bits (two of 16 bits, one of 32) and STEPS tokens, all in registers; the
// lanes of a warp are neighbours, so that it reads 128 bytes in a row, and needs nobody else until its own tokens are
// summed up. `order` (null: as they lie) says where a token of the sequence lies. `paired` says that both channels of
// a thread exist and lie in one word.

#pragma once

#include "state.cuh"

namespace {

template <class T>
struct Forward {
    static constexpr int WIDTH = 4 / sizeof(T);  // channels of a thread
    static constexpr int CHANNELS = WIDTH * LANES, STEPS = 16, WARPS = 8, TOKENS = STEPS * WARPS;
    static constexpr int PART = STEPS / WIDTH, PARTS = WIDTH;  // tokens at a time of which all is kept in registers
};

// Which channels and tokens a thread takes.
template <class T>
struct Place {
    using F = Forward<T>;
    long long row;             // of `states` and `tops`: its first channel's element of its chunk
    long long picture;         // where its picture begins in the tensors
    unsigned int C, c, first;  // channels of all; first of its own; first of its tokens
    int lane, warp;
    int channels, valid;  // how many of its channels and tokens exist

    __device__ Place(long long length, long long all_channels, bool reversed)
        : C(static_cast<unsigned int>(all_channels)) {
        const unsigned int groups = (C + F::CHANNELS - 1) / F::CHANNELS, tokens = static_cast<unsigned int>(length);
        const unsigned int chunks = (tokens + F::TOKENS - 1) / F::TOKENS;
        // `apply` starts where `sums` ended: that part of the input is still in the cache.
        const unsigned int block = reversed ? gridDim.x - 1 - blockIdx.x : blockIdx.x;
        const unsigned int chunk = block / groups, b = chunk / chunks;
        lane = threadIdx.x % LANES, warp = threadIdx.x / LANES;
        c = block % groups * F::CHANNELS + lane * F::WIDTH;
        row = static_cast<long long>(chunk) * C + c;
        picture = b * length * C;
        first = chunk % chunks * F::TOKENS + warp * F::STEPS;
        channels = c >= C ? 0 : C - c < F::WIDTH ? C - c : F::WIDTH;
        // (The same for all lanes of a warp, or none of their channels exists.)
        valid = channels == 0 || first >= tokens ? 0 : tokens - first < F::STEPS ? tokens - first : F::STEPS;
    }
    // Where a token of its picture lies.
    __device__ unsigned long long at(unsigned int token) const {
        return static_cast<unsigned long long>(token) * C + c;
    }
};

// put(i, place in the tensors) for each token of a part, whose first is the `begin`-th of the thread's.
template <class T, class Put>
__device__ void for_each_token(const Place<T>& place, const long long* __restrict__ order, int begin, Put put) {
    const unsigned int first = place.first + begin;
    const int valid = place.valid - begin;
    if (order) {
#pragma unroll
        for (int i = 0; i < Forward<T>::PART; ++i) {
            if (i >= valid) return;
            put(i, place.picture + place.at(order[first + i]));
        }
    } else {
        unsigned long long at = place.picture + place.at(first);
#pragma unroll
        for (int i = 0; i < Forward<T>::PART; ++i, at += place.C) {
            if (i >= valid) return;
            put(i, at);
        }
    }
}

// A thread's tokens of one tensor; `absent` stands for those that do not exist.
template <class T>
struct Words {
    static constexpr int STEPS = Forward<T>::STEPS;
    unsigned int of[STEPS];

    __device__ Words(const Place<T>& place, const T* __restrict__ from, const long long* __restrict__ order,
                     bool paired, unsigned int absent) {
        from += place.picture;
        auto read = [&](const T* at) {
            return paired ? *reinterpret_cast<const unsigned int*>(at) : word_of(at, place.channels);
        };
        if (order) {
#pragma unroll
            for (int i = 0; i < STEPS; ++i)
                of[i] = i < place.valid ? read(from + place.at(order[place.first + i])) : absent;
        } else {
            const T* at = from + place.at(place.first);
#pragma unroll
            for (int i = 0; i < STEPS; ++i, at += place.C) of[i] = i < place.valid ? read(at) : absent;
        }
    }
    __device__ float operator()(int i, int channel) const { return widened<T>(of[i], channel); }
};

// What a thread's tokens leave behind in its n-th channel; to the left also each part by itself, for the parts before.
template <class T>
__device__ Sides<false> left_behind(const Words<T>& keys, const Words<T>& values, int n, float top, float lam,
                                    float part_power, State<false> (&right_of)[Forward<T>::PARTS]) {
    using F = Forward<T>;
    const Exponential<T> weight(top);
    Sides<false> sides = {};
#pragma unroll
    for (int p = 0; p < F::PARTS; ++p) {
        right_of[p] = State<false>{};
        float far = 1.0f;  // lam^i
#pragma unroll
        for (int i = 0; i < F::PART; ++i) {
            const float e = weight(keys(p * F::PART + i, n)), x = e * values(p * F::PART + i, n);
            sides.left.step(lam, x, e);
            right_of[p].at[A] += far * x, right_of[p].at[B] += far * e;
            far = fminf(far * lam, -LOWEST);  // where w < 0 it may grow without end over tokens that do not exist
        }
    }
#pragma unroll
    for (int p = F::PARTS - 1; p >= 0; --p) sides.right.pass(part_power, F::PART, right_of[p]);
    return sides;
}

template <class T>
__device__ void forward_sums(long long length, long long C, long long paired, const T* __restrict__ k,
                             const T* __restrict__ v, const long long* __restrict__ order, const float* __restrict__ w,
                             Sides<false>* __restrict__ states, float* __restrict__ tops) {
    using F = Forward<T>;
    __shared__ Sides<false> sides_of[F::WARPS][F::WIDTH][LANES];
    __shared__ float top_of[F::WARPS][F::WIDTH][LANES];
    const Place<T> place(length, C, false);
    const Words<T> keys(place, k, order, paired, MINUS_INFINITY<T>), values(place, v, order, paired, 0);
#pragma unroll
    for (int n = 0; n < F::WIDTH; ++n) {
        const Decay<T> decay(n < place.channels ? w[place.c + n] : 0.0f, length);
        float top = LOWEST;
#pragma unroll
        for (int i = 0; i < F::STEPS; ++i) top = fmaxf(top, keys(i, n));
        State<false> right_of[F::PARTS];
        sides_of[place.warp][n][place.lane] =
            left_behind<T>(keys, values, n, top, decay.power(1), decay.power(F::PART), right_of);
        top_of[place.warp][n][place.lane] = top;
    }
    __syncthreads();
    // The whole chunk's, by a warp for each channel of a thread.
    const int n = place.warp;
    if (n >= place.channels) return;
    const float power = Decay<T>(w[place.c + n], length).power(F::STEPS);
    float top = LOWEST;
#pragma unroll
    for (int i = 0; i < F::WARPS; ++i) top = fmaxf(top, top_of[i][n][place.lane]);
    const Exponential<T> weight(top);
    Sides<false> total = {}, own[F::WARPS];
#pragma unroll
    for (int i = 0; i < F::WARPS; ++i) {
        own[i] = sides_of[i][n][place.lane];
        const float scale = weight(top_of[i][n][place.lane]);
        own[i].left.at[A] *= scale, own[i].left.at[B] *= scale, own[i].right.at[A] *= scale,
            own[i].right.at[B] *= scale;
        total.left.pass(power, F::STEPS, own[i].left);
    }
#pragma unroll
    for (int i = F::WARPS - 1; i >= 0; --i) total.right.pass(power, F::STEPS, own[i].right);
    states[place.row + n] = total;
    tops[place.row + n] = top;
}

template <class T>
__device__ void forward_apply(long long length, long long C, long long paired, const T* __restrict__ k,
                              const T* __restrict__ v, const long long* __restrict__ order, const float* __restrict__ w,
                              const float* __restrict__ u, const Sides<false>* __restrict__ states,
                              const float* __restrict__ tops, T* __restrict__ y, float* __restrict__ denominator) {
    using F = Forward<T>;
    __shared__ Sides<false> sides_of[F::WARPS][F::WIDTH][LANES];
    const Place<T> place(length, C, true);
    const Words<T> keys(place, k, order, paired, MINUS_INFINITY<T>), values(place, v, order, paired, 0);

    float lam[F::WIDTH], part_power[F::WIDTH], warp_power[F::WIDTH], top[F::WIDTH], bonus[F::WIDTH];
    Sides<false> enters[F::WIDTH];
    State<false> right_of[F::WIDTH][F::PARTS];
#pragma unroll
    for (int n = 0; n < F::WIDTH; ++n) {
        const bool exists = n < place.channels;
        const Decay<T> decay(exists ? w[place.c + n] : 0.0f, length);
        lam[n] = decay.power(1), part_power[n] = decay.power(F::PART), warp_power[n] = decay.power(F::STEPS);
        bonus[n] = Exponential<T>(0.0f)(exists ? u[place.c + n] : 0.0f);
        top[n] = exists ? tops[place.row + n] : 0.0f;
        enters[n] = exists ? states[place.row + n] : Sides<false>{};
        sides_of[place.warp][n][place.lane] =
            left_behind<T>(keys, values, n, top[n], lam[n], part_power[n], right_of[n]);
    }
    __syncthreads();
    if (place.valid == 0) return;

    // What enters this thread's tokens: what enters the chunk, passed over the warps in between.
#pragma unroll 1
    for (int i = 0; i < place.warp; ++i)
#pragma unroll
        for (int n = 0; n < F::WIDTH; ++n)
            enters[n].left.pass(warp_power[n], F::STEPS, sides_of[i][n][place.lane].left);
#pragma unroll 1
    for (int i = F::WARPS - 1; i > place.warp; --i)
#pragma unroll
        for (int n = 0; n < F::WIDTH; ++n)
            enters[n].right.pass(warp_power[n], F::STEPS, sides_of[i][n][place.lane].right);
#pragma unroll
    for (int p = 0; p < F::PARTS; ++p) {
        // The exponentials are taken again rather than kept: registers decide how much is being read meanwhile.
        float result[F::PART][F::WIDTH], den[F::PART][F::WIDTH];
#pragma unroll
        for (int n = 0; n < F::WIDTH; ++n) {
            const Exponential<T> weight(top[n]);
            float e[F::PART], x[F::PART];
            State<false> right = enters[n].right;
#pragma unroll
            for (int q = F::PARTS - 1; q > p; --q) right.pass(part_power[n], F::PART, right_of[n][q]);
#pragma unroll
            for (int i = F::PART - 1; i >= 0; --i) {
                e[i] = weight(keys(p * F::PART + i, n)), x[i] = e[i] * values(p * F::PART + i, n);
                result[i][n] = right.at[A] + bonus[n] * x[i], den[i][n] = right.at[B] + bonus[n] * e[i];
                right.step(lam[n], x[i], e[i]);
            }
#pragma unroll
            for (int i = 0; i < F::PART; ++i) {
                den[i][n] += enters[n].left.at[B];
                result[i][n] = fast_quotient(result[i][n] + enters[n].left.at[A], den[i][n]);
                enters[n].left.step(lam[n], x[i], e[i]);
            }
        }
        if (paired)
            for_each_token(place, order, p * F::PART, [&](int i, unsigned long long at) {
                *reinterpret_cast<unsigned int*>(y + at) = narrowed<T>(result[i]);
            });
        else
            for_each_token(place, order, p * F::PART, [&](int i, unsigned long long at) {
                put_word(narrowed<T>(result[i]), y + at, place.channels);
            });
        if (denominator)
            for_each_token(place, order, p * F::PART, [&](int i, unsigned long long at) {
#pragma unroll
                for (int n = 0; n < F::WIDTH; ++n)
                    if (n < place.channels) denominator[at + n] = den[i][n];
            });
    }
}

}  // namespace
