// Linear layers whose input is quantized in each row's own range: before them rows become bytes, behind them their
// sums become numbers again. The layer between is a convolution into int32.
#include <algorithm>

#include "steps.h"

namespace wb {
namespace {

bool same_rows(const Tensor& a, const Tensor& b) { return a.height == b.height && a.width == b.width; }

RowRange* ranges_at(const Frame& frame, const Tensor& ranges, int64_t image, int64_t y) {
    return reinterpret_cast<RowRange*>(frame.at(ranges, image) + y * ranges.row_pitch);
}

class QuantizeRowsStep final : public Step {
public:
    QuantizeRowsStep(const KernelTable& kernels, const Tensor& input, const Tensor& output, const Tensor& ranges)
        : kernels_(kernels), input_(input), output_(output), ranges_(ranges) {}

    int64_t tasks(int64_t batch) const override { return batch * output_.height; }

    void run(const Frame& frame, int64_t begin, int64_t end) const override {
        for (int64_t task = begin; task < end; ++task) {
            const int64_t image = task / output_.height, y = task % output_.height;
            QuantizeRowsArgs args{};
            args.input = frame.at(input_, image) + y * input_.row_pitch;
            args.input_stride = input_.pixel_pitch;
            args.output = frame.at(output_, image) + y * output_.row_pitch;
            args.output_stride = output_.pixel_pitch;
            args.ranges = ranges_at(frame, ranges_, image, y);
            args.channels = output_.channels;
            args.pixels = output_.width;
            kernels_.quantize_rows(args);
        }
    }

    std::string kernel() const override { return std::string("quantize_rows_") + kernels_.isa; }

private:
    const KernelTable& kernels_;
    Tensor input_, output_, ranges_;
};

class RescaleRowsStep final : public Step {
public:
    RescaleRowsStep(const KernelTable& kernels, const Tensor& input, const Tensor& ranges, const Tensor& output,
                    const Tensor* residual, Record& record)
        : kernels_(kernels), input_(input), ranges_(ranges), output_(output),
          epilogue_(read_epilogue(record, output, residual)), weight_sums_(copied(record, output)),
          scale_(copied(record, output)), bias_(copied(record, output)) {
        if (residual) residual_ = *residual;
    }

    int64_t tasks(int64_t batch) const override { return batch * output_.height; }

    void run(const Frame& frame, int64_t begin, int64_t end) const override {
        for (int64_t task = begin; task < end; ++task) {
            const int64_t image = task / output_.height, y = task % output_.height;
            RescaleRowsArgs args{};
            args.input = frame.at(input_, image) + y * input_.row_pitch;
            args.input_stride = input_.pixel_pitch;
            args.ranges = ranges_at(frame, ranges_, image, y);
            args.weight_sums = weight_sums_.as<int32_t>();
            args.output = frame.at(output_, image) + y * output_.row_pitch;
            args.output_stride = output_.pixel_pitch;
            if (epilogue_.residual_type != Dtype::none) {
                args.residual = frame.at(residual_, image) + y * residual_.row_pitch;
                args.residual_stride = residual_.pixel_pitch;
            }
            args.channels = output_.channels;
            args.pixels = output_.width;
            args.epilogue = epilogue_;
            args.epilogue.scale = scale_.as<float>();
            args.epilogue.bias = bias_.as<float>();
            kernels_.rescale_rows(args);
        }
    }

    std::string kernel() const override { return std::string("rescale_rows_") + kernels_.isa; }

private:
    static Buffer copied(Record& record, const Tensor& output) {
        const auto& values = record.array();
        if (static_cast<int64_t>(values.size()) != output.channels * 4) {
            throw BuildError("a rescaling step's arrays don't fit");
        }
        Buffer buffer(output.channels * 4);
        std::memcpy(buffer.data(), values.data(), values.size());
        return buffer;
    }

    const KernelTable& kernels_;
    Tensor input_, ranges_, output_, residual_{};
    Epilogue epilogue_;
    Buffer weight_sums_, scale_, bias_;
};

void check_ranges(const Tensor& ranges, const Tensor& rows) {
    if (ranges.dtype != Dtype::f32 || ranges.channels != 2 || !ranges.dense() || !same_rows(ranges, rows)) {
        throw BuildError("ranges are two floats for each row");
    }
}

}  // namespace

std::unique_ptr<Step> make_quantize_rows(const KernelTable& kernels, const Tensors& tensors, Record& record) {
    const Tensor* input = tensor_of(tensors, record);
    const Tensor* output = tensor_of(tensors, record);
    const Tensor* ranges = tensor_of(tensors, record);
    check_ranges(*ranges, *output);
    const bool fits = same_rows(*input, *output) && input->channels == output->channels;
    if (!fits || input->dtype != Dtype::f32 || output->dtype != Dtype::u8) {
        throw BuildError("quantizing rows: floats to as many bytes");
    }
    return std::make_unique<QuantizeRowsStep>(kernels, *input, *output, *ranges);
}

std::unique_ptr<Step> make_rescale_rows(const KernelTable& kernels, const Tensors& tensors, Record& record) {
    const Tensor* input = tensor_of(tensors, record);
    const Tensor* ranges = tensor_of(tensors, record);
    const Tensor* output = tensor_of(tensors, record);
    const Tensor* residual = tensor_of(tensors, record, true);
    check_ranges(*ranges, *output);
    const bool fits = same_rows(*input, *output) && input->channels == output->channels;
    const bool adds = !residual || (same_rows(*residual, *output) && residual->channels == output->channels);
    if (!fits || !adds || input->dtype != Dtype::i32) throw BuildError("rescaling rows: sums to as many numbers");
    return std::make_unique<RescaleRowsStep>(kernels, *input, *ranges, *output, residual, record);
}

}  // namespace wb
