// AMX's kernels over emulated tiles: the logic, packing and edges, for tests on any processor with AVX512-VNNI.
#include "amx_tiles_emulated.h"
#include "kernels_amx.inl"

namespace wb {

const KernelTable& kernels_avx512vnni();

const KernelTable& kernels_amx_emulated() {
    static const KernelTable table = make_table("amx-emulated", kernels_avx512vnni());
    return table;
}

}  // namespace wb
