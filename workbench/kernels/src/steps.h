// The makers of each kind of step. The numbers are those in records.py.
#pragma once
#include <memory>
#include <vector>

#include "program.h"

namespace wb {

enum class Kind : int64_t {
    conv = 0,
    depthwise = 1,
    pool = 2,
    elementwise = 3,
    image_in = 4,
    image_out = 5,
    layer_norm = 6,
    softmax = 7,
    attention = 8,
    embedding = 9,
    group_norm = 10,
    quantize_rows = 11,
    rescale_rows = 12,
    weight_only = 13,
};

using Tensors = std::vector<Tensor>;

std::unique_ptr<Step> make_conv(const KernelTable&, const Tensors&, Record&);
std::unique_ptr<Step> make_depthwise(const KernelTable&, const Tensors&, Record&);
std::unique_ptr<Step> make_pool(const KernelTable&, const Tensors&, Record&);
std::unique_ptr<Step> make_elementwise(const KernelTable&, const Tensors&, Record&);
std::unique_ptr<Step> make_image_in(const KernelTable&, const Tensors&, Record&);
std::unique_ptr<Step> make_image_out(const KernelTable&, const Tensors&, Record&);
std::unique_ptr<Step> make_layer_norm(const KernelTable&, const Tensors&, Record&);
std::unique_ptr<Step> make_group_norm(const KernelTable&, const Tensors&, Record&);
std::unique_ptr<Step> make_softmax(const KernelTable&, const Tensors&, Record&);
std::unique_ptr<Step> make_attention(const KernelTable&, const Tensors&, Record&);
std::unique_ptr<Step> make_quantize_rows(const KernelTable&, const Tensors&, Record&);
std::unique_ptr<Step> make_rescale_rows(const KernelTable&, const Tensors&, Record&);
std::unique_ptr<Step> make_weight_only(const KernelTable&, const Tensors&, Record&);
std::unique_ptr<Step> make_embedding(const KernelTable&, const Tensors&, Record&);

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
