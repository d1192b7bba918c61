// Every kernel written down naively in plain C++: what the fast ones are compared with, and what runs
// where there is no faster one.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "attention_mask.h"
#include "kernel_table.h"

namespace wb {
namespace {

constexpr int64_t kLanes = 4;
constexpr int64_t kDepthwiseBlock = 16;
constexpr int64_t kWeightOnlyBlock = 4;
constexpr int64_t kRecurrentBlock = 4;

template <class T>
T read(const uint8_t* p, int64_t index = 0) {
    T value;
    std::memcpy(&value, p + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
    return value;
}

// A float rounded to its upper half, to nearest even.
struct BF16 {
    uint16_t half;

    BF16() = default;
    explicit BF16(float y) {
        const uint32_t bits = read<uint32_t>(reinterpret_cast<const uint8_t*>(&y));
        half = std::isnan(y) ? 0x7fc0 : static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    }
    explicit operator float() const {
        const uint32_t bits = static_cast<uint32_t>(half) << 16;
        return read<float>(reinterpret_cast<const uint8_t*>(&bits));
    }
};

float read_bf16(const uint8_t* p) { return static_cast<float>(read<BF16>(p)); }

float read_any(const uint8_t* p, Dtype type) {
    if (type == Dtype::u8) return *p;
    return type == Dtype::bf16 ? read_bf16(p) : read<float>(p);
}

float activated(float x, const Epilogue& e) {
    const float gate = std::min(std::max(x + 3.0f, 0.0f), 6.0f) / 6.0f;
    switch (e.act) {
        case Act::clamp: return std::min(std::max(x, e.minimum), e.maximum);
        case Act::hardswish: return x * gate;
        case Act::hardsigmoid: return gate;
        case Act::silu: return x / (1.0f + std::exp(-x));
        case Act::sigmoid: return 1.0f / (1.0f + std::exp(-x));
        case Act::tanh: return std::tanh(x);
        case Act::gelu: return 0.5f * x * (1.0f + std::erf(x * 0.70710678f));
        case Act::gelu_tanh: return 0.5f * x * (1.0f + std::tanh(0.79788456f * (x + 0.044715f * x * x * x)));
    }
    return x;
}

uint8_t quantized(float steps, float low, float high, int32_t zero_point) {
    const float inside = std::min(std::max(steps, low), high);
    return static_cast<uint8_t>(static_cast<int32_t>(std::nearbyint(inside)) + zero_point);
}

void write(float y, uint8_t* output, const Epilogue& e) {
    if (e.output_type == Dtype::u8) {
        if (e.act != Act::clamp) y = activated(y, e) * e.inverse_step;
        *output = quantized(y, e.low, e.high, e.zero_point);
        return;
    }
    y = activated(y, e);
    if (e.output_type == Dtype::f32) {
        std::memcpy(output, &y, 4);
    } else {
        const BF16 half(y);
        std::memcpy(output, &half, 2);
    }
}

// sum has no bias yet; channel indexes the per-channel arrays.
template <class Sum>
void finish(Sum sum, int64_t position, int64_t channel, uint8_t* output, const uint8_t* residual, const Epilogue& e) {
    output += channel * bytes_of(e.output_type);
    if (e.output_type == Dtype::i32) {
        std::memcpy(output, &sum, 4);
        return;
    }
    float y = static_cast<float>(sum) * e.scale[position] + e.bias[position];
    if (e.residual_type != Dtype::none) {
        y += read_any(residual + channel * bytes_of(e.residual_type), e.residual_type) * e.residual_scale;
    }
    write(y, output, e);
}

enum class Product { u8s8, f32, bf16 };

template <Product kProduct>
auto group_product(const uint8_t* x, const uint8_t* w) {
    if constexpr (kProduct == Product::u8s8) {
        int32_t sum = 0;
        for (int i = 0; i < 4; ++i) sum += static_cast<int32_t>(x[i]) * static_cast<int8_t>(w[i]);
        return sum;
    } else if constexpr (kProduct == Product::f32) {
        return read<float>(x) * read<float>(w);
    } else {
        return read_bf16(x) * read_bf16(w) + read_bf16(x + 2) * read_bf16(w + 2);
    }
}

template <Product kProduct, int M, int NB>
void conv_line(const ConvArgs& a) {
    for (int64_t pixel = 0; pixel < M * a.tiles; ++pixel) {
        for (int64_t channel = 0; channel < a.channels; ++channel) {
            decltype(group_product<kProduct>(nullptr, nullptr)) sum = 0;
            if constexpr (kProduct == Product::u8s8) sum = a.start[channel];
            const uint8_t* w = a.weights + channel * 4;
            for (int64_t run = 0; run < a.runs; ++run) {
                const uint8_t* x = a.input + pixel * a.pixel_stride + a.run_offsets[run];
                for (int64_t group = 0; group < a.groups; ++group, x += 4, w += NB * kLanes * 4) {
                    sum += group_product<kProduct>(x, w);
                }
            }
            finish(sum, channel, channel, a.output + pixel * a.output_stride, a.residual + pixel * a.residual_stride,
                   a.epilogue);
        }
    }
}

template <Product kProduct, int M, int NB>
void conv_tile(const ConvArgs& a) {
    ConvArgs line = a;
    for (int64_t i = 0; i < a.lines; ++i) {
        conv_line<kProduct, M, NB>(line);
        line.input += a.input_line;
        line.output += a.output_line;
        line.residual += a.residual_line;
    }
}

void depthwise_row_u8s8(const DepthwiseArgs& a) {
    const int64_t groups = (a.taps + 3) / 4;
    for (int64_t pixel = 0; pixel < a.pixels; ++pixel) {
        for (int64_t c = 0; c < a.channels; ++c) {
            const int64_t block = c / kDepthwiseBlock, lane = c % kDepthwiseBlock;
            int32_t sum = a.start[c];
            for (int64_t tap = 0; tap < a.taps; ++tap) {
                const int64_t at = ((block * groups + tap / 4) * kDepthwiseBlock + lane) * 4 + tap % 4;
                sum += a.input[pixel * a.pixel_stride + a.tap_offsets[tap] + c] * static_cast<int8_t>(a.weights[at]);
            }
            finish(sum, c, c, a.output + pixel * a.output_stride, a.residual + pixel * a.residual_stride, a.epilogue);
        }
    }
}

void depthwise_row_f32(const DepthwiseArgs& a) {
    for (int64_t pixel = 0; pixel < a.pixels; ++pixel) {
        for (int64_t c = 0; c < a.channels; ++c) {
            float sum = 0;
            for (int64_t tap = 0; tap < a.taps; ++tap) {
                const int64_t at = (c / kLanes * a.taps + tap) * kLanes + c % kLanes;
                sum += read<float>(a.input + pixel * a.pixel_stride + a.tap_offsets[tap], c) * read<float>(a.weights, at);
            }
            finish(sum, c, c, a.output + pixel * a.output_stride, a.residual + pixel * a.residual_stride, a.epilogue);
        }
    }
}

template <void (*kRow)(const DepthwiseArgs&)>
void depthwise(const DepthwiseArgs& a) {
    DepthwiseArgs one = a;
    for (int64_t row = 0; row < a.rows; ++row) {
        kRow(one);
        one.input += a.input_row;
        one.output += a.output_row;
        one.residual += a.residual_row;
    }
}

template <class T, class Sum, class Step, class Last>
void pool(const PoolArgs& a, Sum first, Step step, Last last) {
    for (int64_t pixel = 0; pixel < a.pixels; ++pixel) {
        for (int64_t c = 0; c < a.channels; ++c) {
            Sum sum = first;
            for (int64_t y = 0; y < a.height; ++y) {
                for (int64_t x = 0; x < a.width; ++x) {
                    const uint8_t* p = a.input + pixel * a.window_stride + y * a.row_stride + x * a.pixel_stride;
                    sum = step(sum, static_cast<Sum>(read<T>(p, c)));
                }
            }
            const T result(last(sum));
            std::memcpy(a.output + pixel * a.output_stride + c * static_cast<int64_t>(sizeof(T)), &result, sizeof(T));
        }
    }
}

void max_pool_u8(const PoolArgs& a) {
    pool<uint8_t>(a, 0, [](int32_t m, int32_t v) { return std::max(m, v); },
                  [](int32_t m) { return static_cast<uint8_t>(m); });
}
template <class T>
void max_pool_floats(const PoolArgs& a) {
    pool<T>(a, -std::numeric_limits<float>::infinity(), [](float m, float v) { return std::max(m, v); },
            [](float m) { return m; });
}
void average_pool_u8(const PoolArgs& a) {
    pool<uint8_t>(a, 0, [](int32_t s, int32_t v) { return s + v; }, [&](int32_t s) {
        const float low = static_cast<float>(-a.zero_point), high = static_cast<float>(255 - a.zero_point);
        return quantized(static_cast<float>(s) * a.scale + a.bias, low, high, a.zero_point);
    });
}
template <class T>
void average_pool_floats(const PoolArgs& a) {
    pool<T>(a, 0.0f, [](float s, float v) { return s + v; }, [&](float s) { return s * a.scale; });
}

void elementwise(const ElementwiseArgs& a) {
    for (int64_t i = 0; i < a.count; ++i) {
        float y = read_any(a.a + i * bytes_of(a.a_type), a.a_type) * a.a_scale + a.bias;
        if (a.b_type != Dtype::none) {
            const float other = read_any(a.b + i * bytes_of(a.b_type), a.b_type) * a.b_scale;
            y = a.multiply ? y * (other + a.b_bias) : y + other;
        }
        write(y, a.output + i * bytes_of(a.epilogue.output_type), a.epilogue);
    }
}

void planes_to_bytes(const PlanesArgs& a) {
    const int64_t size = a.channels == 1 ? 1 : 4;
    for (int64_t row = 0; row < a.rows; ++row) {
        for (int64_t pixel = 0; pixel < a.pixels; ++pixel) {
            for (int64_t c = 0; c < size; ++c) {
                uint8_t* to = a.output + row * a.output_row + pixel * size + c;
                const uint8_t* plane = a.input + row * a.input_row + c * a.plane_stride;
                if (c < a.channels) write(read<float>(plane, pixel) * a.scale, to, a.epilogue);
                else *to = 0;
            }
        }
    }
}

void layer_norm(const RowArgs& a) {
    for (int64_t pixel = 0; pixel < a.pixels; ++pixel) {
        const uint8_t* x = a.input + pixel * a.input_stride;
        uint8_t* to = a.output + pixel * a.output_stride;
        double sum = 0, squares = 0;
        for (int64_t c = 0; c < a.channels; ++c) sum += read<float>(x, c);
        const double mean = sum / static_cast<double>(a.channels);
        for (int64_t c = 0; c < a.channels; ++c) squares += (read<float>(x, c) - mean) * (read<float>(x, c) - mean);
        const double gain = 1 / std::sqrt(squares / static_cast<double>(a.channels) + static_cast<double>(a.epsilon));
        for (int64_t c = 0; c < a.channels; ++c) {
            const auto y = static_cast<float>((read<float>(x, c) - mean) * gain);
            write(y * a.epilogue.scale[c] + a.epilogue.bias[c], to + c * bytes_of(a.epilogue.output_type), a.epilogue);
        }
    }
}

void group_norm(const GroupArgs& a) {
    auto each = [&](auto take) {
        for (int64_t y = 0; y < a.height; ++y) {
            for (int64_t x = 0; x < a.width; ++x) {
                for (int64_t c = 0; c < a.channels; ++c) {
                    const float value = read<float>(a.input + y * a.input_row + x * a.input_pixel, c);
                    take(value, c, a.output + y * a.output_row + x * a.output_pixel);
                }
            }
        }
    };
    const auto count = static_cast<double>(a.height * a.width * a.channels);
    double sum = 0, squares = 0;
    each([&](float x, int64_t, uint8_t*) { sum += x; });
    const double mean = sum / count;
    each([&](float x, int64_t, uint8_t*) { squares += (x - mean) * (x - mean); });
    const double gain = 1 / std::sqrt(squares / count + static_cast<double>(a.epsilon));
    each([&](float x, int64_t c, uint8_t* to) {
        const float y = static_cast<float>((x - mean) * gain) * a.epilogue.scale[c] + a.epilogue.bias[c];
        write(y, to + c * bytes_of(a.epilogue.output_type), a.epilogue);
    });
}

// exp((x − max) · scale) in place; returns the sum.
float exponentials(float* x, int64_t count, float scale) {
    const float most = *std::max_element(x, x + count);
    float sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += x[i] = std::exp((x[i] - most) * scale);
    return sum;
}

void softmax(const RowArgs& a) {
    for (int64_t pixel = 0; pixel < a.pixels; ++pixel) {
        auto* y = reinterpret_cast<float*>(a.output + pixel * a.output_stride);
        std::memmove(y, a.input + pixel * a.input_stride, static_cast<size_t>(a.channels) * 4);
        const float sum = exponentials(y, a.channels, 1.0f);
        for (int64_t c = 0; c < a.channels; ++c) y[c] /= sum;
    }
}

void quantize_rows(const QuantizeRowsArgs& a) {
    for (int64_t pixel = 0; pixel < a.pixels; ++pixel) {
        const uint8_t* x = a.input + pixel * a.input_stride;
        float lowest = 0, highest = 0;
        for (int64_t c = 0; c < a.channels; ++c) {
            lowest = std::min(lowest, read<float>(x, c));
            highest = std::max(highest, read<float>(x, c));
        }
        const RowRange range = a.ranges[pixel] = range_of(lowest, highest);
        for (int64_t c = 0; c < a.channels; ++c) {
            const float steps = read<float>(x, c) * (1 / range.step), zero_point = range.zero_point;
            const uint8_t q = quantized(steps, -zero_point, 255 - zero_point, static_cast<int32_t>(zero_point));
            a.output[pixel * a.output_stride + c] = q;
        }
    }
}

void rescale_rows(const RescaleRowsArgs& a) {
    for (int64_t pixel = 0; pixel < a.pixels; ++pixel) {
        const RowRange& range = a.ranges[pixel];
        const auto zero_point = static_cast<int32_t>(range.zero_point);
        Epilogue e = a.epilogue;
        for (int64_t c = 0; c < a.channels; ++c) {
            const int32_t sum = read<int32_t>(a.input + pixel * a.input_stride, c) - zero_point * a.weight_sums[c];
            const float scale = range.step * a.epilogue.scale[c];
            e.scale = &scale;
            e.bias = a.epilogue.bias + c;
            finish(sum, 0, c, a.output + pixel * a.output_stride, a.residual + pixel * a.residual_stride, e);
        }
    }
}

template <int kBits>
int32_t weight_at(uint8_t byte, int64_t place) {
    if constexpr (kBits == 8) return static_cast<int8_t>(byte);
    const int32_t code = byte >> place * kBits & ((1 << kBits) - 1);
    return kBits == 1 ? 2 * code - 1 : code - (1 << (kBits - 1));
}

template <int kBits>
void weight_only(const WeightOnlyArgs& a) {
    constexpr int64_t kPlaces = 8 / kBits;
    const int64_t group_lines = (a.group + kPlaces - 1) / kPlaces;
    for (int64_t row = 0; row < a.rows; ++row) {
        for (int64_t c = 0; c < a.channels; ++c) {
            float total = 0;
            for (int64_t group = 0; group * a.group < a.inputs; ++group) {
                float sum = 0;
                for (int64_t i = 0; i < a.group && group * a.group + i < a.inputs; ++i) {
                    const uint8_t byte = a.weights[(group * group_lines + i / kPlaces) * kWeightOnlyBlock + c];
                    const int32_t weight = weight_at<kBits>(byte, i % kPlaces);
                    const int64_t place = a.order[group * a.group + i];
                    sum += read<float>(a.input + row * a.input_stride, place) * static_cast<float>(weight);
                }
                total += sum * a.group_scales[group * kWeightOnlyBlock + c];
            }
            finish(total, c, c, a.output + row * a.output_stride, a.residual + row * a.residual_stride, a.epilogue);
        }
    }
}

// Of one gate of a unit, whose weights lie in the given one of so many lanes.
template <class Weight>
float sum_of_floats(const RecurrentArgs& a, int64_t row, int64_t lanes, int64_t lane) {
    float sum = 0;
    for (int64_t i = 0; i < a.inputs; ++i) {
        sum += read<float>(a.state + row * a.state_stride, i) * static_cast<float>(read<Weight>(a.weights, i * lanes + lane));
    }
    return sum;
}

float sum_of_bytes(const RecurrentArgs& a, int64_t row, int64_t lanes, int64_t lane) {
    int32_t sum = a.inputs ? a.start[lane] : 0;
    for (int64_t i = 0; i < a.inputs; ++i) {
        const int32_t state = a.state_bytes[row * a.bytes_stride + i];
        sum += state * read<int8_t>(a.weights, (i / 4 * lanes + lane) * 4 + i % 4);
    }
    return static_cast<float>(sum);
}

template <Cell kCell, class Weight, bool kBytes = false>
void recurrent(const RecurrentArgs& a) {
    constexpr int64_t kGates = kCell == Cell::gru ? 3 : 4;
    const auto sigmoid = [](float x) { return 1.0f / (1.0f + std::exp(-x)); };
    for (int64_t row = 0; row < a.rows; ++row) {
        for (int64_t unit = 0; unit < a.units; ++unit) {
            float x[kGates], s[kGates];
            for (int64_t gate = 0; gate < kGates; ++gate) {
                const int64_t lane = gate * kRecurrentBlock + unit;
                const float sum = kBytes ? sum_of_bytes(a, row, kGates * kRecurrentBlock, lane)
                                         : sum_of_floats<Weight>(a, row, kGates * kRecurrentBlock, lane);
                x[gate] = read<float>(a.input + row * a.input_stride, gate * a.hidden + unit);
                s[gate] = a.scale[lane] * sum + a.bias[lane];
            }
            float made;
            if constexpr (kCell == Cell::gru) {
                const float before = a.inputs ? read<float>(a.state + row * a.state_stride, a.first + unit) : 0;
                const float z = sigmoid(x[1] + s[1]), n = std::tanh(x[2] + sigmoid(x[0] + s[0]) * s[2]);
                made = (1 - z) * n + z * before;
            } else {
                uint8_t* memory = a.memory + row * a.memory_stride + unit * 4;
                const float before = a.inputs ? read<float>(memory) : 0;
                const float kept = sigmoid(x[1] + s[1]) * before + sigmoid(x[0] + s[0]) * std::tanh(x[2] + s[2]);
                std::memcpy(memory, &kept, 4);
                made = sigmoid(x[3] + s[3]) * std::tanh(kept);
            }
            std::memcpy(a.output + row * a.output_stride + unit * 4, &made, 4);
            if constexpr (kBytes) {
                const auto steps = static_cast<int32_t>(std::nearbyint(made * state_steps));
                a.output_bytes[row * a.bytes_stride + unit] = static_cast<uint8_t>(steps + state_zero_point);
            }
        }
    }
}

template <bool kHalves>
void attention(const AttentionArgs& a) {
    const auto rounded = [](float x) { return kHalves ? static_cast<float>(BF16(x)) : x; };
    for (int64_t row = 0; row < a.queries; ++row) {
        const int64_t seen = a.causal ? std::min(row + 1, a.keys) : a.keys;
        for (int64_t key = 0; key < seen; ++key) {
            float sum = 0;
            for (int64_t i = 0; i < a.size; ++i) {
                const float x = rounded(read<float>(a.query + row * a.query_stride, i));
                sum += x * rounded(read<float>(a.key + key * a.key_stride, i));
            }
            a.scratch[key] = sum;
        }
        const float step = mask_scores(a, row, seen, a.scratch) ? a.epilogue.inverse_step : 0.0f;
        const float gain = step / exponentials(a.scratch, seen, a.scale);
        for (int64_t c = 0; c < a.value_size; ++c) {
            float sum = 0;
            for (int64_t key = 0; key < seen; ++key) {
                sum += rounded(a.scratch[key]) * rounded(read<float>(a.value + key * a.value_stride, c));
            }
            write(sum * gain, a.output + row * a.output_stride + c * bytes_of(a.epilogue.output_type), a.epilogue);
        }
    }
}

template <Product kProduct, int NB, int... M>
void fill(ConvKernels& kernels, std::integer_sequence<int, M...>) {
    ((kernels.tile[NB - 1][M] = conv_tile<kProduct, M + 1, NB>), ...);
}
template <Product kProduct>
ConvKernels conv_kernels(const char* name) {
    ConvKernels kernels;
    kernels.name = name;
    kernels.lanes = kLanes;
    fill<kProduct, 1>(kernels, std::make_integer_sequence<int, 3>{});
    fill<kProduct, 2>(kernels, std::make_integer_sequence<int, 2>{});
    return kernels;
}

int32_t read(const uint8_t* memory, int64_t bytes) {
    int32_t sum = 0;
    for (int64_t at = 0; at < bytes; ++at) sum += memory[at];
    return sum;
}

}  // namespace

const KernelTable& kernels_reference() {
    static const KernelTable table = [] {
        KernelTable t{};
        t.isa = "reference";
        t.conv_u8s8 = conv_kernels<Product::u8s8>("conv_u8s8_reference");
        t.conv_f32 = conv_kernels<Product::f32>("conv_f32_reference");
        t.conv_bf16 = conv_kernels<Product::bf16>("conv_bf16_reference");
        t.depthwise_u8s8_name = "depthwise_u8s8_reference";
        t.depthwise_f32_name = "depthwise_f32_reference";
        t.depthwise_u8s8_block = kDepthwiseBlock;
        t.depthwise_f32_block = kLanes;
        t.depthwise_position = [](int channel) { return channel; };
        t.depthwise_u8s8 = depthwise<depthwise_row_u8s8>;
        t.depthwise_f32 = depthwise<depthwise_row_f32>;
        t.max_pool_u8 = max_pool_u8;
        t.max_pool_f32 = max_pool_floats<float>;
        t.max_pool_bf16 = max_pool_floats<BF16>;
        t.average_pool_u8 = average_pool_u8;
        t.average_pool_f32 = average_pool_floats<float>;
        t.average_pool_bf16 = average_pool_floats<BF16>;
        t.elementwise = elementwise;
        t.planes_to_bytes = planes_to_bytes;
        t.layer_norm = layer_norm;
        t.softmax = softmax;
        t.quantize_rows = quantize_rows;
        t.rescale_rows = rescale_rows;
        t.weight_only_block = kWeightOnlyBlock;
        t.weight_only_s8 = weight_only<8>;
        t.weight_only_s4 = weight_only<4>;
        t.weight_only_s2 = weight_only<2>;
        t.weight_only_s1 = weight_only<1>;
        t.recurrent_block = kRecurrentBlock;
        t.gru_f32 = recurrent<Cell::gru, float>;
        t.gru_f32s8 = recurrent<Cell::gru, int8_t>;
        t.gru_u8s8 = recurrent<Cell::gru, int8_t, true>;
        t.lstm_f32 = recurrent<Cell::lstm, float>;
        t.lstm_f32s8 = recurrent<Cell::lstm, int8_t>;
        t.lstm_u8s8 = recurrent<Cell::lstm, int8_t, true>;
        t.group_norm = group_norm;
        t.attention = attention<false>;
        t.attention_bf16 = attention<true>;
        t.read = read;
        return t;
    }();
    return table;
}

}  // namespace wb
