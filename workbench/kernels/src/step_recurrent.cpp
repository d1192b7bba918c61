// GRU and LSTM layers from their input's projections on, in one direction or both: one time step after the other. The
// states are kept where they go anyway, in the output; where products are of bytes, those of the step before and of this
// one beside it as bytes.
#include <numeric>

#include "steps.h"

namespace wb {
namespace {

struct RecurrentShape {
    Cell cell;
    int64_t directions;
    bool weight_bytes, state_bytes;  // in eight bits
    int64_t hidden;

    int64_t gates() const { return cell == Cell::gru ? 3 : 4; }
    int64_t group() const { return state_bytes ? 4 : 1; }  // units before whose weights lie side by side
    int64_t inputs() const { return (hidden + group() - 1) / group() * group(); }
};

class RecurrentStep final : public Step {
public:
    RecurrentStep(const KernelTable& kernels, const Tensor& input, const Tensor& output, const Tensor* memory,
                  const Tensor* bytes, const RecurrentShape& shape, Record& record)
        : kernel_(kernel_of(kernels, shape)), name_(name_of(kernels, shape)), input_(input), output_(output), shape_(shape),
          block_(kernels.recurrent_block), blocks_((shape.hidden + block_ - 1) / block_) {
        if (memory) memory_ = *memory;
        if (bytes) bytes_ = *bytes;
        const auto& weights = record.array();
        const auto& scale = record.array();
        const auto& bias = record.array();
        pack(weights, scale, bias);
        if (shape.state_bytes) sum_weights(weights, state_zero_point - kernels.activation_offset);
    }

    int64_t tasks(int64_t batch) const override { return batch; }

    void run(const Frame& frame, int64_t begin, int64_t end) const override {
        for (int64_t direction = 0; direction < shape_.directions; ++direction) {
            for (int64_t round = 0; round < rounds(); ++round) {
                for (int64_t block = 0; block < blocks_; ++block) run_block(frame, round, direction, block, begin, end);
            }
        }
    }

    // Threads share the units of a time step: each reads its own part of the weights.
    int64_t rounds() const override { return output_.height; }
    void run_round(const Frame& frame, int64_t round, int64_t share, int64_t shares) const override {
        const int64_t all = shape_.directions * blocks_;
        for (int64_t task = all * share / shares; task < all * (share + 1) / shares; ++task) {
            run_block(frame, round, task / blocks_, task % blocks_, 0, frame.batch);
        }
    }

    std::string kernel() const override { return name_; }

private:
    using Kernel = void (*)(const RecurrentArgs&);
    static Kernel kernel_of(const KernelTable& kernels, const RecurrentShape& shape) {
        const bool gru = shape.cell == Cell::gru;
        if (shape.state_bytes) return gru ? kernels.gru_u8s8 : kernels.lstm_u8s8;
        if (shape.weight_bytes) return gru ? kernels.gru_f32s8 : kernels.lstm_f32s8;
        return gru ? kernels.gru_f32 : kernels.lstm_f32;
    }
    static std::string name_of(const KernelTable& kernels, const RecurrentShape& shape) {
        const char* factors = shape.state_bytes ? "_u8s8_" : shape.weight_bytes ? "_f32s8_" : "_f32_";
        return std::string(shape.cell == Cell::gru ? "gru" : "lstm") + factors + kernels.isa;
    }

    void run_block(const Frame& frame, int64_t round, int64_t direction, int64_t block, int64_t begin, int64_t end) const {
        const bool forward = direction == 0;
        const int64_t step = forward ? round : rounds() - 1 - round, before = forward ? step - 1 : step + 1;
        const int64_t unit = block * block_, own = direction * shape_.hidden, packed = direction * blocks_ + block;
        const int64_t lane = packed * shape_.gates() * block_;
        RecurrentArgs a{};
        a.input = frame.at(input_, begin) + step * input_.row_pitch + (own * shape_.gates() + unit) * 4;
        a.input_stride = frame.stride(input_);
        a.inputs = round == 0 ? 0 : shape_.inputs();
        if (round > 0) a.state = frame.at(output_, begin) + before * output_.row_pitch + own * 4;
        a.state_stride = a.output_stride = frame.stride(output_);
        a.weights = weights_.data() + packed * block_bytes();
        a.scale = scale_.as<float>() + lane;
        a.bias = bias_.as<float>() + lane;
        a.output = frame.at(output_, begin) + step * output_.row_pitch + (own + unit) * 4;
        if (shape_.state_bytes) {
            uint8_t* bytes = frame.at(bytes_, begin) + direction * shape_.inputs();
            a.state_bytes = bytes + (round + 1) % 2 * bytes_.row_pitch;
            a.output_bytes = bytes + round % 2 * bytes_.row_pitch + unit;
            a.bytes_stride = frame.stride(bytes_);
            a.start = start_.as<int32_t>() + lane;
        }
        if (shape_.cell == Cell::lstm) {
            a.memory = frame.at(memory_, begin) + (own + unit) * 4;
            a.memory_stride = frame.stride(memory_);
        }
        a.hidden = shape_.hidden;
        a.first = unit;
        a.units = std::min(block_, shape_.hidden - unit);
        a.rows = end - begin;
        kernel_(a);
    }

    int64_t weight_size() const { return shape_.weight_bytes ? 1 : 4; }
    int64_t block_bytes() const { return shape_.inputs() * shape_.gates() * block_ * weight_size(); }

    // Where what belongs to a gate of a unit is packed: its block, and its lane there. `row`: among [direction][gate][unit].
    int64_t block_of(int64_t row) const { return row / shape_.hidden / shape_.gates() * blocks_ + row % shape_.hidden / block_; }
    int64_t lane_of(int64_t row) const { return row / shape_.hidden % shape_.gates() * block_ + row % shape_.hidden % block_; }

    // weights: [direction][gate][unit][unit of the state before]; scale and bias: [direction][gate][unit].
    void pack(const std::vector<uint8_t>& weights, const std::vector<uint8_t>& scale, const std::vector<uint8_t>& bias) {
        const int64_t hidden = shape_.hidden, gates = shape_.gates(), size = weight_size();
        const auto rows = static_cast<size_t>(shape_.directions * gates * hidden);
        if (weights.size() != rows * static_cast<size_t>(hidden * size) || scale.size() != rows * 4 || bias.size() != rows * 4) {
            throw BuildError("a recurrent layer's arrays don't have the size its shape says");
        }
        const int64_t packed = shape_.directions * blocks_;
        weights_ = Buffer(packed * block_bytes());
        scale_ = Buffer(packed * gates * block_ * 4);
        bias_ = Buffer(packed * gates * block_ * 4);
        for (int64_t row = 0; row < static_cast<int64_t>(rows); ++row) {
            const int64_t block = block_of(row), lane = lane_of(row), at = block * gates * block_ + lane;
            std::memcpy(scale_.as<float>() + at, scale.data() + row * 4, 4);
            std::memcpy(bias_.as<float>() + at, bias.data() + row * 4, 4);
            for (int64_t i = 0; i < hidden; ++i) {
                const int64_t group = shape_.group(), within = (i / group * gates * block_ + lane) * group + i % group;
                uint8_t* to = weights_.data() + block * block_bytes() + within * size;
                std::memcpy(to, weights.data() + (row * hidden + i) * size, static_cast<size_t>(size));
            }
        }
    }

    // What sums of products begin with: minus so many times the weights.
    void sum_weights(const std::vector<uint8_t>& weights, int32_t times) {
        const int64_t lanes = shape_.gates() * block_, hidden = shape_.hidden;
        start_ = Buffer(shape_.directions * blocks_ * lanes * 4);
        for (int64_t row = 0; row < shape_.directions * shape_.gates() * hidden; ++row) {
            const auto* first = reinterpret_cast<const int8_t*>(weights.data() + row * hidden);
            start_.as<int32_t>()[block_of(row) * lanes + lane_of(row)] = -times * std::accumulate(first, first + hidden, 0);
        }
    }

    Kernel kernel_;
    std::string name_;
    Tensor input_, output_, memory_{}, bytes_{};
    RecurrentShape shape_;
    int64_t block_, blocks_;
    Buffer weights_, scale_, bias_, start_;
};

bool holds_bytes(const Tensor& bytes, const RecurrentShape& shape) {
    return bytes.dtype == Dtype::u8 && bytes.height == 2 && bytes.width == 1 &&
           bytes.channels == shape.directions * shape.inputs();
}

}  // namespace

std::unique_ptr<Step> make_recurrent(const KernelTable& kernels, const Tensors& tensors, Record& record) {
    const Tensor* input = tensor_of(tensors, record);
    const Tensor* output = tensor_of(tensors, record);
    const Tensor* memory = tensor_of(tensors, record, true);
    const Tensor* bytes = tensor_of(tensors, record, true);
    RecurrentShape shape{};
    shape.cell = static_cast<Cell>(record.integer());
    shape.directions = record.integer();
    const int64_t bits = record.integer();
    if (shape.cell != Cell::gru && shape.cell != Cell::lstm) throw BuildError("a recurrent layer of an unknown cell");
    if (bits != 32 && bits != 8) throw BuildError("a recurrent layer's weights: floats, or 8 bits");
    if (shape.directions < 1 || shape.directions > 2 || output->channels % shape.directions) {
        throw BuildError("a recurrent layer's units don't divide into its directions");
    }
    if (bytes && bits != 8) throw BuildError("a recurrent layer multiplies states in bytes by weights in bytes");
    shape.weight_bytes = bits == 8;
    shape.state_bytes = bytes != nullptr;
    shape.hidden = output->channels / shape.directions;
    const bool floats = input->dtype == Dtype::f32 && output->dtype == Dtype::f32;
    const bool fits = input->height == output->height && input->width == 1 && output->width == 1 &&
                      input->channels == output->channels * shape.gates();
    const bool remembers = memory && memory->dtype == Dtype::f32 && memory->one_pixel() && memory->channels == output->channels;
    if (!floats || !fits || (shape.cell == Cell::lstm && !remembers) || (bytes && !holds_bytes(*bytes, shape))) {
        throw BuildError("a recurrent layer's tensors don't fit");
    }
    return std::make_unique<RecurrentStep>(kernels, *input, *output, memory, bytes, shape, record);
}

}  // namespace wb
