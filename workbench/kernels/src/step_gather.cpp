// The same elements elsewhere: upsampled, repeated, turned or left out. The output's element (y, x, c) is the input's that
// lies rows[y] + columns[x] + channels[c] elements into its image.
#include <algorithm>

#include "steps.h"

namespace wb {
namespace {

struct Places {
    std::vector<int32_t> rows, columns, channels;

    bool channels_together() const {
        for (size_t c = 1; c < channels.size(); ++c) {
            if (channels[c] != channels[c - 1] + 1) return false;
        }
        return true;
    }
};

class GatherStep final : public Step {
public:
    GatherStep(const Tensor& input, const Tensor& output, Places places)
        : input_(input), output_(output), places_(std::move(places)), size_(bytes_of(input.dtype)),
          pixels_(places_.channels_together()) {}

    int64_t tasks(int64_t batch) const override { return batch * output_.height; }

    void run(const Frame& frame, int64_t begin, int64_t end) const override {
        const bool pixels_touch = output_.pixel_pitch == output_.channels * size_;
        for (int64_t task = begin; task < end; ++task) {
            const int64_t image = task / output_.height, y = task % output_.height;
            const uint8_t* from = frame.at(input_, image) + places_.rows[static_cast<size_t>(y)] * size_;
            uint8_t* to = frame.at(output_, image) + y * output_.row_pitch;
            const bool as_before = task > begin && y > 0 && repeats(y);
            if (as_before && pixels_touch) {
                std::memcpy(to, to - output_.row_pitch, static_cast<size_t>(output_.width * output_.pixel_pitch));
            } else if (pixels_) {
                copy_pixels(from + places_.channels.front() * size_, to);
            } else if (size_ == 1) {
                copy_elements<uint8_t>(from, to);
            } else if (size_ == 2) {
                copy_elements<uint16_t>(from, to);
            } else {
                copy_elements<uint32_t>(from, to);
            }
        }
    }

    std::string kernel() const override { return "gather"; }

private:
    bool repeats(int64_t y) const {
        const auto row = places_.rows.begin() + y;
        return row[0] == row[-1];
    }

    // Sixteen bytes at a time, where they divide into such: a call to copy so few would take longer than the copy.
    void copy_pixels(const uint8_t* row, uint8_t* to) const {
        const int64_t bytes = output_.channels * size_;
        for (const int32_t column : places_.columns) {
            const uint8_t* from = row + column * size_;
            if (bytes % 16 == 0) {
                for (int64_t i = 0; i < bytes; i += 16) std::memcpy(to + i, from + i, 16);
            } else {
                std::memcpy(to, from, static_cast<size_t>(bytes));
            }
            to += output_.pixel_pitch;
        }
    }

    template <class T>
    void copy_elements(const uint8_t* row, uint8_t* to) const {
        const int64_t channels = output_.channels;
        for (const int32_t column : places_.columns) {
            const uint8_t* from = row + column * size_;
            for (int64_t c = 0; c < channels; ++c) {
                std::memcpy(to + c * size_, from + places_.channels[static_cast<size_t>(c)] * size_, sizeof(T));
            }
            to += output_.pixel_pitch;
        }
    }

    Tensor input_, output_;
    Places places_;
    int64_t size_;  // of an element
    bool pixels_;   // whole pixels are copied
};

std::vector<int32_t> numbers(const std::vector<uint8_t>& array, int64_t count) {
    std::vector<int32_t> values(array.size() / sizeof(int32_t));
    if (static_cast<int64_t>(values.size()) != count || count == 0) {
        throw BuildError("a gathering step has a place for each row, column and channel");
    }
    std::memcpy(values.data(), array.data(), array.size());
    return values;
}

}  // namespace

std::unique_ptr<Step> make_gather(const KernelTable&, const Tensors& tensors, Record& record) {
    const Tensor* input = tensor_of(tensors, record);
    const Tensor* output = tensor_of(tensors, record);
    Places places;
    places.rows = numbers(record.array(), output->height);
    places.columns = numbers(record.array(), output->width);
    places.channels = numbers(record.array(), output->channels);
    int64_t first = 0, last = 0;
    for (const auto* each : {&places.rows, &places.columns, &places.channels}) {
        first += *std::min_element(each->begin(), each->end());
        last += *std::max_element(each->begin(), each->end());
    }
    if (first < 0 || last >= input->height * input->width * input->channels || !input->dense()) {
        throw BuildError("a gathering step reaches beyond its input");
    }
    if (input->dtype != output->dtype) throw BuildError("gathering keeps its input's type");
    return std::make_unique<GatherStep>(*input, *output, std::move(places));
}

}  // namespace wb
