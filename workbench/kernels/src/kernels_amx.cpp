// AMX with int8 and bf16, beside AVX512 with BF16, which every processor with AMX has.
#include "amx_tiles.h"
#include "kernels_amx.inl"

namespace wb {

const KernelTable& kernels_avx512bf16();

const KernelTable& kernels_amx() {
    static const KernelTable table = make_table("amx", kernels_avx512bf16());
    return table;
}

}  // namespace wb
