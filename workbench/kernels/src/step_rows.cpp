// Norms and softmax: over the channels of each pixel, or over groups of channels of a whole image.
#include <algorithm>

#include "steps.h"

namespace wb {
namespace {

using RowKernel = void (*)(const RowArgs&);

class RowStep final : public Step {
public:
    RowStep(RowKernel kernel, std::string name, const Tensor& input, const Tensor& output, const RowArgs& args,
            Buffer scale, Buffer bias)
        : kernel_(kernel), name_(std::move(name)), input_(input), output_(output), args_(args), scale_(std::move(scale)),
          bias_(std::move(bias)) {
        args_.channels = output.channels;
        const bool column = output.width == 1;
        args_.input_stride = column ? input.row_pitch : input.pixel_pitch;
        args_.output_stride = column ? output.row_pitch : output.pixel_pitch;
        args_.epilogue.scale = scale_.as<float>();
        args_.epilogue.bias = bias_.as<float>();
    }

    int64_t tasks(int64_t batch) const override { return batch * output_.height; }

    void run(const Frame& frame, int64_t begin, int64_t end) const override {
        int64_t rows = 1;
        for (int64_t task = begin; task < end; task += rows) {
            const int64_t image = task / output_.height, y = task % output_.height;
            RowArgs args = args_;
            if (output_.width == 1) rows = std::min(end - task, output_.height - y);
            args.pixels = output_.width == 1 ? rows : output_.width;
            args.input = frame.at(input_, image) + y * input_.row_pitch;
            args.output = frame.at(output_, image) + y * output_.row_pitch;
            kernel_(args);
        }
    }

    std::string kernel() const override { return name_; }

private:
    RowKernel kernel_;
    std::string name_;
    Tensor input_, output_;
    RowArgs args_;
    Buffer scale_, bias_;
};

class GroupNormStep final : public Step {
public:
    GroupNormStep(const KernelTable& kernels, const Tensor& input, const Tensor& output, int64_t groups,
                  const Epilogue& epilogue, float epsilon, Buffer scale, Buffer bias)
        : kernels_(kernels), input_(input), output_(output), groups_(groups), epilogue_(epilogue), epsilon_(epsilon),
          scale_(std::move(scale)), bias_(std::move(bias)) {}

    int64_t tasks(int64_t batch) const override { return batch * groups_; }

    void run(const Frame& frame, int64_t begin, int64_t end) const override {
        for (int64_t task = begin; task < end; ++task) {
            const int64_t image = task / groups_, first = task % groups_ * (output_.channels / groups_);
            GroupArgs args{};
            args.input = frame.at(input_, image) + first * bytes_of(input_.dtype);
            args.input_row = input_.row_pitch;
            args.input_pixel = input_.pixel_pitch;
            args.output = frame.at(output_, image) + first * bytes_of(output_.dtype);
            args.output_row = output_.row_pitch;
            args.output_pixel = output_.pixel_pitch;
            args.height = output_.height;
            args.width = output_.width;
            args.channels = output_.channels / groups_;
            args.epsilon = epsilon_;
            args.epilogue = epilogue_;
            args.epilogue.scale = scale_.as<float>() + first;
            args.epilogue.bias = bias_.as<float>() + first;
            kernels_.group_norm(args);
        }
    }

    std::string kernel() const override { return std::string("group_norm_") + kernels_.isa; }

private:
    const KernelTable& kernels_;
    Tensor input_, output_;
    int64_t groups_;
    Epilogue epilogue_;
    float epsilon_;
    Buffer scale_, bias_;
};

void check(const Tensor& input, const Tensor& output) {
    const bool same = input.height == output.height && input.width == output.width && input.channels == output.channels;
    if (!same || input.dtype != Dtype::f32) throw BuildError("a step over channels: floats, and the same shape out as in");
}

Buffer by_channel(const std::vector<uint8_t>& values, const Tensor& output) {
    if (static_cast<int64_t>(values.size()) != output.channels * 4) throw BuildError("a norm's arrays don't fit");
    Buffer buffer(output.channels * 4);
    std::memcpy(buffer.data(), values.data(), values.size());
    return buffer;
}

}  // namespace

std::unique_ptr<Step> make_layer_norm(const KernelTable& kernels, const Tensors& tensors, Record& record) {
    const Tensor* input = tensor_of(tensors, record);
    const Tensor* output = tensor_of(tensors, record);
    check(*input, *output);
    RowArgs args{};
    args.epilogue = read_epilogue(record, *output, nullptr);
    args.epsilon = record.real();
    Buffer scale = by_channel(record.array(), *output), bias = by_channel(record.array(), *output);
    return std::make_unique<RowStep>(kernels.layer_norm, std::string("layer_norm_") + kernels.isa, *input, *output, args,
                                     std::move(scale), std::move(bias));
}

std::unique_ptr<Step> make_group_norm(const KernelTable& kernels, const Tensors& tensors, Record& record) {
    const Tensor* input = tensor_of(tensors, record);
    const Tensor* output = tensor_of(tensors, record);
    check(*input, *output);
    const int64_t groups = record.integer();
    if (groups < 1 || output->channels % groups) throw BuildError("a group norm's channels don't divide into its groups");
    const Epilogue epilogue = read_epilogue(record, *output, nullptr);
    const float epsilon = record.real();
    Buffer scale = by_channel(record.array(), *output), bias = by_channel(record.array(), *output);
    return std::make_unique<GroupNormStep>(kernels, *input, *output, groups, epilogue, epsilon, std::move(scale),
                                           std::move(bias));
}

std::unique_ptr<Step> make_softmax(const KernelTable& kernels, const Tensors& tensors, Record& record) {
    const Tensor* input = tensor_of(tensors, record);
    const Tensor* output = tensor_of(tensors, record);
    check(*input, *output);
    if (output->dtype != Dtype::f32) throw BuildError("softmax gives floats");
    return std::make_unique<RowStep>(kernels.softmax, std::string("softmax_") + kernels.isa, *input, *output, RowArgs{},
                                     Buffer(), Buffer());
}

}  // namespace wb
