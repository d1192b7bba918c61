// Rows of a table by their numbers, which come as floats (exact up to 2²⁴).
#include <algorithm>

#include "steps.h"

namespace wb {
namespace {

class EmbeddingStep final : public Step {
public:
    EmbeddingStep(const KernelTable& kernels, const Tensor& ids, const Tensor& output, const ElementwiseArgs& args,
                  const std::vector<uint8_t>& table)
        : kernels_(kernels), ids_(ids), output_(output), args_(args), rows_(static_cast<int64_t>(table.size()) / (output.channels * 4)),
          table_(static_cast<int64_t>(table.size())) {
        std::memcpy(table_.data(), table.data(), table.size());
    }

    int64_t tasks(int64_t batch) const override { return batch * output_.height; }

    void run(const Frame& frame, int64_t begin, int64_t end) const override {
        for (int64_t task = begin; task < end; ++task) {
            const int64_t image = task / output_.height, place = task % output_.height;
            float id;
            std::memcpy(&id, frame.at(ids_, image) + place * ids_.pixel_pitch, 4);
            // The caller refuses ids beyond the table; here they only mustn't lead outside of it.
            const auto row = static_cast<int64_t>(std::clamp(id, 0.0f, static_cast<float>(rows_ - 1)));
            ElementwiseArgs args = args_;
            args.a = table_.data() + std::min(row, rows_ - 1) * output_.channels * 4;
            args.output = frame.at(output_, image) + place * output_.row_pitch;
            args.count = output_.channels;
            kernels_.elementwise(args);
        }
    }

    std::string kernel() const override { return std::string("embedding_f32_") + kernels_.isa; }

private:
    const KernelTable& kernels_;
    Tensor ids_, output_;
    ElementwiseArgs args_;
    int64_t rows_;
    Buffer table_;
};

}  // namespace

std::unique_ptr<Step> make_embedding(const KernelTable& kernels, const Tensors& tensors, Record& record) {
    const Tensor* ids = tensor_of(tensors, record);
    const Tensor* output = tensor_of(tensors, record);
    ElementwiseArgs args{};
    args.a_type = Dtype::f32;
    args.b_type = Dtype::none;
    args.epilogue = read_epilogue(record, *output, nullptr);
    args.a_scale = record.real();
    const auto& table = record.array();
    const auto row_bytes = static_cast<size_t>(output->channels) * 4;
    const bool fits = ids->dtype == Dtype::f32 && ids->height * ids->width == 1 && ids->channels == output->height;
    if (!fits || output->width != 1 || table.empty() || table.size() % row_bytes) {
        throw BuildError("an embedding: one float id for each row of the output, and a table of whole rows");
    }
    Tensor by_place = *ids;
    by_place.pixel_pitch = 4;
    return std::make_unique<EmbeddingStep>(kernels, by_place, *output, args, table);
}

}  // namespace wb
