// A border around feature maps on a graphics card: the last rows and columns again, or a reflection in them. What it
// should be: stylecli/ops/border.py.
//
// Numbers are only moved, so that their type does not matter: a token is `units` of 2 to 16 bytes. x is
// (B, H, W, units) with any distance, in units, between batches, rows and columns; y is
// (B, H + 2 width, W + 2 width, units), contiguous. Consecutive lanes take consecutive units of a row of y. Every
// argument is 8 bytes long. Grids are (pieces of a row, H + 2 width, B).

#include "../common/storage.cuh"

namespace {

// Which of `size` places stands at `place`, -width .. size + width - 1; width < size where it is a reflection.
__device__ inline long long source(long long place, long long size, long long reflect) {
    const long long last = size - 1;
    if (place < 0) return reflect ? -place : 0;
    return place <= last ? place : reflect ? 2 * last - place : last;
}

template <class Unit>
__device__ void bordered(long long H, long long W, long long units, long long width, long long reflect,
                         long long per_image, long long per_row, long long per_column, const Unit* __restrict__ x,
                         Unit* __restrict__ y) {
    const long long at = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x, all = (W + 2 * width) * units;
    if (at >= all) return;
    const int j = static_cast<int>(at / units), unit = static_cast<int>(at % units);
    const long long row = source(blockIdx.y - width, H, reflect), column = source(j - width, W, reflect);
    const Unit* from = x + blockIdx.z * per_image + row * per_row + column * per_column;
    y[(blockIdx.z * (H + 2 * width) + blockIdx.y) * all + at] = from[unit];
}

struct alignas(8) Bytes8 {
    unsigned int part[2];
};

}  // namespace

#define KERNEL(SIZE, TYPE)                                                                                          \
    extern "C" __global__ void __launch_bounds__(256)                                                               \
        bordered_##SIZE(long long H, long long W, long long units, long long width, long long reflect,              \
                        long long per_image, long long per_row, long long per_column, const TYPE* x, TYPE* y) {     \
        bordered<TYPE>(H, W, units, width, reflect, per_image, per_row, per_column, x, y);                          \
    }

KERNEL(16, Bytes16)
KERNEL(8, Bytes8)
KERNEL(4, unsigned int)
KERNEL(2, unsigned short)
