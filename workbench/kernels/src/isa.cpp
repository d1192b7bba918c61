#include "isa.h"

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace wb {

const KernelTable& kernels_reference();
#if defined(__x86_64__)
const KernelTable& kernels_avx2();
const KernelTable& kernels_avxvnni();
const KernelTable& kernels_avxvnni_evex();
const KernelTable& kernels_avx512vnni();
const KernelTable& kernels_avx512bf16();
const KernelTable& kernels_amx();
const KernelTable& kernels_amx_emulated();
#elif defined(__aarch64__)
const KernelTable& kernels_neon();
const KernelTable& kernels_dotprod();
const KernelTable& kernels_i8mm();
#endif

namespace {

struct Entry {
    const char* name;
    bool (*usable)();
    const KernelTable& (*table)();
    bool stand_in = false;
};

bool always() { return true; }

#if defined(__x86_64__)
// __builtin_cpu_supports asks CPUID and XGETBV: a set the system doesn't save on a switch counts as absent.
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avxvnni() { return has_avx2() && __builtin_cpu_supports("avxvnni"); }
bool has_avx512vnni() {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}
bool has_avx512bf16() { return has_avx512vnni() && __builtin_cpu_supports("avx512bf16"); }

// Linux saves AMX's 8 KB of tiles only for processes that have asked; the answer holds for all their threads and
// for what they fork. It refuses where it doesn't know AMX, or a signal stack is too small for the tiles.
bool tiles_permitted() {
#if defined(__linux__)
    constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    static const bool permitted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
    return permitted;
#else
    return false;
#endif
}
bool has_amx() {
    return has_avx512bf16() && __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-int8") &&
           __builtin_cpu_supports("amx-bf16") && tiles_permitted();
}
#elif defined(__aarch64__) && defined(__linux__)
bool has_dotprod() { return getauxval(AT_HWCAP) & HWCAP_ASIMDDP; }
bool has_i8mm() { return getauxval(AT_HWCAP2) & HWCAP2_I8MM; }
#elif defined(__aarch64__)
// Elsewhere nothing says so in the same way; plain NEON is always right.
bool has_dotprod() { return false; }
bool has_i8mm() { return false; }
#endif

// Best first.
constexpr Entry kEntries[] = {
#if defined(__x86_64__)
    {"amx", has_amx, kernels_amx},
    {"amx-emulated", has_avx512vnni, kernels_amx_emulated, true},
    {"avx512bf16", has_avx512bf16, kernels_avx512bf16},
    {"avx512vnni", has_avx512vnni, kernels_avx512vnni},
    {"avxvnni", has_avxvnni, kernels_avxvnni},
    {"avxvnni-evex", has_avx512vnni, kernels_avxvnni_evex, true},
    {"avx2", has_avx2, kernels_avx2},
#elif defined(__aarch64__)
    {"i8mm", has_i8mm, kernels_i8mm},
    {"dotprod", has_dotprod, kernels_dotprod},
    {"neon", always, kernels_neon},
#endif
    {"reference", always, kernels_reference},
};

std::vector<std::string> names(bool stand_in) {
    std::vector<std::string> found;
    for (const Entry& entry : kEntries) {
        if (entry.stand_in == stand_in && entry.usable()) found.emplace_back(entry.name);
    }
    return found;
}

}  // namespace

std::vector<std::string> usable_isas() { return names(false); }

std::vector<std::string> stand_ins() { return names(true); }

const KernelTable* kernels_for(const std::string& isa) {
    for (const Entry& entry : kEntries) {
        if (isa == entry.name && entry.usable()) return &entry.table();
    }
    return nullptr;
}

}  // namespace wb
