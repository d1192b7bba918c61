// What a kernel is given and what every instruction set offers: plain pointers, strides and numbers.
// Kernels allocate nothing, start no threads and keep no state.
#pragma once
#include <algorithm>
#include <cstdint>

#include "row_range.h"

namespace wb {

// What Python says by numbers is made of lists of names, WB_…S(X), each in the order of its twin in records.py;
// binding.cpp tells Python the names, and a test compares them.
#define WB_MEMBER(name) name,
#define WB_DTYPES(X) X(u8) X(f32) X(bf16) X(i32)
#define WB_CELLS(X) X(gru) X(lstm)
#define WB_ACTS(X) X(clamp) X(hardswish) X(silu) X(gelu) X(gelu_tanh) X(sigmoid) X(tanh) X(hardsigmoid)

enum class Dtype : int64_t { WB_DTYPES(WB_MEMBER) none };  // none: of a residual or operand that isn't there

constexpr int64_t bytes_of(Dtype dtype) {
    return dtype == Dtype::u8 ? 1 : dtype == Dtype::bf16 ? 2 : dtype == Dtype::none ? 0 : 4;
}

enum class Act : int64_t { WB_ACTS(WB_MEMBER) };
enum class Cell : int64_t { WB_CELLS(WB_MEMBER) };

// What happens to an accumulator on its way to memory:
//   y = accumulator · scale[channel] + bias[channel] + residual · residual_scale
//   u8:         q = round(clamp(y, low, high)) + zero_point            (y is in output steps; Act::clamp)
//   u8, else:   q = round(clamp(act(y) · inverse_step, low, high)) + zero_point
//   f32, bf16:  act(y), where Act::clamp is min(max(y, minimum), maximum)
//   i32:        the accumulator as it is (the tests compare these bit for bit)
struct Epilogue {
    const float* scale;
    const float* bias;
    Dtype output_type;
    Dtype residual_type;
    float residual_scale;
    Act act;
    float minimum, maximum;
    float inverse_step;
    int32_t zero_point;
    float low, high;  // in output steps, the zero point not yet added
    bool within_int32;  // what any sum of bytes comes to in output steps is, even before its clamp
};

// `tiles` neighbouring tiles of M output pixels × (NB · lanes) output channels in each of `lines` image rows.
// The taps a pixel reads are `runs` stretches of memory of `groups` 4-byte groups each; stretch r starts
// run_offsets[r] bytes after the pixel's origin. Weights: [run][group][NB · lanes][4 bytes].
struct ConvArgs {
    const uint8_t* input;
    int64_t pixel_stride;
    const int64_t* run_offsets;
    int64_t runs;
    int64_t groups;
    const uint8_t* weights;
    const int32_t* start;  // u8: −(zero point − activation offset) · Σ weights, by channel
    uint8_t* output;
    int64_t output_stride;
    const uint8_t* residual;
    int64_t residual_stride;
    int64_t channels;  // valid ones of the NB · lanes
    int64_t tiles;
    int64_t lines;
    int64_t input_line, output_line, residual_line;  // from one output row to the next
    Epilogue epilogue;
};

// `rows` rows of `pixels` output pixels, all channels from `input` on. Weights and per-channel arrays are
// padded to whole vectors. Taps are byte offsets from a pixel's origin.
struct DepthwiseArgs {
    const uint8_t* input;
    int64_t pixel_stride;
    const int64_t* tap_offsets;
    int64_t taps;
    int64_t column_stride;  // of a 3 × 3 window whose weights are packed by column; 0: tap after tap
    const uint8_t* weights;
    const int32_t* start;
    uint8_t* output;
    int64_t output_stride;
    const uint8_t* residual;
    int64_t residual_stride;
    int64_t channels;
    int64_t pixels;
    int64_t rows;
    int64_t input_row, output_row, residual_row;  // from one output row to the next
    Epilogue epilogue;
};

// `pixels` pooling windows side by side, each `height` × `width` input pixels that are really there.
struct PoolArgs {
    const uint8_t* input;
    int64_t row_stride, pixel_stride;
    int64_t window_stride;  // from one window's origin to the next one's
    int64_t height, width;
    uint8_t* output;
    int64_t output_stride;
    int64_t channels;
    int64_t pixels;
    float scale, bias;  // average: y = Σ · scale + bias, in output steps where it is u8
    int32_t zero_point;
};

// count values: output = epilogue(a · a_scale + b · b_scale + bias); b may be absent (Dtype::none).
struct ElementwiseArgs {
    const uint8_t* a;
    const uint8_t* b;
    uint8_t* output;
    int64_t count;
    Dtype a_type, b_type;
    float a_scale, b_scale, bias;
    bool multiply;  // output = epilogue((a · a_scale + bias) · (b · b_scale + b_bias))
    float b_bias;
    Epilogue epilogue;
};

// `rows` rows of `pixels` pixels, from planes of floats side by side to bytes: epilogue(x · scale), a clamp into u8. One
// channel becomes a byte a pixel; two to four become four bytes, with 0 where there is no channel.
struct PlanesArgs {
    const uint8_t* input;
    int64_t plane_stride, input_row;
    uint8_t* output;
    int64_t output_row;
    int64_t channels;
    int64_t rows, pixels;
    float scale;
    Epilogue epilogue;
};

// `pixels` rows of `channels` floats each. Layer norm: (x − mean) / √(variance + epsilon), then the epilogue's scale
// and bias by channel and its ending. Softmax: floats, no epilogue.
struct RowArgs {
    const uint8_t* input;
    int64_t input_stride;
    uint8_t* output;
    int64_t output_stride;
    int64_t channels;
    int64_t pixels;
    float epsilon;
    Epilogue epilogue;
};

// `pixels` rows of floats to bytes, each in its own range, which is written down beside it.
struct QuantizeRowsArgs {
    const uint8_t* input;
    int64_t input_stride;
    uint8_t* output;
    int64_t output_stride;
    RowRange* ranges;
    int64_t channels;
    int64_t pixels;
};

// `pixels` rows of int32 sums of such bytes times weights: (sum − zero point · Σ weights) · step, then the epilogue.
struct RescaleRowsArgs {
    const uint8_t* input;
    int64_t input_stride;
    const RowRange* ranges;
    const int32_t* weight_sums;
    uint8_t* output;
    int64_t output_stride;
    const uint8_t* residual;
    int64_t residual_stride;
    int64_t channels;
    int64_t pixels;
    Epilogue epilogue;
};

// `rows` rows of floats times weights of one block of channels; input i of a row lies order[i] floats on. Each `group`
// of inputs has its own scale for each channel: Σ over groups of scale · Σ input · weight, then the epilogue.
struct WeightOnlyArgs {
    const uint8_t* input;
    int64_t input_stride;
    const int32_t* order;
    const uint8_t* weights;
    const float* group_scales;  // [group][channels of a block]
    int64_t inputs;
    int64_t group;
    uint8_t* output;
    int64_t output_stride;
    const uint8_t* residual;
    int64_t residual_stride;
    int64_t channels;  // valid ones of the block
    int64_t rows;
    Epilogue epilogue;
};

// One time step of a recurrent layer for a block of its units, in `rows` rows of a batch. With x[g] what enters gate g, and
// s[g] = scale[g] · Σ state · weights[g] + bias[g], gates and their order as in torch.nn.GRU and torch.nn.LSTM:
//   gru:  r = σ(x[0] + s[0]), z = σ(x[1] + s[1]), n = tanh(x[2] + r · s[2]); output = (1 − z) · n + z · state
//   lstm: i = σ(x[0] + s[0]), f = σ(x[1] + s[1]), g = tanh(x[2] + s[2]), o = σ(x[3] + s[3]);
//         memory = f · memory + i · g; output = o · tanh(memory)
// Where states are multiplied as bytes, such a byte is round(state · 127) + 128; what the products have of the 128 is taken
// off by `start`, and scale has the 1 / 127.
constexpr float state_steps = 127;
constexpr int32_t state_zero_point = 128;
struct RecurrentArgs {
    const uint8_t* input;  // floats: of gate 0 and the block's first unit; the next gate's are `hidden` floats on
    int64_t input_stride;  // from one row to the next
    const uint8_t* state;  // floats, all units of the step before
    int64_t state_stride;
    const uint8_t* state_bytes;  // the same as bytes, in groups of four; u8s8 alone, as all bytes here
    int64_t bytes_stride;
    int64_t inputs;  // `hidden`, or 0 at the first step, where state and memory are zero and aren't read
    const uint8_t* weights;  // [unit of the state][gate][unit of a block], floats or bytes; u8s8: [group][gate][unit][4]
    const int32_t* start;    // [gate][unit of a block]: −(128 − activation offset) · Σ weights
    const float* scale;      // [gate][unit of a block]
    const float* bias;
    uint8_t* output;  // floats, from the block's first unit on
    int64_t output_stride;
    uint8_t* output_bytes;
    uint8_t* memory;  // likewise; lstm alone
    int64_t memory_stride;
    int64_t hidden;  // all units
    int64_t first;   // the block's first one
    int64_t units;   // valid ones of the block
    int64_t rows;
};

// One group of channels over a whole image: (x − mean) / √(variance + epsilon), then as for layer norm. The epilogue's
// arrays begin at the group's first channel.
struct GroupArgs {
    const uint8_t* input;
    int64_t input_row, input_pixel;  // strides
    uint8_t* output;
    int64_t output_row, output_pixel;
    int64_t height, width, channels;
    float epsilon;
    Epilogue epilogue;
};

// One head: softmax(query · keyᵀ · scale) · value, all floats; row r of each lies r strides (bytes) on. Causal: query
// r sees the keys up to r. A mask is a float for each key: it shows those where it isn't 0, or is added to the scaled
// scores, where -infinity hides a key. A query that sees none gets zeros. The epilogue has no scale and bias; its
// inverse_step is multiplied in. The bf16 kernel rounds what goes into a product, the shares before they are divided by
// their sum, and sums in float.
struct AttentionArgs {
    const uint8_t *query, *key, *value, *mask;  // mask: null for none
    int64_t query_stride, key_stride, value_stride, mask_stride;
    uint8_t* output;
    int64_t output_stride;
    int64_t queries, keys;
    int64_t size, value_size;  // floats in a query and a key, and in a value
    float scale;               // > 0
    bool causal, mask_shows;
    float* scratch;  // attention_scratch() floats
    Epilogue epilogue;
};
constexpr int64_t attention_panel = 32;     // the most keys any instruction set puts side by side
constexpr int64_t max_attention_rows = 16;  // and the most rows of scores
constexpr int64_t whole_panels(int64_t columns) { return (columns + attention_panel - 1) / attention_panel * attention_panel; }
// Of either kernel: keys, or keys and values in half as many bytes with whole panels of features, and rows of scores.
constexpr int64_t attention_scratch(int64_t keys, int64_t size, int64_t value_size) {
    const int64_t rows = whole_panels(keys), packed = whole_panels(size), packed_values = whole_panels(value_size);
    const int64_t halves = (rows + max_attention_rows) * packed + rows * packed_values;
    return std::max(rows * size, halves / 2) + rows * max_attention_rows;
}

constexpr int max_blocks = 4;   // vectors of output channels in a tile (NB)
constexpr int max_pixels = 16;  // output pixels in a tile (M)

using ConvKernel = void (*)(const ConvArgs&);
struct ConvKernels {
    const char* name = nullptr;  // null: this instruction set has none for the type
    int64_t lanes = 0;
    ConvKernel tile[max_blocks][max_pixels] = {};  // [NB − 1][M − 1]; null above the register budget
    int64_t most_groups = 1;  // taken at once: a run is padded with zero weights until it divides into such steps
    // What a thread calls before tiles of so many pixels over runs of so many groups, and when it has done with
    // them; null where the processor needs no such thing.
    void (*configure)(int64_t pixels, int64_t groups) = nullptr;
    void (*release)() = nullptr;
};

struct KernelTable {
    const char* isa;
    int32_t activation_offset;  // what the u8s8 kernels take off activations to multiply them; `start` allows for it
    ConvKernels conv_u8s8, conv_f32, conv_bf16;
    const char* depthwise_u8s8_name;
    const char* depthwise_f32_name;
    bool depthwise_by_column;  // the u8 kernel takes 3 × 3 windows with their weights packed by column
    int64_t depthwise_u8s8_block;  // channels that one step of the depthwise u8 kernel takes
    int64_t depthwise_f32_block;
    int (*depthwise_position)(int channel);  // where a channel of a block sits in the u8 kernel's arrays
    void (*depthwise_u8s8)(const DepthwiseArgs&);
    void (*depthwise_f32)(const DepthwiseArgs&);
    void (*max_pool_u8)(const PoolArgs&);
    void (*max_pool_f32)(const PoolArgs&);
    void (*max_pool_bf16)(const PoolArgs&);
    void (*average_pool_u8)(const PoolArgs&);
    void (*average_pool_f32)(const PoolArgs&);
    void (*average_pool_bf16)(const PoolArgs&);
    void (*elementwise)(const ElementwiseArgs&);
    void (*planes_to_bytes)(const PlanesArgs&);
    void (*layer_norm)(const RowArgs&);
    void (*softmax)(const RowArgs&);
    void (*quantize_rows)(const QuantizeRowsArgs&);
    void (*rescale_rows)(const RescaleRowsArgs&);
    int64_t weight_only_block;  // channels whose weights lie side by side
    void (*weight_only_s8)(const WeightOnlyArgs&);
    void (*weight_only_s4)(const WeightOnlyArgs&);
    void (*weight_only_s2)(const WeightOnlyArgs&);
    void (*weight_only_s1)(const WeightOnlyArgs&);
    int64_t recurrent_block;  // units whose weights lie side by side
    void (*gru_f32)(const RecurrentArgs&);
    void (*gru_f32s8)(const RecurrentArgs&);  // weights in bytes
    void (*gru_u8s8)(const RecurrentArgs&);   // states in bytes too
    void (*lstm_f32)(const RecurrentArgs&);
    void (*lstm_f32s8)(const RecurrentArgs&);
    void (*lstm_u8s8)(const RecurrentArgs&);
    void (*group_norm)(const GroupArgs&);
    void (*attention)(const AttentionArgs&);
    void (*attention_bf16)(const AttentionArgs&);  // null where its products would be no faster, but for the reference
    int32_t (*read)(const uint8_t* memory, int64_t bytes);  // whole vectors from end to end: how fast memory can be
};

}  // namespace wb
