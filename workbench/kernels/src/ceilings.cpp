#include "ceilings.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "buffer.h"

namespace wb {
namespace {

constexpr double kBudget = 3e-3;  // seconds for each figure: long enough to be at full clock, and to miss interruptions
constexpr int kFewest = 3;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// The least seconds of a call: whatever else the machine does only adds to it.
template <class Call>
double least_seconds(Call call) {
    double least = std::numeric_limits<double>::infinity();
    const double end = now() + kBudget;
    for (int i = 0; i < kFewest || now() < end; ++i) {
        const double begin = now();
        call();
        least = std::min(least, now() - begin);
    }
    return least;
}

// Runs so short and so long that both lie in the first cache with their weights: 24 KB for the longer one at NB = 2.
constexpr int64_t kShort = 64, kLong = 192;
constexpr int64_t kTiles = 4;  // as many as AMX takes together
constexpr int kCalls = 8;

double seconds_of_tiles(const ConvKernels& kernels, int vectors, int pixels, int64_t groups) {
    const int64_t channels = vectors * kernels.lanes;
    const Buffer input(groups * 4), weights(groups * channels * 4), start(channels * 4);
    const Buffer output(kTiles * pixels * channels * 4);
    const int64_t offset = 0;
    ConvArgs a{};
    a.input = input.data();  // every pixel reads the same: stride 0
    a.run_offsets = &offset;
    a.runs = 1;
    a.groups = groups;
    a.weights = weights.data();
    a.start = start.as<int32_t>();
    a.output = output.data();
    a.output_stride = channels * 4;
    a.residual = a.output;
    a.channels = channels;
    a.tiles = kTiles;
    a.lines = 1;
    a.epilogue.output_type = Dtype::i32;
    a.epilogue.residual_type = Dtype::none;
    const ConvKernel tile = kernels.tile[vectors - 1][pixels - 1];
    if (kernels.configure) kernels.configure(pixels, groups);
    const double seconds = least_seconds([&] {
        for (int i = 0; i < kCalls; ++i) tile(a);
    });
    if (kernels.release) kernels.release();
    return seconds / kCalls;
}

}  // namespace

// What the longer run takes beyond the shorter one is products alone: calls and endings cost both the same.
double multiply_adds_per_second(const KernelTable& table, Dtype dtype) {
    const ConvKernels& kernels = dtype == Dtype::u8     ? table.conv_u8s8
                                 : dtype == Dtype::bf16 ? table.conv_bf16
                                                        : table.conv_f32;
    const int64_t per_group = 4 / bytes_of(dtype);
    double best = 0;
    for (int vectors = 1; vectors <= max_blocks; ++vectors) {
        int pixels = max_pixels;
        while (pixels > 0 && !kernels.tile[vectors - 1][pixels - 1]) --pixels;
        if (pixels == 0) continue;
        const double seconds = seconds_of_tiles(kernels, vectors, pixels, kLong) -
                               seconds_of_tiles(kernels, vectors, pixels, kShort);
        const int64_t outputs = kTiles * pixels * vectors * kernels.lanes;
        const auto products = static_cast<double>((kLong - kShort) * per_group * outputs);
        if (seconds > 0) best = std::max(best, products / seconds);
    }
    return best;
}

double bytes_per_second(const KernelTable& kernels, int64_t bytes) {
    const Buffer memory(bytes);
    volatile int32_t sink = 0;
    const int64_t times = std::max<int64_t>(1, (int64_t{1} << 20) / bytes);
    const double seconds = least_seconds([&] {
        for (int64_t i = 0; i < times; ++i) sink = sink + kernels.read(memory.data(), bytes);
    });
    return static_cast<double>(bytes * times) / seconds;
}

}  // namespace wb
