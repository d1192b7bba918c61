#include "isa.h"

namespace wb {

const KernelTable& kernels_reference();
#if defined(__x86_64__)
const KernelTable& kernels_avx2();
const KernelTable& kernels_avx512vnni();
const KernelTable& kernels_avx512bf16();

namespace {
// __builtin_cpu_supports asks CPUID and XGETBV: a set the system doesn't save on a switch counts as absent.
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512vnni() {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}
bool has_avx512bf16() { return has_avx512vnni() && __builtin_cpu_supports("avx512bf16"); }
}  // namespace
#endif

std::vector<std::string> usable_isas() {
    std::vector<std::string> names;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (has_avx512bf16()) names.push_back("avx512bf16");
    if (has_avx512vnni()) names.push_back("avx512vnni");
    if (has_avx2()) names.push_back("avx2");
#endif
    names.push_back("reference");
    return names;
}

const KernelTable* kernels_for(const std::string& isa) {
    for (const std::string& usable : usable_isas()) {
        if (usable != isa) continue;
#if defined(__x86_64__)
        if (isa == "avx512bf16") return &kernels_avx512bf16();
        if (isa == "avx512vnni") return &kernels_avx512vnni();
        if (isa == "avx2") return &kernels_avx2();
#endif
        return &kernels_reference();
    }
    return nullptr;
}

}  // namespace wb
