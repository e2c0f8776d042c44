// Runs CUDA kernels on the CPU, to test their logic where there is no card: compile a .cu with `-include` of this.
//
// Each CUDA thread is a fiber, run in turn from barrier to barrier, in ascending or descending order of their
// numbers: a race between two barriers shows as a difference between the two orders. Blocks run one after the other.
// A barrier that some threads miss ends the program.

#pragma once
#define CUDA_ON_HOST

#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(...)

struct Index {
    unsigned int x, y, z;
};

namespace cuda_on_host {

constexpr std::size_t STACK = 64 << 10;

struct Fiber {
    ucontext_t context;
    Index index;
    bool done;
};

inline Index block, grid, threads;
inline std::vector<Fiber> fibers;
inline Fiber* running;
inline ucontext_t scheduler;
inline void (*kernel)();
inline const std::int64_t* arguments;

// All arguments are 8 bytes and none is a float: the calling conventions of 64-bit x86 and Arm pass them alike, and
// those that a kernel does not have are not looked at.
inline void body() {
    using Any = void (*)(std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                         std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                         std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                         std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t);
    const std::int64_t* a = arguments;
    reinterpret_cast<Any>(kernel)(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12],
                                  a[13], a[14], a[15], a[16], a[17], a[18], a[19], a[20], a[21], a[22], a[23]);
    running->done = true;
}

inline void wait() { swapcontext(&running->context, &scheduler); }

inline void run_block(bool descending) {
    static std::vector<char> stacks;
    const std::size_t count = std::size_t(threads.x) * threads.y * threads.z;
    fibers.resize(count), stacks.resize(count * STACK);
    for (std::size_t i = 0; i < count; ++i) {
        Fiber& f = fibers[i];
        getcontext(&f.context);
        f.context.uc_stack.ss_sp = stacks.data() + i * STACK, f.context.uc_stack.ss_size = STACK;
        f.context.uc_link = &scheduler;
        f.index = {unsigned(i % threads.x), unsigned(i / threads.x % threads.y),
                   unsigned(i / threads.x / threads.y)};
        f.done = false;
        makecontext(&f.context, body, 0);
    }
    for (std::size_t done = 0; done < count;) {
        done = 0;
        for (std::size_t i = 0; i < count; ++i) {
            running = &fibers[descending ? count - 1 - i : i];
            swapcontext(&scheduler, &running->context);
            done += running->done;
        }
        if (done && done < count) {
            std::fprintf(stderr, "a barrier was missed by %zu of %zu threads\n", done, count);
            std::abort();
        }
    }
}

}  // namespace cuda_on_host

// What another thread of a warp holds. All threads of a block ask at the same time, as ours do.
inline float of_lane(float own, int other, bool there) {
    static std::vector<float> held;
    const unsigned int me = cuda_on_host::running->index.x;
    held.resize(cuda_on_host::threads.x);
    held[me] = own;
    cuda_on_host::wait();
    const float x = there ? held[me / 32 * 32 + other] : own;
    cuda_on_host::wait();
    return x;
}
inline float __shfl_up_sync(unsigned int, float x, unsigned int lanes) {
    const unsigned int lane = cuda_on_host::running->index.x % 32;
    return of_lane(x, int(lane - lanes), lane >= lanes);
}
inline float __shfl_down_sync(unsigned int, float x, unsigned int lanes) {
    const unsigned int lane = cuda_on_host::running->index.x % 32;
    return of_lane(x, int(lane + lanes), lane + lanes < 32);
}
inline float __shfl_xor_sync(unsigned int, float x, int mask) {
    return of_lane(x, int(cuda_on_host::running->index.x % 32) ^ mask, true);
}

#define threadIdx (cuda_on_host::running->index)
#define blockIdx cuda_on_host::block
#define gridDim cuda_on_host::grid
#define blockDim cuda_on_host::threads
#define __syncthreads cuda_on_host::wait

extern "C" void launch_on_host(void (*kernel)(), const unsigned int* grid, const unsigned int* threads,
                                      const std::int64_t* arguments, int descending) {
    namespace here = cuda_on_host;
    here::kernel = kernel, here::arguments = arguments;
    here::grid = {grid[0], grid[1], grid[2]}, here::threads = {threads[0], threads[1], threads[2]};
    for (unsigned int z = 0; z < grid[2]; ++z)
        for (unsigned int y = 0; y < grid[1]; ++y)
            for (unsigned int x = 0; x < grid[0]; ++x) here::block = {x, y, z}, here::run_block(descending);
}

inline float __uint_as_float(unsigned int bits) {
    float x;
    return std::memcpy(&x, &bits, 4), x;
}
inline unsigned int __float_as_uint(float x) {
    unsigned int bits;
    return std::memcpy(&bits, &x, 4), bits;
}
inline float atomicAdd(float* to, float value) {
    const float before = *to;
    return *to += value, before;
}

// nearbyint rounds to nearest, ties to even.
inline float float_of_half(unsigned short h) {
    const float size = (h & 0x7c00) == 0 ? std::ldexp(float(h & 0x3ff), -24)
                       : (h & 0x7c00) == 0x7c00 ? (h & 0x3ff ? NAN : INFINITY)
                                                : std::ldexp(float((h & 0x3ff) | 0x400), ((h >> 10) & 31) - 25);
    return h & 0x8000 ? -size : size;
}
inline unsigned short half_of_float(float x) {
    const unsigned short sign = std::signbit(x) ? 0x8000 : 0;
    if (std::isnan(x)) return sign | 0x7e00;
    x = std::fabs(x);
    if (x >= 65520.0f) return sign | 0x7c00;
    const int exponent = x < 0x1p-14f ? -14 : std::ilogb(x);
    const int mantissa = int(std::nearbyint(std::ldexp(x, 10 - exponent)));  // with the leading one, unless subnormal
    return sign | static_cast<unsigned short>(mantissa + ((exponent + 14) << 10));
}
