// Scaled dot-product attention: one task for each head of each image, with scratch memory of its own in the arena.
#include "steps.h"

namespace wb {
namespace {

// Rows of one head; the next head's begin `head_pitch` bytes on.
struct Heads {
    Tensor first;
    int64_t head_pitch;
};

class AttentionStep final : public Step {
public:
    AttentionStep(const KernelTable& kernels, bool halves, const Heads& query, const Heads& key, const Heads& value,
                  const Heads* mask, const Tensor& output, const Tensor& scratch, int64_t heads, const AttentionArgs& args)
        : kernel_(halves ? kernels.attention_bf16 : kernels.attention),
          name_(std::string(halves ? "attention_bf16_" : "attention_f32_") + kernels.isa), query_(query), key_(key),
          value_(value), masked_(mask != nullptr), mask_(mask ? *mask : Heads{}), output_(output), scratch_(scratch), heads_(heads), args_(args) {}

    int64_t tasks(int64_t batch) const override { return batch * heads_; }

    void run(const Frame& frame, int64_t begin, int64_t end) const override {
        for (int64_t task = begin; task < end; ++task) {
            const int64_t image = task / heads_, head = task % heads_;
            auto at = [&](const Heads& heads) { return frame.at(heads.first, image) + head * heads.head_pitch; };
            AttentionArgs args = args_;
            args.query = at(query_);
            args.key = at(key_);
            args.value = at(value_);
            args.mask = masked_ ? at(mask_) : nullptr;
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
    bool masked_;
    Heads mask_;
    Tensor output_, scratch_;
    int64_t heads_;
    AttentionArgs args_;
};

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
    Heads mask_of_head{};
    if (mask) {
        const int64_t rows = masks > 0 ? mask->height / masks : 0;
        if (mask->dtype != Dtype::f32 || mask->channels != args.keys || (masks != 1 && masks != heads) ||
            mask->height != masks * rows || (rows != 1 && rows != args.queries)) {
            throw BuildError("an attention step's mask doesn't fit");
        }
        mask_of_head = {*mask, masks == 1 ? 0 : rows * mask->row_pitch};
        args.mask_stride = rows == 1 ? 0 : mask->row_pitch;
    }
    const bool floats = query->dtype == Dtype::f32 && key->dtype == Dtype::f32 && value->dtype == Dtype::f32;
    const bool fits = key->channels == args.size && value->height == args.keys && output->height == args.queries &&
                      output->channels == heads * args.value_size && args.keys > 0;
    const bool room = scratch->height >= heads && scratch->row_pitch >= 4 * attention_scratch(args.keys, args.size, args.value_size);
    if (!floats || !fits || !room || !(args.scale > 0)) throw BuildError("an attention step's tensors don't fit");
    return std::make_unique<AttentionStep>(kernels, halves, heads_of[0], heads_of[1], heads_of[2],
                                           mask ? &mask_of_head : nullptr, *output, *scratch, heads, args);
}

}  // namespace wb
