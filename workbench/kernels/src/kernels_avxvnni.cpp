// AVX-VNNI as its processors run it.
#include "kernels_avxvnni.inl"

namespace wb {

const KernelTable& kernels_avxvnni() {
    static const KernelTable table = make_table("avxvnni");
    return table;
}

}  // namespace wb
