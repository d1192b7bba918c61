// The same operations in plain C++, after the pseudo-code of Intel's instruction set reference (LDTILECFG,
// TILELOADD, TILESTORED, TILEZERO, TDPBUSD, TDPBF16PS): for tests on processors without AMX. What the processor
// would answer with an invalid-opcode fault ends the program here.
#pragma once
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "amx_config.h"

namespace {

constexpr int kTiles = 8, kTileRows = 16, kTileBytes = 64;

struct EmulatedTiles {
    bool configured = false;
    TileConfig config;
    alignas(64) uint8_t data[kTiles][kTileRows][kTileBytes];
};
inline EmulatedTiles& emulated() {
    static thread_local EmulatedTiles tiles;
    return tiles;
}

inline void require(bool allowed, const char* what) {
    if (allowed) return;
    std::fprintf(stderr, "AMX would fault: %s\n", what);
    std::abort();
}

inline void configure_tiles(const TileConfig& config) {
    EmulatedTiles& t = emulated();
    require(config.palette == 1 && config.start_row == 0, "palette or start row");
    for (int i = 0; i < 16; ++i) {
        require(i < kTiles || (config.rows[i] == 0 && config.row_bytes[i] == 0), "more than eight tiles");
        require(config.rows[i] <= kTileRows && config.row_bytes[i] <= kTileBytes, "a tile too large");
        require((config.rows[i] == 0) == (config.row_bytes[i] == 0), "a tile with rows or bytes but not both");
    }
    t.config = config;
    t.configured = true;
    std::memset(t.data, 0, sizeof(t.data));
}
inline void release_tiles() { emulated().configured = false; }

inline EmulatedTiles& in_use(int tile) {
    EmulatedTiles& t = emulated();
    require(t.configured && t.config.rows[tile] > 0, "a tile that isn't configured");
    return t;
}

template <int kTile>
inline void tile_zero() {
    EmulatedTiles& t = in_use(kTile);
    std::memset(t.data[kTile], 0, sizeof(t.data[kTile]));
}
template <int kTile>
inline void tile_load(const void* p, int64_t stride) {
    EmulatedTiles& t = in_use(kTile);
    std::memset(t.data[kTile], 0, sizeof(t.data[kTile]));
    for (int row = 0; row < t.config.rows[kTile]; ++row) {
        std::memcpy(t.data[kTile][row], static_cast<const uint8_t*>(p) + row * stride, t.config.row_bytes[kTile]);
    }
}
template <int kTile>
inline void tile_store(void* p, int64_t stride) {
    EmulatedTiles& t = in_use(kTile);
    for (int row = 0; row < t.config.rows[kTile]; ++row) {
        std::memcpy(static_cast<uint8_t*>(p) + row * stride, t.data[kTile][row], t.config.row_bytes[kTile]);
    }
}

// sum[m][n] gets the products of row m of a with column n of b, whose rows hold 4-byte groups: m · k by k · n.
struct Product {
    int rows, groups, columns;
};
inline Product shapes(const EmulatedTiles& t, int sum, int a, int b) {
    const TileConfig& c = t.config;
    require(sum != a && sum != b && a != b, "one tile in two places of a product");
    require(c.rows[sum] == c.rows[a] && c.row_bytes[sum] == c.row_bytes[b] && c.row_bytes[a] == 4 * c.rows[b] &&
                c.row_bytes[sum] % 4 == 0,
            "tiles of a product that don't fit together");
    return {c.rows[sum], c.row_bytes[a] / 4, c.row_bytes[sum] / 4};
}

template <int kSum, int kUnsigned, int kSigned>
inline void tile_dot_u8s8() {
    EmulatedTiles& t = in_use(kSum);
    const Product p = shapes(t, kSum, kUnsigned, kSigned);
    for (int m = 0; m < p.rows; ++m) {
        int32_t sums[kTileBytes / 4];
        std::memcpy(sums, t.data[kSum][m], kTileBytes);
        for (int k = 0; k < p.groups; ++k) {
            for (int n = 0; n < p.columns; ++n) {
                for (int i = 0; i < 4; ++i) {
                    sums[n] += t.data[kUnsigned][m][4 * k + i] * static_cast<int8_t>(t.data[kSigned][k][4 * n + i]);
                }
            }
        }
        std::memcpy(t.data[kSum][m], sums, kTileBytes);
    }
}

// Subnormal numbers count as zero, on the way in and on the way out.
inline float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }
inline float half_at(const uint8_t* p) {
    uint16_t half;
    std::memcpy(&half, p, 2);
    const uint32_t bits = static_cast<uint32_t>(half) << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return flushed(value);
}

template <int kSum, int kA, int kB>
inline void tile_dot_bf16() {
    EmulatedTiles& t = in_use(kSum);
    const Product p = shapes(t, kSum, kA, kB);
    for (int m = 0; m < p.rows; ++m) {
        float parts[kTileBytes / 4][2] = {}, sums[kTileBytes / 4];
        for (int k = 0; k < p.groups; ++k) {
            for (int n = 0; n < p.columns; ++n) {
                for (int i = 0; i < 2; ++i) {
                    const float a = half_at(t.data[kA][m] + 4 * k + 2 * i), b = half_at(t.data[kB][k] + 4 * n + 2 * i);
                    parts[n][i] = flushed(std::fma(a, b, parts[n][i]));
                }
            }
        }
        std::memcpy(sums, t.data[kSum][m], kTileBytes);
        for (int n = 0; n < p.columns; ++n) {
            sums[n] = flushed(flushed(sums[n]) + flushed(parts[n][0] + parts[n][1]));
        }
        std::memcpy(t.data[kSum][m], sums, kTileBytes);
    }
}

}  // namespace
