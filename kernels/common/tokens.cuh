// How threads share out tokens (B, T, C) where each channel goes by itself: consecutive lanes take consecutive
// channels, N each, and then the next token's, so that few channels leave no lane idle.
//
// Blocks are of 256 threads, in grids of (chunks, columns of C, B). `columns`: threads side by side over the channels;
// `steps`: tokens of a thread. stylecli/ops/painting_cuda.py chooses both.

#pragma once

template <class T, int N>
struct alignas(sizeof(T) * N) Vector {
    T at[N];
};

constexpr int TOKEN_THREADS = 256;
constexpr int AHEAD = 4;  // tokens that a thread reads at once

// Vectors of N channels at tokens t, t + rows, ... before end, all asked for before the first is there; zeros behind.
template <class T, int N>
struct Batch {
    Vector<T, N> at[AHEAD];

    // `from`: these channels of the first token; tokens are C apart.
    __device__ Batch(const T* __restrict__ from, long long C, long long t, long long rows, long long end) {
#pragma unroll
        for (int i = 0; i < AHEAD; ++i) {
            at[i] = Vector<T, N>{};
            if (t + i * rows < end) at[i] = *reinterpret_cast<const Vector<T, N>*>(from + (t + i * rows) * C);
        }
    }
};

// N float32 numbers, at most 16 bytes at once.
template <int N>
__device__ inline void load_floats(const float* from, float (&to)[N]) {
    constexpr int PART = N < 4 ? N : 4;
#pragma unroll
    for (int n = 0; n < N; n += PART) {
        const Vector<float, PART> part = *reinterpret_cast<const Vector<float, PART>*>(from + n);
#pragma unroll
        for (int i = 0; i < PART; ++i) to[n + i] = part.at[i];
    }
}

// A thread's own: tokens begin, begin + rows, ... before end, of the channels c .. c + N - 1.
struct Share {
    int row, rows;  // of the block's rows of threads, each of one token
    long long c, begin, end;
    bool inside;  // false for threads that are left over

    __device__ Share(long long T, long long C, long long columns, long long steps, int N) {
        const int across = static_cast<int>(columns), column = static_cast<int>(threadIdx.x) % across;
        row = static_cast<int>(threadIdx.x) / across, rows = TOKEN_THREADS / across;
        c = (static_cast<long long>(blockIdx.y) * columns + column) * N;
        const long long first = static_cast<long long>(blockIdx.x) * rows * steps, last = first + rows * steps;
        begin = first + row, end = last < T ? last : T;
        inside = row < rows && c < C;
    }
};
