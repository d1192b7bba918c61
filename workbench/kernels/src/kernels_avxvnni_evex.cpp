// AVX-VNNI's kernels in AVX512's encoding of the same instruction: lets a processor with AVX512-VNNI alone test
// their logic. What it can't test is the VEX encoding itself.
#include "kernels_avxvnni.inl"

namespace wb {

const KernelTable& kernels_avxvnni_evex() {
    static const KernelTable table = make_table("avxvnni-evex");
    return table;
}

}  // namespace wb
