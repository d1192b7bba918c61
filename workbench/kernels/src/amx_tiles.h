// The AMX instructions that the kernels use; tiles are named by template arguments, since an instruction has its
// tile numbers within it. Assembly rather than intrinsics: GCC 12's are assembly, too, but don't say that a tile
// load reads memory, so the compiler may move a store to that memory behind it. The operands that name registers
// of the processor stay out of the compiler's sight: it never spills a tile.
#pragma once
#include "amx_config.h"

namespace {

inline void configure_tiles(const TileConfig& config) { asm volatile("ldtilecfg %0" : : "m"(config)); }
inline void release_tiles() { asm volatile("tilerelease"); }

template <int kTile>
inline void tile_zero() {
    asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
}
template <int kTile>
inline void tile_load(const void* p, int64_t stride) {
    asm volatile("tileloadd (%1,%2,1), %%tmm%c0" : : "i"(kTile), "r"(p), "r"(stride) : "memory");
}
template <int kTile>
inline void tile_store(void* p, int64_t stride) {
    asm volatile("tilestored %%tmm%c0, (%1,%2,1)" : : "i"(kTile), "r"(p), "r"(stride) : "memory");
}
template <int kSum, int kUnsigned, int kSigned>
inline void tile_dot_u8s8() {
    asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kUnsigned), "i"(kSigned));
}
template <int kSum, int kA, int kB>
inline void tile_dot_bf16() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kA), "i"(kB));
}

}  // namespace
