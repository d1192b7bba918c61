// Linear layers over floats with weights in eight, four, two or one bits.
#include <algorithm>
#include <numeric>

#include "steps.h"

namespace wb {
namespace {

class WeightOnlyStep final : public Step {
public:
    WeightOnlyStep(const KernelTable& kernels, const Tensor& input, const Tensor& output, const Tensor* residual,
                   int64_t bits, int64_t group, Record& record)
        : kernels_(kernels), kernel_(kernel_of(kernels, bits)), input_(input), output_(output), bits_(bits), group_(group),
          epilogue_(read_epilogue(record, output, residual)), block_(kernels.weight_only_block),
          blocks_((output.channels + block_ - 1) / block_), groups_((input.channels + group - 1) / group),
          lines_(output.height), line_pixels_(output.width) {
        if (residual) residual_ = *residual;
        auto rows_join = [](const Tensor& t) { return t.row_pitch == t.width * t.pixel_pitch; };
        if (rows_join(input) && rows_join(output) && (!residual || rows_join(*residual))) {
            lines_ = 1;
            line_pixels_ = output.height * output.width;
        }
        const auto inputs = static_cast<size_t>(input.channels), outputs = static_cast<size_t>(output.channels);
        const auto& weights = record.array();
        const auto& group_scales = record.array();
        const auto& order = record.array();
        const auto& scale = record.array();
        const auto& bias = record.array();
        if (weights.size() != inputs * outputs || group_scales.size() != outputs * static_cast<size_t>(groups_) * 4 ||
            order.size() != inputs * 4 || scale.size() != outputs * 4 || bias.size() != outputs * 4) {
            throw BuildError("a linear layer's arrays don't have the size its shape says");
        }
        order_ = Buffer(input.channels * 4);
        std::memcpy(order_.data(), order.data(), order.size());
        for (int64_t i = 0; i < input.channels; ++i) {
            const int32_t place = order_.as<int32_t>()[i];
            if (place < 0 || place >= input.channels) throw BuildError("a linear layer's inputs lie outside its row");
        }
        pack(weights, reinterpret_cast<const float*>(group_scales.data()),
             reinterpret_cast<const float*>(scale.data()), reinterpret_cast<const float*>(bias.data()));
    }

    int64_t tasks(int64_t batch) const override { return (output_.one_pixel() ? 1 : batch) * blocks_; }

    void run(const Frame& frame, int64_t begin, int64_t end) const override {
        const bool across = output_.one_pixel();  // each image is a row
        for (int64_t task = begin; task < end; ++task) {
            const int64_t image = task / blocks_, block = task % blocks_, channel = block * block_;
            WeightOnlyArgs a{};
            a.input = frame.at(input_, image);
            a.input_stride = across ? frame.stride(input_) : input_.pixel_pitch;
            a.order = order_.as<int32_t>();
            a.weights = weights_.data() + block * block_bytes_;
            a.group_scales = group_scales_.as<float>() + block * groups_ * block_;
            a.inputs = input_.channels;
            a.group = group_;
            a.output = frame.at(output_, image) + channel * bytes_of(output_.dtype);
            a.output_stride = across ? frame.stride(output_) : output_.pixel_pitch;
            if (epilogue_.residual_type != Dtype::none) {
                a.residual = frame.at(residual_, image) + channel * bytes_of(residual_.dtype);
                a.residual_stride = across ? frame.stride(residual_) : residual_.pixel_pitch;
            }
            a.channels = std::min(block_, output_.channels - channel);
            a.rows = across ? frame.batch : line_pixels_;
            a.epilogue = epilogue_;
            a.epilogue.scale = scale_.as<float>() + channel;
            a.epilogue.bias = bias_.as<float>() + channel;
            for (int64_t line = 0; line < lines_; ++line) {
                kernel_(a);
                a.input += input_.row_pitch;
                a.output += output_.row_pitch;
                a.residual += residual_.row_pitch;
            }
        }
    }

    std::string kernel() const override { return "linear_f32s" + std::to_string(bits_) + "_" + std::string(kernels_.isa); }

private:
    using Kernel = void (*)(const WeightOnlyArgs&);

    static Kernel kernel_of(const KernelTable& kernels, int64_t bits) {
        if (bits == 8) return kernels.weight_only_s8;
        if (bits == 4) return kernels.weight_only_s4;
        return bits == 2 ? kernels.weight_only_s2 : kernels.weight_only_s1;
    }

    // What stands for a weight in fewer than eight bits: its distance from the least of them; of one bit whether it is 1.
    uint8_t code_of(uint8_t weight) const {
        const auto number = static_cast<int8_t>(weight);
        const int code = bits_ == 1 ? number > 0 : number + (1 << (bits_ - 1));
        return static_cast<uint8_t>(code & ((1 << bits_) - 1));
    }

    // weights: int8 [outputs][inputs], in −2^(bits−1)…2^(bits−1)−1, for one bit −1 or 1; group_scales: [outputs][groups].
    void pack(const std::vector<uint8_t>& weights, const float* group_scales, const float* scale, const float* bias) {
        const int64_t inputs = input_.channels, places = 8 / bits_;
        // A group begins with a byte of its own.
        const int64_t group_lines = (group_ + places - 1) / places;
        block_bytes_ = groups_ * group_lines * block_;
        weights_ = Buffer(blocks_ * block_bytes_);
        group_scales_ = Buffer(blocks_ * groups_ * block_ * 4);
        scale_ = Buffer(blocks_ * block_ * 4);
        bias_ = Buffer(blocks_ * block_ * 4);
        for (int64_t output = 0; output < output_.channels; ++output) {
            const int64_t block = output / block_, lane = output % block_;
            scale_.as<float>()[output] = scale[output];
            bias_.as<float>()[output] = bias[output];
            for (int64_t g = 0; g < groups_; ++g) {
                group_scales_.as<float>()[(block * groups_ + g) * block_ + lane] = group_scales[output * groups_ + g];
            }
            for (int64_t input = 0; input < inputs; ++input) {
                const int64_t within = input % group_, line = input / group_ * group_lines + within / places;
                uint8_t& byte = weights_.data()[block * block_bytes_ + line * block_ + lane];
                const uint8_t weight = weights[static_cast<size_t>(output * inputs + input)];
                if (bits_ == 8) byte = weight;
                else byte = static_cast<uint8_t>(byte | code_of(weight) << (within % places * bits_));
            }
        }
    }

    const KernelTable& kernels_;
    Kernel kernel_;
    Tensor input_, output_, residual_{};
    int64_t bits_, group_;
    Epilogue epilogue_;
    int64_t block_, blocks_, groups_, block_bytes_ = 0;
    int64_t lines_, line_pixels_;  // pixels side by side: a row of an image, or all where rows join
    Buffer order_, weights_, group_scales_, scale_, bias_;
};

}  // namespace

std::unique_ptr<Step> make_weight_only(const KernelTable& kernels, const Tensors& tensors, Record& record) {
    const Tensor* input = tensor_of(tensors, record);
    const Tensor* output = tensor_of(tensors, record);
    const Tensor* residual = tensor_of(tensors, record, true);
    const int64_t bits = record.integer(), group = record.integer();
    auto alike = [&](const Tensor& t) { return t.height == output->height && t.width == output->width; };
    const bool adds = !residual || (alike(*residual) && residual->channels == output->channels);
    if (!alike(*input) || !adds || input->dtype != Dtype::f32) {
        throw BuildError("a linear layer over floats: as many rows out as in");
    }
    if ((bits != 8 && bits != 4 && bits != 2 && bits != 1) || group < 1) {
        throw BuildError("a linear layer's weights: groups of 8, 4, 2 or 1 bits");
    }
    return std::make_unique<WeightOnlyStep>(kernels, *input, *output, residual, bits, group, record);
}

}  // namespace wb
