// ARM's dot products: sdot takes four s8·s8 products per lane; activations are made signed as in kernels_neon.cpp,
// for one exclusive-or per pixel and group, shared by all channels.
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

struct SdotProduct {
    using Weight = Bytes;
    static Weight load_weight(const uint8_t* p) { return load_bytes(p, kByteLanes); }
    static Bytes open(Bytes bytes) { return less_128(bytes); }
    static Ints dot(Ints sum, Bytes x, Weight w) { return vdotq_s32(sum, s8(x), s8(w)); }
};
using DotU8S8 = ByteDot<SdotProduct>;

#include "bytes_neon.inl"

}  // namespace

const KernelTable& kernels_dotprod() {
    static const KernelTable table = [] {
        KernelTable made = with_bytes(kernels_neon(), "conv_u8s8_dotprod", "depthwise_u8s8_dotprod");
        made.isa = "dotprod";
        return made;
    }();
    return table;
}

}  // namespace wb
