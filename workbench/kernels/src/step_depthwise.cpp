// Depthwise convolution: every channel by itself.
#include <algorithm>

#include "steps.h"

namespace wb {
namespace {

class DepthwiseStep final : public Step {
public:
    DepthwiseStep(const KernelTable& kernels, const Tensor& input, const Tensor& output, const Tensor* residual,
                  const Window& window, int64_t zero_point, Record& record)
        : kernels_(kernels), input_(input), output_(output), window_(window) {
        if (residual) residual_ = *residual;
        epilogue_ = read_epilogue(record, output, residual);
        plan_folding(residual);
        for (int64_t y = 0; y < window.height; ++y) {
            for (int64_t x = 0; x < window.width; ++x) {
                offsets_.push_back(y * window.dilation_y * input.row_pitch + x * window.dilation_x * input.pixel_pitch);
            }
        }
        const auto& weights = record.array();
        const auto& scale = record.array();
        const auto& bias = record.array();
        const auto channels = static_cast<size_t>(input.channels);
        if (weights.size() != channels * offsets_.size() * (is_u8() ? 1 : 4) || scale.size() != channels * 4 ||
            bias.size() != channels * 4) {
            throw BuildError("a depthwise convolution's arrays don't have the size its shape says");
        }
        const auto* scales = reinterpret_cast<const float*>(scale.data());
        const auto* biases = reinterpret_cast<const float*>(bias.data());
        pack(weights.data(), scales, biases, zero_point - kernels.activation_offset);
        const auto taps = static_cast<int64_t>(offsets_.size());
        epilogue_.within_int32 = within_int32(epilogue_, taps, scales, biases, input.channels);
    }

    int64_t tasks(int64_t batch) const override { return batch * output_.height; }

    void run(const Frame& frame, int64_t begin, int64_t end) const override {
        DepthwiseArgs a{};
        a.tap_offsets = offsets_.data();
        a.taps = static_cast<int64_t>(offsets_.size());
        a.column_stride = by_column() ? window_.dilation_x * input_.pixel_pitch : 0;
        a.weights = weights_.data();
        a.start = start_.as<int32_t>();
        a.epilogue = epilogue_;
        a.epilogue.scale = scale_.as<float>();
        a.epilogue.bias = bias_.as<float>();
        a.input_row = window_.stride_y * input_.row_pitch;
        a.output_row = output_.row_pitch;
        a.residual_row = residual_.row_pitch;
        for (int64_t task = begin; task < end; task += a.rows) {
            const int64_t image = task / output_.height, y = task % output_.height;
            a.rows = std::min({end - task, output_.height - y, kRowsTogether});
            a.input = frame.at(input_, image) + (y * window_.stride_y - window_.pad_y) * input_.row_pitch -
                      window_.pad_x * input_.pixel_pitch;
            a.pixel_stride = window_.stride_x * input_.pixel_pitch;
            a.output = frame.at(output_, image) + y * output_.row_pitch;
            a.output_stride = output_.pixel_pitch;
            if (epilogue_.residual_type != Dtype::none) {
                a.residual = frame.at(residual_, image) + y * residual_.row_pitch;
                a.residual_stride = residual_.pixel_pitch;
            }
            run_rows(a);
        }
    }

    std::string kernel() const override {
        return is_u8() ? kernels_.depthwise_u8s8_name : kernels_.depthwise_f32_name;
    }

private:
    // Enough that a kernel loads a block's weights seldom, few enough that the rows stay in the first cache.
    static constexpr int64_t kRowsTogether = 8;

    bool is_u8() const { return input_.dtype == Dtype::u8; }
    bool by_column() const {
        return is_u8() && kernels_.depthwise_by_column && window_.height == 3 && window_.width == 3;
    }

    // Narrow images would leave most of a vector empty. With stride 1 and nothing between pixels, neighbours are
    // taken as more channels with the same weights: a 16-channel row in steps of four pixels.
    void plan_folding(const Tensor* residual) {
        const int64_t block = is_u8() ? kernels_.depthwise_u8s8_block : kernels_.depthwise_f32_block;
        auto close = [](const Tensor& t) { return t.pixel_pitch == t.channels * bytes_of(t.dtype); };
        const bool possible = window_.stride_x == 1 && block % input_.channels == 0 && close(input_) &&
                              close(output_) && (!residual || close(*residual));
        fold_ = possible ? block / input_.channels : 1;
    }

    void run_rows(DepthwiseArgs& a) const {
        const auto kernel = is_u8() ? kernels_.depthwise_u8s8 : kernels_.depthwise_f32;
        a.channels = input_.channels * fold_;
        a.pixels = output_.width / fold_;
        a.pixel_stride *= fold_;
        a.output_stride *= fold_;
        a.residual_stride *= fold_;
        if (a.pixels > 0) kernel(a);
        const int64_t rest = output_.width % fold_;
        if (rest == 0) return;
        a.input += a.pixels * a.pixel_stride;
        a.output += a.pixels * a.output_stride;
        a.residual += a.pixels * a.residual_stride;
        a.channels = input_.channels * rest;
        a.pixels = 1;
        kernel(a);
    }

    void pack(const uint8_t* weights, const float* scale, const float* bias, int64_t zero_point) {
        const int64_t block = is_u8() ? kernels_.depthwise_u8s8_block : kernels_.depthwise_f32_block;
        const auto taps = static_cast<int64_t>(offsets_.size());
        const int64_t channels = input_.channels * fold_;
        const int64_t blocks = (channels + block - 1) / block, tap_groups = by_column() ? 3 : (taps + 3) / 4;
        weights_ = Buffer(blocks * block * (is_u8() ? tap_groups * 4 : taps * 4));
        start_ = Buffer(blocks * block * 4);
        scale_ = Buffer(blocks * block * 4);
        bias_ = Buffer(blocks * block * 4);
        for (int64_t at = 0; at < channels; ++at) {
            const int64_t channel = at % input_.channels, number = at / block, lane = at % block;
            const int64_t position = is_u8() ? kernels_.depthwise_position(static_cast<int>(lane)) : lane;
            scale_.as<float>()[number * block + position] = scale[channel];
            bias_.as<float>()[number * block + position] = bias[channel];
            int64_t sum = 0;
            for (int64_t tap = 0; tap < taps; ++tap) {
                const uint8_t* from = weights + (channel * taps + tap) * (is_u8() ? 1 : 4);
                if (is_u8()) {
                    const int64_t group = by_column() ? tap % 3 : tap / 4, within = by_column() ? tap / 3 : tap % 4;
                    weights_.data()[((number * tap_groups + group) * block + position) * 4 + within] = *from;
                    sum += static_cast<int8_t>(*from);
                } else {
                    std::memcpy(weights_.data() + ((number * taps + tap) * block + position) * 4, from, 4);
                }
            }
            start_.as<int32_t>()[number * block + position] = static_cast<int32_t>(-zero_point * sum);
        }
    }

    const KernelTable& kernels_;
    Tensor input_, output_, residual_{};
    Window window_;
    int64_t fold_;  // pixels that a kernel takes as one
    std::vector<int64_t> offsets_;
    Epilogue epilogue_;
    Buffer weights_, start_, scale_, bias_;
};

}  // namespace

std::unique_ptr<Step> make_depthwise(const KernelTable& kernels, const Tensors& tensors, Record& record) {
    const Tensor* input = tensor_of(tensors, record);
    const Tensor* output = tensor_of(tensors, record);
    const Tensor* residual = tensor_of(tensors, record, true);
    const Window window = read_window(record);
    const int64_t zero_point = record.integer();
    if (input->channels != output->channels) throw BuildError("a depthwise convolution keeps its channels");
    if (input->dtype != Dtype::u8 && input->dtype != Dtype::f32) throw BuildError("depthwise convolution: u8 or f32");
    check_borders(*input, *output, window);
    return std::make_unique<DepthwiseStep>(kernels, *input, *output, residual, window, zero_point, record);
}

}  // namespace wb
