// Max and average pooling. Windows are cut at the image's edge, so no border is needed.
#include <algorithm>

#include "steps.h"

namespace wb {
namespace {

using PoolKernel = void (*)(const PoolArgs&);

PoolKernel kernel_of(const KernelTable& kernels, Dtype dtype, bool average) {
    switch (dtype) {
        case Dtype::u8: return average ? kernels.average_pool_u8 : kernels.max_pool_u8;
        case Dtype::bf16: return average ? kernels.average_pool_bf16 : kernels.max_pool_bf16;
        case Dtype::f32: return average ? kernels.average_pool_f32 : kernels.max_pool_f32;
        default: throw BuildError("pooling: u8, f32 or bf16");
    }
}

class PoolStep final : public Step {
public:
    PoolStep(const KernelTable& kernels, const Tensor& input, const Tensor& output, const Window& window, bool average,
             bool count_padding, Record& record)
        : isa_(kernels.isa), kernel_(kernel_of(kernels, input.dtype, average)), input_(input), output_(output),
          window_(window), average_(average),
          count_padding_(count_padding), zero_point_in_(static_cast<int32_t>(record.integer())),
          zero_point_out_(static_cast<int32_t>(record.integer())), step_ratio_(record.real()) {
        // Output columns whose window lies inside the image are done in one call.
        auto inside = [&](int64_t x) {
            const int64_t left = x * window.stride_x - window.pad_x;
            return left >= 0 && left + window.width <= input.width;
        };
        while (first_inside_ < output.width && !inside(first_inside_)) ++first_inside_;
        last_inside_ = first_inside_;
        while (last_inside_ < output.width && inside(last_inside_)) ++last_inside_;
    }

    int64_t tasks(int64_t batch) const override { return batch * output_.height; }

    void run(const Frame& frame, int64_t begin, int64_t end) const override {
        for (int64_t task = begin; task < end; ++task) {
            const int64_t image = task / output_.height, y = task % output_.height;
            for (int64_t x = 0; x < first_inside_; ++x) pool(frame, image, y, x, 1);
            if (last_inside_ > first_inside_) pool(frame, image, y, first_inside_, last_inside_ - first_inside_);
            for (int64_t x = last_inside_; x < output_.width; ++x) pool(frame, image, y, x, 1);
        }
    }

    std::string kernel() const override {
        const std::string type = input_.dtype == Dtype::u8 ? "u8_" : input_.dtype == Dtype::bf16 ? "bf16_" : "f32_";
        return (average_ ? "average_pool_" : "max_pool_") + type + isa_;
    }

private:
    void pool(const Frame& frame, int64_t image, int64_t y, int64_t x, int64_t pixels) const {
        const int64_t top = y * window_.stride_y - window_.pad_y, left = x * window_.stride_x - window_.pad_x;
        const int64_t first_row = std::max<int64_t>(top, 0), first_column = std::max<int64_t>(left, 0);
        PoolArgs a{};
        a.height = std::min(top + window_.height, input_.height) - first_row;
        a.width = std::min(left + window_.width, input_.width) - first_column;
        a.input = frame.at(input_, image) + first_row * input_.row_pitch + first_column * input_.pixel_pitch;
        a.row_stride = input_.row_pitch;
        a.pixel_stride = input_.pixel_pitch;
        a.window_stride = window_.stride_x * input_.pixel_pitch;
        a.output = frame.at(output_, image) + y * output_.row_pitch + x * output_.pixel_pitch;
        a.output_stride = output_.pixel_pitch;
        a.channels = output_.channels;
        a.pixels = pixels;
        if (average_) {
            const auto present = static_cast<float>(a.height * a.width);
            const float divisor = count_padding_ ? static_cast<float>(window_.height * window_.width) : present;
            a.scale = step_ratio_ / divisor;
            a.bias = -static_cast<float>(zero_point_in_) * present * a.scale;
            a.zero_point = zero_point_out_;
        }
        kernel_(a);
    }

    std::string isa_;
    PoolKernel kernel_;
    Tensor input_, output_;
    Window window_;
    bool average_, count_padding_;
    int32_t zero_point_in_, zero_point_out_;
    float step_ratio_;  // input step / output step; 1 for floats
    int64_t first_inside_ = 0, last_inside_ = 0;
};

}  // namespace

std::unique_ptr<Step> make_pool(const KernelTable& kernels, const Tensors& tensors, Record& record) {
    const Tensor* input = tensor_of(tensors, record);
    const Tensor* output = tensor_of(tensors, record);
    const Window window = read_window(record);
    const bool average = record.integer() != 0, count_padding = record.integer() != 0;
    if (input->dtype != output->dtype) throw BuildError("pooling keeps its input's type");
    if (window.dilation_y * window.dilation_x != 1) throw BuildError("pooling: dilation is not known");
    return std::make_unique<PoolStep>(kernels, *input, *output, window, average, count_padding, record);
}

}  // namespace wb
