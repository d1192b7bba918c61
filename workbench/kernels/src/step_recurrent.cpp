// GRU and LSTM layers from their input's projections on, in one direction or both: one time step after the other. The
// states are kept where they go anyway, in the output.
#include "steps.h"

namespace wb {
namespace {

struct RecurrentShape {
    Cell cell;
    int64_t directions;
    bool bytes;  // weights in eight bits
    int64_t hidden;

    int64_t gates() const { return cell == Cell::gru ? 3 : 4; }
};

class RecurrentStep final : public Step {
public:
    RecurrentStep(const KernelTable& kernels, const Tensor& input, const Tensor& output, const Tensor* memory,
                  const RecurrentShape& shape, Record& record)
        : kernel_(kernel_of(kernels, shape)), name_(name_of(kernels, shape)), input_(input), output_(output), shape_(shape),
          block_(kernels.recurrent_block), blocks_((shape.hidden + block_ - 1) / block_) {
        if (memory) memory_ = *memory;
        const auto& weights = record.array();
        const auto& scale = record.array();
        const auto& bias = record.array();
        pack(weights, scale, bias);
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
        if (shape.cell == Cell::gru) return shape.bytes ? kernels.gru_f32s8 : kernels.gru_f32;
        return shape.bytes ? kernels.lstm_f32s8 : kernels.lstm_f32;
    }
    static std::string name_of(const KernelTable& kernels, const RecurrentShape& shape) {
        return std::string(shape.cell == Cell::gru ? "gru" : "lstm") + (shape.bytes ? "_f32s8_" : "_f32_") + kernels.isa;
    }

    void run_block(const Frame& frame, int64_t round, int64_t direction, int64_t block, int64_t begin, int64_t end) const {
        const bool forward = direction == 0;
        const int64_t step = forward ? round : rounds() - 1 - round, before = forward ? step - 1 : step + 1;
        const int64_t unit = block * block_, own = direction * shape_.hidden, packed = direction * blocks_ + block;
        const int64_t lane = packed * shape_.gates() * block_;
        RecurrentArgs a{};
        a.input = frame.at(input_, begin) + step * input_.row_pitch + (own * shape_.gates() + unit) * 4;
        a.input_stride = frame.stride(input_);
        a.inputs = round == 0 ? 0 : shape_.hidden;
        if (round > 0) a.state = frame.at(output_, begin) + before * output_.row_pitch + own * 4;
        a.state_stride = a.output_stride = frame.stride(output_);
        a.weights = weights_.data() + packed * block_bytes();
        a.scale = scale_.as<float>() + lane;
        a.bias = bias_.as<float>() + lane;
        a.output = frame.at(output_, begin) + step * output_.row_pitch + (own + unit) * 4;
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

    int64_t weight_size() const { return shape_.bytes ? 1 : 4; }
    int64_t block_bytes() const { return shape_.hidden * shape_.gates() * block_ * weight_size(); }

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
            const int64_t unit = row % hidden, gate = row / hidden % gates, direction = row / hidden / gates;
            const int64_t block = direction * blocks_ + unit / block_, lane = gate * block_ + unit % block_;
            const int64_t at = block * gates * block_ + lane;
            std::memcpy(scale_.as<float>() + at, scale.data() + row * 4, 4);
            std::memcpy(bias_.as<float>() + at, bias.data() + row * 4, 4);
            for (int64_t i = 0; i < hidden; ++i) {
                uint8_t* to = weights_.data() + block * block_bytes() + (i * gates * block_ + lane) * size;
                std::memcpy(to, weights.data() + (row * hidden + i) * size, static_cast<size_t>(size));
            }
        }
    }

    Kernel kernel_;
    std::string name_;
    Tensor input_, output_, memory_{};
    RecurrentShape shape_;
    int64_t block_, blocks_;
    Buffer weights_, scale_, bias_;
};

}  // namespace

std::unique_ptr<Step> make_recurrent(const KernelTable& kernels, const Tensors& tensors, Record& record) {
    const Tensor* input = tensor_of(tensors, record);
    const Tensor* output = tensor_of(tensors, record);
    const Tensor* memory = tensor_of(tensors, record, true);
    RecurrentShape shape{};
    shape.cell = static_cast<Cell>(record.integer());
    shape.directions = record.integer();
    const int64_t bits = record.integer();
    if (shape.cell != Cell::gru && shape.cell != Cell::lstm) throw BuildError("a recurrent layer of an unknown cell");
    if (bits != 32 && bits != 8) throw BuildError("a recurrent layer's weights: floats, or 8 bits");
    if (shape.directions < 1 || shape.directions > 2 || output->channels % shape.directions) {
        throw BuildError("a recurrent layer's units don't divide into its directions");
    }
    shape.bytes = bits == 8;
    shape.hidden = output->channels / shape.directions;
    const bool floats = input->dtype == Dtype::f32 && output->dtype == Dtype::f32;
    const bool fits = input->height == output->height && input->width == 1 && output->width == 1 &&
                      input->channels == output->channels * shape.gates();
    const bool remembers = memory && memory->dtype == Dtype::f32 && memory->one_pixel() && memory->channels == output->channels;
    if (!floats || !fits || (shape.cell == Cell::lstm && !remembers)) {
        throw BuildError("a recurrent layer's tensors don't fit");
    }
    return std::make_unique<RecurrentStep>(kernels, *input, *output, memory, shape, record);
}

}  // namespace wb
