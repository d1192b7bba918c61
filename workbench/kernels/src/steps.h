// The kinds of steps, and what makes each from its record.
#pragma once
#include <memory>
#include <vector>

#include "program.h"

namespace wb {

#define WB_KINDS(X)                                                                               \
    X(conv) X(depthwise) X(pool) X(elementwise) X(image_in) X(image_out) X(layer_norm) X(softmax) \
    X(attention) X(embedding) X(group_norm) X(quantize_rows) X(rescale_rows) X(weight_only) \
    X(recurrent) X(gather)

enum class Kind : int64_t { WB_KINDS(WB_MEMBER) };

using Tensors = std::vector<Tensor>;

// make_conv, make_depthwise, …: each reads the rest of its record.
#define WB_MAKER(name) std::unique_ptr<Step> make_##name(const KernelTable&, const Tensors&, Record&);
WB_KINDS(WB_MAKER)

// The tensor a record names next; -1 (an absent one) only where `optional`.
const Tensor* tensor_of(const Tensors& tensors, Record& record, bool optional = false);

// The end of a record that a fused step shares; scale and bias stay to be set.
Epilogue read_epilogue(Record& record, const Tensor& output, const Tensor* residual);

// Whether no sum of so many u8·s8 products can leave int32 once it is scaled into output steps.
bool within_int32(const Epilogue& epilogue, int64_t products, const float* scale, const float* bias, int64_t channels);

// Shape of a sliding window, as read from a record.
struct Window {
    int64_t height, width, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x;
};
Window read_window(Record& record);

// Throws unless the borders in memory cover what the window reads.
void check_borders(const Tensor& input, const Tensor& output, const Window& window);

}  // namespace wb
