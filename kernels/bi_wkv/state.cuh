// The state that tokens leave behind for those on one side of them, and how it is passed on.

#pragma once

#include "../common/storage.cuh"

namespace {

constexpr int LANES = 32;
constexpr float LOWEST = -1e38f;  // below every key; times log2(e) it is still a number

enum { A, B, SLOPE_A, SLOPE_B };

// State of one direction for the two streams a and b; with slopes or without.
template <bool SLOPES>
struct State {
    static constexpr int FIELDS = SLOPES ? 4 : 2;
    float at[FIELDS];

    // Go on over `length` tokens that leave `own` behind where nothing enters them; power = lam^length.
    __device__ void pass(float power, float length, const State& own) {
        if constexpr (SLOPES) {
            at[SLOPE_A] = power * (at[SLOPE_A] + length * at[A]) + own.at[SLOPE_A];
            at[SLOPE_B] = power * (at[SLOPE_B] + length * at[B]) + own.at[SLOPE_B];
        }
        at[A] = power * at[A] + own.at[A];
        at[B] = power * at[B] + own.at[B];
    }
    __device__ void step(float lam, float a, float b) { pass(lam, 1.0f, State{{a, b}}); }
};

// Of a chunk and a channel, in memory: what it leaves behind, and after `carry` what enters it.
template <bool SLOPES>
struct alignas(16) Sides {
    State<SLOPES> left, right;
};

// exp(x - top). Results of 16 bits need no more than the card's own approximation (5e-6 at |x| = 30): with all 24 bits
// arithmetic would take longer than reading and writing.
template <class R>
struct Exponential {
    float scaled;

    __device__ explicit Exponential(float top) : scaled(sizeof(R) == 2 ? top * LOG2_E : top) {}
    __device__ float operator()(float x) const {
        if constexpr (sizeof(R) == 2) return fast_exp2(fmaf(x, LOG2_E, -scaled));
        return expf(x - scaled);
    }
};

// Powers of lam = exp(-w / T), as exact as results of type R need. No state other than zero is passed over more than T
// tokens, so that the bound keeps 0 * inf away.
template <class R>
struct Decay {
    float rate, length;

    __device__ Decay(float w, float T) : rate(-w / T), length(T) {}
    __device__ float power(float tokens) const { return Exponential<R>(0.0f)(rate * fminf(tokens, length)); }
};

}  // namespace
