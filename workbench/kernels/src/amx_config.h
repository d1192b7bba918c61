// What ldtilecfg reads: palette 1 has eight tiles of at most 16 rows of 64 bytes.
#pragma once
#include <cstdint>

namespace {

struct alignas(64) TileConfig {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

}  // namespace
