// One pass over values: activations, add, multiply, quantize, dequantize, copies between views, and the two
// ends of a program, where images come and go as float NCHW.
#include <algorithm>

#include "steps.h"

namespace wb {
namespace {

class ElementwiseStep final : public Step {
public:
    ElementwiseStep(const KernelTable& kernels, const Tensor& a, const Tensor* b, const Tensor& output,
                    const ElementwiseArgs& args, Buffer* constant)
        : kernels_(kernels), a_(a), output_(output), args_(args) {
        if (b) b_ = *b;
        if (constant) constant_ = std::move(*constant);
        b_is_vector_ = b && b->one_pixel() && !output.one_pixel();
        auto joined = [&](const Tensor& t) { return t.pixel_pitch == t.channels * bytes_of(t.dtype); };
        whole_rows_ = joined(a) && joined(output) && (!b || (joined(*b) && !b_is_vector_));
    }

    int64_t tasks(int64_t batch) const override { return batch * output_.height; }

    void run(const Frame& frame, int64_t begin, int64_t end) const override {
        for (int64_t task = begin; task < end; ++task) {
            const int64_t image = task / output_.height, y = task % output_.height;
            ElementwiseArgs args = args_;
            args.a = frame.at(a_, image) + y * a_.row_pitch;
            args.output = frame.at(output_, image) + y * output_.row_pitch;
            if (args.b_type != Dtype::none) {
                const uint8_t* b = constant_.data() ? constant_.data() : frame.at(b_, image);
                args.b = b + (b_is_vector_ ? 0 : y * b_.row_pitch);
            }
            args.count = output_.channels * (whole_rows_ ? output_.width : 1);
            for (int64_t x = 0; x < (whole_rows_ ? 1 : output_.width); ++x) {
                kernels_.elementwise(args);
                args.a += a_.pixel_pitch;
                args.output += output_.pixel_pitch;
                if (args.b_type != Dtype::none && !b_is_vector_) args.b += b_.pixel_pitch;
            }
        }
    }

    std::string kernel() const override { return std::string("elementwise_") + kernels_.isa; }

private:
    const KernelTable& kernels_;
    Tensor a_, b_{}, output_;
    Buffer constant_;  // b, where it is the same for every image
    ElementwiseArgs args_;
    bool b_is_vector_, whole_rows_;
};

// Planes of floats become pixels: of bytes by one kernel, else a strip of each plane is converted on the stack and spread.
class ImageInStep final : public Step {
public:
    ImageInStep(const KernelTable& kernels, const Tensor& input, const Tensor& output, const ElementwiseArgs& args)
        : kernels_(kernels), input_(input), output_(output), args_(args) {}

    int64_t tasks(int64_t batch) const override { return batch * output_.height; }

    void run(const Frame& frame, int64_t begin, int64_t end) const override {
        const int64_t size = bytes_of(output_.dtype), row = output_.width * 4, plane = output_.height * row;
        const bool bytes = size == 1 && output_.pixel_pitch == (output_.channels == 1 ? 1 : 4);
        int64_t rows = 1;
        for (int64_t task = begin; task < end; task += rows) {
            const int64_t image = task / output_.height, y = task % output_.height;
            const uint8_t* from = frame.at(input_, image) + y * row;
            uint8_t* to = frame.at(output_, image) + y * output_.row_pitch;
            if (bytes) {
                rows = std::min(end - task, output_.height - y);
                kernels_.planes_to_bytes({from, plane, row, to, output_.row_pitch, output_.channels, rows, output_.width,
                                          args_.a_scale, args_.epilogue});
            } else {
                convert_row(from, to, plane, size);
            }
        }
    }

    std::string kernel() const override { return std::string("image_in_") + kernels_.isa; }

private:
    static constexpr int64_t kStrip = 256;

    void convert_row(const uint8_t* from, uint8_t* to, int64_t plane, int64_t size) const {
        ElementwiseArgs args = args_;
        const bool direct = output_.pixel_pitch == size;
        for (int64_t x = 0; x < output_.width; x += kStrip) {
            alignas(64) uint8_t strip[kStrip * 4];
            const int64_t pixels = std::min(kStrip, output_.width - x);
            for (int64_t channel = 0; channel < output_.channels; ++channel) {
                args.a = from + channel * plane + x * 4;
                args.output = direct ? to + x * size : strip;
                args.count = pixels;
                kernels_.elementwise(args);
                if (!direct) spread(strip, to + x * output_.pixel_pitch + channel * size, pixels, size);
            }
        }
    }

    void spread(const uint8_t* strip, uint8_t* to, int64_t pixels, int64_t size) const {
        const int64_t pitch = output_.pixel_pitch;
        if (size == 1) {
            for (int64_t i = 0; i < pixels; ++i) to[i * pitch] = strip[i];
        } else if (size == 4) {
            for (int64_t i = 0; i < pixels; ++i) std::memcpy(to + i * pitch, strip + i * 4, 4);
        } else {
            for (int64_t i = 0; i < pixels; ++i) std::memcpy(to + i * pitch, strip + i * 2, 2);
        }
    }

    const KernelTable& kernels_;
    Tensor input_, output_;
    ElementwiseArgs args_;
};

// Pixels of floats become planes again.
class ImageOutStep final : public Step {
public:
    ImageOutStep(const KernelTable& kernels, const Tensor& input) : kernels_(kernels), input_(input) {}

    int64_t tasks(int64_t batch) const override { return batch * input_.channels; }

    void run(const Frame& frame, int64_t begin, int64_t end) const override {
        for (int64_t task = begin; task < end; ++task) {
            const int64_t image = task / input_.channels, channel = task % input_.channels;
            uint8_t* to = frame.base[2] + image * frame.image_stride[2] + channel * input_.height * input_.width * 4;
            const uint8_t* from = frame.at(input_, image) + channel * 4;
            for (int64_t y = 0; y < input_.height; ++y) {
                for (int64_t x = 0; x < input_.width; ++x, to += 4) {
                    std::memcpy(to, from + y * input_.row_pitch + x * input_.pixel_pitch, 4);
                }
            }
        }
    }

    std::string kernel() const override { return std::string("image_out_") + kernels_.isa; }

private:
    const KernelTable& kernels_;
    Tensor input_;
};

}  // namespace

std::unique_ptr<Step> make_elementwise(const KernelTable& kernels, const Tensors& tensors, Record& record) {
    const Tensor* a = tensor_of(tensors, record);
    const Tensor* b = tensor_of(tensors, record, true);
    const Tensor* output = tensor_of(tensors, record);
    Tensor dense{};
    Buffer constant;
    if (!b && !record.arrays.empty()) {
        const auto& values = record.array();
        dense = *output;
        dense.dtype = Dtype::f32;
        dense.pixel_pitch = dense.channels * 4;
        dense.row_pitch = dense.width * dense.pixel_pitch;
        if (static_cast<int64_t>(values.size()) != dense.height * dense.row_pitch) {
            throw BuildError("an elementwise step's constant doesn't fit");
        }
        constant = Buffer(dense.height * dense.row_pitch);
        std::memcpy(constant.data(), values.data(), values.size());
        b = &dense;
    }
    ElementwiseArgs args{};
    args.multiply = record.integer() != 0;
    args.a_type = a->dtype;
    args.b_type = b ? b->dtype : Dtype::none;
    args.epilogue = read_epilogue(record, *output, nullptr);
    args.a_scale = record.real();
    args.b_scale = record.real();
    args.bias = record.real();
    args.b_bias = record.real();
    const bool same = a->height == output->height && a->width == output->width && a->channels == output->channels;
    const bool fits = !b || (b->channels == output->channels &&
                             (b->one_pixel() || (b->height == output->height && b->width == output->width)));
    if (!same || !fits) throw BuildError("an elementwise step's shapes don't fit");
    return std::make_unique<ElementwiseStep>(kernels, *a, b, *output, args, &constant);
}

std::unique_ptr<Step> make_image_in(const KernelTable& kernels, const Tensors& tensors, Record& record) {
    const Tensor* input = tensor_of(tensors, record);
    const Tensor* output = tensor_of(tensors, record);
    const bool planes = input->place == Place::input && input->dtype == Dtype::f32 && input->dense();
    if (!planes || input->height * input->width * input->channels != output->height * output->width * output->channels) {
        throw BuildError("a program's input image doesn't fit");
    }
    ElementwiseArgs args{};
    args.a_type = Dtype::f32;
    args.b_type = Dtype::none;
    args.epilogue = read_epilogue(record, *output, nullptr);
    args.a_scale = record.real();
    return std::make_unique<ImageInStep>(kernels, *input, *output, args);
}

std::unique_ptr<Step> make_image_out(const KernelTable& kernels, const Tensors& tensors, Record& record) {
    const Tensor* input = tensor_of(tensors, record);
    if (input->dtype != Dtype::f32) throw BuildError("a program's output is f32");
    return std::make_unique<ImageOutStep>(kernels, *input);
}

}  // namespace wb
