#include "steps.h"

#include <cmath>

namespace wb {

const Tensor* tensor_of(const Tensors& tensors, Record& record, bool optional) {
    const int64_t index = record.integer();
    if (index == -1 && optional) return nullptr;
    if (index < 0 || index >= static_cast<int64_t>(tensors.size())) throw BuildError("a step names an unknown tensor");
    return &tensors[static_cast<size_t>(index)];
}

Epilogue read_epilogue(Record& record, const Tensor& output, const Tensor* residual) {
    Epilogue e{};
    e.output_type = output.dtype;
    e.residual_type = residual ? residual->dtype : Dtype::none;
    e.act = static_cast<Act>(record.integer());
    e.zero_point = static_cast<int32_t>(record.integer());
    e.residual_scale = record.real();
    e.minimum = record.real();
    e.maximum = record.real();
    e.inverse_step = record.real();
    e.low = record.real();
    e.high = record.real();
    return e;
}

bool within_int32(const Epilogue& epilogue, int64_t products, const float* scale, const float* bias, int64_t channels) {
    const float largest_sum = static_cast<float>(products) * 255 * 128, residual = 255 * std::abs(epilogue.residual_scale);
    for (int64_t c = 0; c < channels; ++c) {
        const float largest = std::abs(scale[c]) * largest_sum + std::abs(bias[c]) + residual;
        if (!(largest < 0x1p30f)) return false;
    }
    return true;
}

Window read_window(Record& record) {
    Window w{};
    for (int64_t* field : {&w.height, &w.width, &w.stride_y, &w.stride_x, &w.pad_y, &w.pad_x, &w.dilation_y, &w.dilation_x}) {
        *field = record.integer();
    }
    return w;
}

void check_borders(const Tensor& input, const Tensor& output, const Window& w) {
    const int64_t bottom = (output.height - 1) * w.stride_y - w.pad_y + (w.height - 1) * w.dilation_y + 1;
    const int64_t right = (output.width - 1) * w.stride_x - w.pad_x + (w.width - 1) * w.dilation_x + 1;
    if (w.pad_y > input.pad_top || w.pad_x > input.pad_left || bottom > input.height + input.pad_bottom ||
        right > input.width + input.pad_right) {
        throw BuildError("a window reaches beyond its input's border");
    }
}

std::unique_ptr<Step> make_step(const KernelTable& kernels, const Tensors& tensors, Record record) {
    switch (static_cast<Kind>(record.integer())) {
#define WB_MAKE(name) \
    case Kind::name: return make_##name(kernels, tensors, record);
        WB_KINDS(WB_MAKE)
    }
    throw BuildError("a step of an unknown kind");
}

}  // namespace wb
