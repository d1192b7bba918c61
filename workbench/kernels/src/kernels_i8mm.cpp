// ARM's i8mm: usdot takes four u8·s8 products per lane, as they come. Its matrix form (usmmla) does twice as many
// per instruction but wants pixels and channels in pairs, another packing; without a processor to measure it on,
// that is left.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernel_table.h"
#include "vector_neon.h"

namespace wb {

const KernelTable& kernels_neon();

namespace {

#include "activation.inl"
#include "dot.inl"

struct UsdotProduct {
    using Weight = Bytes;
    static Weight load_weight(const uint8_t* p) { return load_bytes(p, kByteLanes); }
    static Bytes open(Bytes bytes) { return bytes; }
    static Ints dot(Ints sum, Bytes x, Weight w) { return vusdotq_s32(sum, u8(x), s8(w)); }
};
using DotU8S8 = ByteDot<UsdotProduct>;

#include "bytes_neon.inl"

}  // namespace

const KernelTable& kernels_i8mm() {
    static const KernelTable table = [] {
        KernelTable made = with_bytes(kernels_neon(), "conv_u8s8_i8mm", "depthwise_u8s8_i8mm");
        made.isa = "i8mm";
        made.activation_offset = 0;
        return made;
    }();
    return table;
}

}  // namespace wb
