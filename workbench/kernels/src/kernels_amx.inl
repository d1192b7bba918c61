// AMX: convolution and linear tiles by matrix products of 16 pixels × 16 channels over 64 bytes of taps. The rest
// is AVX512's. Included after one of the two headers with the tile operations: the instructions or their emulation.
//
// Pixels are loaded straight from the image: the rows of a tile are `pixel_stride` apart, the taps of a run
// contiguous. Weights as AVX512 packs them are what tdpbusd wants: rows of [16 channels][4 bytes], NB · 64 bytes
// apart.
//
// A product starts every 16 cycles and takes 52, and a load takes 8 (Intel's optimization reference manual, AMX):
// four sums hide the former, and hold the loads to 2 × 2 tiles: 4 loads per 4 products; 4 × 1: 5.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernel_table.h"
#include "vector_avx512.h"

namespace wb {
namespace {

#include "activation.inl"
#include "conv_tile.inl"

constexpr int kSums = 4;            // tiles 0 … 3
constexpr int kPixels = 4;          // tiles 4 and 5, in turn
constexpr int kWeights = 6;         // tiles 6 and 7
constexpr int64_t kGroups = 16;     // 4-byte groups in a tile's row
constexpr int kFewestPixels = 4;    // fewer leave a tile so empty that AVX512's kernel keeps up

template <int kCount, class F>
inline void each(F f) {
    [=]<int... i>(std::integer_sequence<int, i...>) {
        (f(std::integral_constant<int, i>{}), ...);
    }(std::make_integer_sequence<int, kCount>{});
}

struct TileU8S8 {
    static constexpr Dtype kNarrow = Dtype::u8;
    using Accumulator = Ints;
    template <int kSum>
    static void start(const int32_t* start) {
        tile_load<kSum>(start, 0);  // stride 0: the same row for every pixel
    }
    template <int kSum, int kX, int kW>
    static void dot() {
        tile_dot_u8s8<kSum, kX, kW>();
    }
    static Floats floats(Ints sum) { return to_floats(sum); }
    static Ints bits(Ints sum) { return sum; }
};

struct TileBF16 {
    static constexpr Dtype kNarrow = Dtype::bf16;
    using Accumulator = Floats;
    template <int kSum>
    static void start(const int32_t*) {
        tile_zero<kSum>();
    }
    template <int kSum, int kX, int kW>
    static void dot() {
        tile_dot_bf16<kSum, kX, kW>();
    }
    static Floats floats(Floats sum) { return sum; }
    static Ints bits(Floats sum) { return _mm512_castps_si512(sum); }
};

// A run's groups divide into equal steps of at most 16: the packing pads them so.
inline int64_t groups_per_step(int64_t groups) { return groups / ((groups + kGroups - 1) / kGroups); }

void configure(int64_t pixels, int64_t groups) {
    TileConfig config;
    const auto step = static_cast<uint8_t>(groups_per_step(groups));
    for (int i = 0; i < 8; ++i) {
        config.rows[i] = i < kWeights ? static_cast<uint8_t>(pixels) : step;
        config.row_bytes[i] = i < kSums || i >= kWeights ? 64 : 4 * step;
    }
    configure_tiles(config);
}

// Rows of sums from the scratch, through the epilogue that AVX512's tiles have.
template <class Dot, int M, int NB>
inline void finish_rows(const ConvArgs& a, const int32_t (*sums)[NB * kLanes], int64_t pixel, const uint8_t* residual,
                        uint8_t* output) {
    typename Dot::Accumulator rows[M][NB];
    std::memcpy(rows, sums[pixel], sizeof(rows));
    conv_epilogue<Dot, M, NB>(a, rows, output + pixel * a.output_stride, residual + pixel * a.residual_stride);
}

// P · NB tiles of sums: P tiles of m pixels by NB of 16 channels.
template <class Dot, int P, int NB>
[[gnu::noinline]] void tiles_together(const ConvArgs& a, int64_t m, int64_t first_pixel) {
    const int64_t step = groups_per_step(a.groups), groups = a.groups, runs = a.runs;
    const int64_t stride = a.pixel_stride, tile_stride = m * stride;
    const int64_t* run_offsets = a.run_offsets;
    const int32_t* start = a.start;
    const uint8_t* input = a.input + first_pixel * stride;
    const uint8_t* weights = a.weights;
    each<P>([=](auto p) { each<NB>([=](auto n) { Dot::template start<p * NB + n>(start + n * kLanes); }); });
    for (int64_t run = 0; run < runs; ++run) {
        const uint8_t* x = input + run_offsets[run];
        for (int64_t group = 0; group < groups; group += step) {
            each<NB>([=](auto n) { tile_load<kWeights + n>(weights + n * 64, NB * 64); });
            each<P>([=](auto p) {
                tile_load<kPixels + p % 2>(x + p * tile_stride, stride);
                each<NB>([=](auto n) { Dot::template dot<p * NB + n, kPixels + p % 2, kWeights + n>(); });
            });
            x += step * 4;
            weights += step * NB * 64;
        }
    }
    alignas(64) int32_t sums[P * 16][NB * kLanes];
    int32_t* scratch = sums[0];
    each<P>([=](auto p) {
        each<NB>([=](auto n) { tile_store<p * NB + n>(scratch + (p * m * NB + n) * kLanes, NB * 64); });
    });
    const uint8_t* residual = a.residual + first_pixel * a.residual_stride;
    uint8_t* output = a.output + first_pixel * a.output_stride;
    int64_t pixel = 0;
    for (; pixel + 4 <= P * m; pixel += 4) finish_rows<Dot, 4, NB>(a, sums, pixel, residual, output);
    for (; pixel < P * m; ++pixel) finish_rows<Dot, 1, NB>(a, sums, pixel, residual, output);
}

template <class Dot, int M, int NB>
void conv_line_of_tiles(const ConvArgs& a) {
    constexpr int kTogether = kSums / NB;
    int64_t tile = 0;
    for (; tile + kTogether <= a.tiles; tile += kTogether) tiles_together<Dot, kTogether, NB>(a, M, tile * M);
    if constexpr (kTogether == 4) {
        for (; tile + 2 <= a.tiles; tile += 2) tiles_together<Dot, 2, NB>(a, M, tile * M);
    }
    for (; tile < a.tiles; ++tile) tiles_together<Dot, 1, NB>(a, M, tile * M);
}

template <class Dot, int M, int NB>
void conv_tiles(const ConvArgs& a) {
    ConvArgs line = a;
    for (int64_t i = 0; i < a.lines; ++i) {
        conv_line_of_tiles<Dot, M, NB>(line);
        line.input += a.input_line;
        line.output += a.output_line;
        line.residual += a.residual_line;
    }
}

template <class Dot, int NB, int... M>
void replace_tiles(ConvKernels& kernels, std::integer_sequence<int, M...>) {
    auto replace = [&](int m, ConvKernel kernel) {
        ConvKernel& tile = kernels.tile[NB - 1][m - 1];
        if (!tile || m >= kFewestPixels) tile = kernel;
    };
    (replace(M + 1, conv_tiles<Dot, M + 1, NB>), ...);
}

// `base` packs weights in the same way, so its kernels can take what is too small for a tile.
template <class Dot>
ConvKernels conv_kernels(const char* name, const ConvKernels& base) {
    ConvKernels kernels;
    kernels.name = name;
    kernels.lanes = kLanes;
    for (int n : {0, 1}) std::copy_n(base.tile[n], max_pixels, kernels.tile[n]);
    replace_tiles<Dot, 1>(kernels, std::make_integer_sequence<int, max_pixels>{});
    replace_tiles<Dot, 2>(kernels, std::make_integer_sequence<int, max_pixels>{});
    kernels.most_groups = kGroups;
    kernels.configure = configure;
    kernels.release = release_tiles;
    return kernels;
}

KernelTable make_table(const char* isa, const KernelTable& base) {
    KernelTable table = base;
    table.isa = isa;
    table.conv_u8s8 = conv_kernels<TileU8S8>("conv_u8s8_amx", base.conv_u8s8);
    table.conv_bf16 = conv_kernels<TileBF16>("conv_bf16_amx", base.conv_bf16);
    return table;
}

}  // namespace
}  // namespace wb
