// Scaled dot-product attention: one task for each head of each image, with scratch memory of its own in the arena.
#include <optional>

#include "steps.h"

namespace wb {
namespace {

// Rows of one head; the next head's begin `head_pitch` bytes on.
struct Heads {
    Tensor first;
    int64_t head_pitch;
};

// Rows of one head's mask, in a tensor of each image or constant; the next head's begin `head_pitch` bytes on.
struct Masks {
    const uint8_t* of(const Frame& frame, int64_t image, int64_t head) const {
        if (!tensor) return constants.empty() ? nullptr : constants.data() + head * head_pitch;
        return frame.at(*tensor, image) + head * head_pitch;
    }
    std::optional<Tensor> tensor;
    std::vector<uint8_t> constants;
    int64_t head_pitch = 0;
};

class AttentionStep final : public Step {
public:
    AttentionStep(const KernelTable& kernels, bool halves, const Heads& query, const Heads& key, const Heads& value,
                  Masks masks, const Tensor& output, const Tensor& scratch, int64_t heads, const AttentionArgs& args)
        : kernel_(halves ? kernels.attention_bf16 : kernels.attention),
          name_(std::string(halves ? "attention_bf16_" : "attention_f32_") + kernels.isa), query_(query), key_(key),
          value_(value), masks_(std::move(masks)), output_(output), scratch_(scratch), heads_(heads), args_(args) {}

    int64_t tasks(int64_t batch) const override { return batch * heads_; }

    void run(const Frame& frame, int64_t begin, int64_t end) const override {
        for (int64_t task = begin; task < end; ++task) {
            const int64_t image = task / heads_, head = task % heads_;
            auto at = [&](const Heads& heads) { return frame.at(heads.first, image) + head * heads.head_pitch; };
            AttentionArgs args = args_;
            args.query = at(query_);
            args.key = at(key_);
            args.value = at(value_);
            args.mask = masks_.of(frame, image, head);
            args.output = frame.at(output_, image) + head * args.value_size * bytes_of(output_.dtype);
            args.scratch = reinterpret_cast<float*>(frame.at(scratch_, image) + head * scratch_.row_pitch);
            kernel_(args);
        }
    }

    std::string kernel() const override { return name_; }

private:
    void (*kernel_)(const AttentionArgs&);
    std::string name_;
    Heads query_, key_, value_;
    Masks masks_;
    Tensor output_, scratch_;
    int64_t heads_;
    AttentionArgs args_;
};

// Reads what masks the scores of each head, or of all: a row of keys for each query, or one for all of them.
Masks read_masks(const Tensor* tensor, const std::vector<uint8_t>& constants, int64_t masks, int64_t heads,
                 AttentionArgs& args) {
    Masks made;
    if (!tensor && constants.empty()) return made;
    const int64_t pitch = tensor ? tensor->row_pitch : args.keys * 4;
    const int64_t bytes = tensor ? tensor->height * pitch : static_cast<int64_t>(constants.size());
    const int64_t rows = masks > 0 && pitch > 0 ? bytes / masks / pitch : 0;
    const bool of_keys = !tensor || (tensor->dtype == Dtype::f32 && tensor->channels == args.keys);
    const bool of_heads = (masks == 1 || masks == heads) && masks * rows * pitch == bytes;
    const bool of_queries = rows == 1 || rows == args.queries;
    if (!of_keys || !of_heads || !of_queries) throw BuildError("an attention step's mask doesn't fit");
    if (tensor) made.tensor = *tensor;
    else made.constants = constants;
    made.head_pitch = masks == 1 ? 0 : rows * pitch;
    args.mask_stride = rows == 1 ? 0 : pitch;
    return made;
}

}  // namespace

std::unique_ptr<Step> make_attention(const KernelTable& kernels, const Tensors& tensors, Record& record) {
    const Tensor* parts[3];
    for (const Tensor*& part : parts) part = tensor_of(tensors, record);
    const auto [query, key, value] = parts;
    const Tensor* output = tensor_of(tensors, record);
    const Tensor* scratch = tensor_of(tensors, record);
    const Tensor* mask = tensor_of(tensors, record, true);
    Heads heads_of[3];
    for (int i = 0; i < 3; ++i) heads_of[i] = {*parts[i], record.integer()};
    const int64_t heads = record.integer();
    AttentionArgs args{};
    args.causal = record.integer() != 0;
    args.mask_shows = record.integer() != 0;
    const int64_t masks = record.integer();
    const bool halves = record.integer() != 0 && kernels.attention_bf16;
    args.epilogue = read_epilogue(record, *output, nullptr);
    args.scale = record.real();
    args.queries = query->height;
    args.keys = key->height;
    args.size = query->channels;
    args.value_size = value->channels;
    args.query_stride = query->row_pitch;
    args.key_stride = key->row_pitch;
    args.value_stride = value->row_pitch;
    args.output_stride = output->row_pitch;
    const bool floats = query->dtype == Dtype::f32 && key->dtype == Dtype::f32 && value->dtype == Dtype::f32;
    const bool fits = key->channels == args.size && value->height == args.keys && output->height == args.queries &&
                      output->channels == heads * args.value_size && args.keys > 0;
    const bool room = scratch->height >= heads && scratch->row_pitch >= 4 * attention_scratch(args.keys, args.size, args.value_size);
    if (!floats || !fits || !room || !(args.scale > 0)) throw BuildError("an attention step's tensors don't fit");
    Masks masks_read = read_masks(mask, record.array(), masks, heads, args);
    return std::make_unique<AttentionStep>(kernels, halves, heads_of[0], heads_of[1], heads_of[2], std::move(masks_read),
                                           *output, *scratch, heads, args);
}

}  // namespace wb
