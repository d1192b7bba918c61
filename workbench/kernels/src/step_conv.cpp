// Convolutions and linear layers (a linear layer is a 1 × 1 convolution of a one-row image).
#include <algorithm>

#include "conv_pack.h"

namespace wb {
namespace {

const ConvKernels& kernels_of(const KernelTable& kernels, Dtype dtype) {
    if (dtype == Dtype::u8) return kernels.conv_u8s8;
    return dtype == Dtype::bf16 ? kernels.conv_bf16 : kernels.conv_f32;
}

int64_t most_pixels(const ConvKernels& kernels, int64_t vectors) {
    int64_t most = max_pixels;
    while (most > 0 && !kernels.tile[vectors - 1][most - 1]) --most;
    return most;
}

// The most channel vectors that are not mostly padding and that this instruction set has a tile for.
int64_t choose_vectors(const ConvKernels& kernels, int64_t outputs, int64_t wanted) {
    int64_t vectors = std::clamp<int64_t>((outputs + kernels.lanes - 1) / kernels.lanes, 1, std::min<int64_t>(wanted, max_blocks));
    while (vectors > 1 && most_pixels(kernels, vectors) == 0) --vectors;
    return vectors;
}

class ConvStep final : public Step {
public:
    ConvStep(const KernelTable& kernels, const Tensor& input, const Tensor& output, const Tensor* residual,
             const ConvShape& shape, int64_t vectors, int64_t zero_point, Record& record)
        : kernels_(kernels_of(kernels, shape.dtype)), input_(input), output_(output), shape_(shape),
          runs_(plan_runs(shape, input)) {
        if (residual) residual_ = *residual;
        epilogue_ = read_epilogue(record, output, residual);
        vectors = choose_vectors(kernels_, shape.outputs / shape.groups, vectors);
        most_pixels_ = most_pixels(kernels_, vectors);
        const auto& weights = record.array();
        const auto& scale = record.array();
        const auto& bias = record.array();
        const auto taps = static_cast<size_t>(shape.inputs / shape.groups * shape.window.height * shape.window.width);
        const auto outputs = static_cast<size_t>(shape.outputs);
        if (weights.size() != outputs * taps * (shape.dtype == Dtype::u8 ? 1 : 4) || scale.size() != outputs * 4 ||
            bias.size() != outputs * 4) {
            throw BuildError("a convolution's arrays don't have the size its shape says");
        }
        const auto* scales = reinterpret_cast<const float*>(scale.data());
        const auto* biases = reinterpret_cast<const float*>(bias.data());
        packed_ = pack_conv(shape, runs_, vectors, kernels_, zero_point - kernels.activation_offset, weights.data(), scales,
                            biases);
        epilogue_.within_int32 = within_int32(epilogue_, static_cast<int64_t>(taps), scales, biases, shape.outputs);
        plan_lines();
    }

    int64_t tasks(int64_t batch) const override {
        const int64_t images = across_images_ ? 1 : batch;
        return images * blocks() * lines_ * segments(batch);
    }

    // Tasks go through the pixels of a block of channels first: its weights stay in the cache.
    void run(const Frame& frame, int64_t begin, int64_t end) const override {
        ConvArgs common = args(frame);
        const int64_t segment_count = segments(frame.batch), line_pixels = across_images_ ? frame.batch : line_pixels_;
        int64_t configured = 0;
        Position at = position_of(begin, segment_count);
        for (int64_t task = begin; task < end; task += common.lines) {
            const int64_t first = segment_start(at.segment, segment_count, line_pixels);
            common.lines = segment_count == 1 ? std::min({end - task, lines_ - at.line, lines_together_}) : 1;
            aim(common, frame, at, first);
            run_tiles(common, segment_start(at.segment + 1, segment_count, line_pixels) - first, configured);
            for (int64_t i = 0; i < common.lines; ++i) advance(at, segment_count);
        }
        if (configured > 0) kernels_.release();
    }

    // Threads share an image by its lines, or by the pixels of its only one, rather than by blocks of channels: those of
    // a pixel often share a cache line, and what reads them next is cut by lines, too. By blocks where weights are many,
    // so that each thread reads its own, and where tiles are best left whole.
    void run_share(const Frame& frame, int64_t share, int64_t shares) const override {
        const bool many_weights = packed_.block_bytes * blocks() > kWeightBytesKept;
        if (across_images_ || many_weights || kernels_.configure) return Step::run_share(frame, share, shares);
        const int64_t per_image = lines_ == 1 ? line_pixels_ : lines_ * segments(frame.batch) * blocks();
        const int64_t all = frame.batch * per_image, begin = all * share / shares, end = all * (share + 1) / shares;
        if (begin == end) return;
        for (int64_t image = begin / per_image; image * per_image < end; ++image) {
            const int64_t from = std::max<int64_t>(begin - image * per_image, 0);
            const int64_t to = std::min(end - image * per_image, per_image);
            if (lines_ == 1) run_pixels(frame, image, from, to);
            else run_lines(frame, image, from, to);
        }
    }

    std::string kernel() const override { return kernels_.name; }

private:
    static constexpr int64_t kBytesTogether = 1 << 14;
    static constexpr int64_t kWeightBytesKept = 1 << 17;  // a part of a second cache, which other layers want as well

    // Of channels, over all groups.
    int64_t blocks() const { return shape_.groups * packed_.blocks_per_group; }

    ConvArgs args(const Frame& frame) const {
        ConvArgs a{};
        a.pixel_stride = across_images_ ? frame.stride(input_) : shape_.window.stride_x * input_.pixel_pitch;
        a.run_offsets = runs_.offsets.data();
        a.runs = static_cast<int64_t>(runs_.offsets.size());
        a.groups = packed_.groups_per_run;
        a.output_stride = across_images_ ? frame.stride(output_) : output_.pixel_pitch;
        if (has_residual()) a.residual_stride = across_images_ ? frame.stride(residual_) : residual_.pixel_pitch;
        a.lines = 1;
        a.input_line = shape_.window.stride_y * input_.row_pitch;
        a.output_line = output_.row_pitch;
        a.residual_line = residual_.row_pitch;
        a.epilogue = epilogue_;
        return a;
    }

    // Some pixels of an image that is one line, in all channels.
    void run_pixels(const Frame& frame, int64_t image, int64_t begin, int64_t end) const {
        ConvArgs a = args(frame);
        int64_t configured = 0;
        for (int64_t group = 0; group < shape_.groups; ++group) {
            for (int64_t block = 0; block < packed_.blocks_per_group; ++block) {
                aim(a, frame, {image, group, block, 0, 0}, begin);
                run_tiles(a, end - begin, configured);
            }
        }
    }

    // Some tasks of an image, counted line by line, all blocks of one before the next line's, but walked block by block.
    void run_lines(const Frame& frame, int64_t image, int64_t begin, int64_t end) const {
        const int64_t count = blocks(), per_block = lines_ * segments(frame.batch);
        for (int64_t block = 0; block < count; ++block) {
            const int64_t origin = (image * count + block) * per_block;
            run(frame, origin + (begin - block + count - 1) / count, origin + (end - block + count - 1) / count);
        }
    }

    // A line is what tiles run along: an image row; the whole image where a 1 × 1 window makes its rows one;
    // the images of a batch where each is a single pixel.
    void plan_lines() {
        const Window& w = shape_.window;
        const bool same_places = w.height * w.width == 1 && w.stride_y * w.stride_x == 1 && w.pad_y + w.pad_x == 0;
        auto rows_join = [](const Tensor& t) { return t.row_pitch == t.width * t.pixel_pitch; };
        across_images_ = output_.one_pixel();
        lines_ = output_.height;
        line_pixels_ = output_.width;
        if (same_places && rows_join(input_) && rows_join(output_) && (!has_residual() || rows_join(residual_))) {
            lines_ = 1;
            line_pixels_ = output_.height * output_.width;
        }
        // Short lines go several to a call, so long as what they read stays in the first cache.
        lines_together_ = std::clamp<int64_t>(kBytesTogether / (shape_.window.stride_y * input_.row_pitch), 1, 8);
    }

    // A line is cut into equal segments, which threads share; between whole tiles where their registers would have to
    // be configured anew for another size.
    int64_t segment_start(int64_t segment, int64_t segment_count, int64_t line_pixels) const {
        const int64_t start = line_pixels * segment / segment_count;
        return kernels_.configure && start < line_pixels ? start - start % most_pixels_ : start;
    }
    int64_t segments(int64_t batch) const {
        constexpr int64_t kTilesTogether = 4;  // enough to forget the call, few enough to share
        const int64_t most = most_pixels_ * kTilesTogether;
        return ((across_images_ ? batch : line_pixels_) + most - 1) / most;
    }
    bool has_residual() const { return epilogue_.residual_type != Dtype::none; }

    // Which piece of the work a task is; the last number runs fastest.
    struct Position {
        int64_t image, group, block, line, segment;
    };
    Position position_of(int64_t task, int64_t segment_count) const {
        Position at{};
        at.segment = task % segment_count;
        at.line = task / segment_count % lines_;
        const int64_t blocks = task / segment_count / lines_;
        at.block = blocks % packed_.blocks_per_group;
        at.group = blocks / packed_.blocks_per_group % shape_.groups;
        at.image = blocks / packed_.blocks_per_group / shape_.groups;
        return at;
    }
    // Counts on: four divisions for every task would cost as much as a small tile.
    void advance(Position& at, int64_t segment_count) const {
        if (++at.segment < segment_count) return;
        at.segment = 0;
        if (++at.line < lines_) return;
        at.line = 0;
        if (++at.block < packed_.blocks_per_group) return;
        at.block = 0;
        if (++at.group < shape_.groups) return;
        at.group = 0;
        ++at.image;
    }

    void aim(ConvArgs& a, const Frame& frame, const Position& at, int64_t first) const {
        const Window& w = shape_.window;
        const int64_t group_outputs = shape_.outputs / shape_.groups, channel = at.block * packed_.block_channels;
        const int64_t output_channel = at.group * group_outputs + channel;
        const int64_t block = at.group * packed_.blocks_per_group + at.block, lane = block * packed_.block_channels;
        const int64_t image = across_images_ ? first : at.image, x = across_images_ ? 0 : first;
        a.input = frame.at(input_, image) + (at.line * w.stride_y - w.pad_y) * input_.row_pitch +
                  (x * w.stride_x - w.pad_x) * input_.pixel_pitch +
                  at.group * (shape_.inputs / shape_.groups) * bytes_of(shape_.dtype);
        a.weights = packed_.weights.data() + block * packed_.block_bytes;
        a.start = packed_.start.as<int32_t>() + lane;
        a.output = frame.at(output_, image) + at.line * output_.row_pitch + x * output_.pixel_pitch +
                   output_channel * bytes_of(output_.dtype);
        if (has_residual()) {
            a.residual = frame.at(residual_, image) + at.line * residual_.row_pitch + x * residual_.pixel_pitch +
                         output_channel * bytes_of(residual_.dtype);
        }
        a.channels = std::min(packed_.block_channels, group_outputs - channel);
        a.epilogue.scale = packed_.scale.as<float>() + lane;
        a.epilogue.bias = packed_.bias.as<float>() + lane;
    }

    // Tiles of sizes that differ by at most one, so that none is left with a pixel or two. `configured`: the size
    // that this thread's tile registers are configured for; 0: none yet.
    void run_tiles(ConvArgs& a, int64_t pixels, int64_t& configured) const {
        const int64_t tiles = (pixels + most_pixels_ - 1) / most_pixels_;
        const int64_t size = pixels / tiles, larger = pixels % tiles;
        for (const auto& [m, count] : {std::pair{size + 1, larger}, std::pair{size, tiles - larger}}) {
            if (count == 0) continue;
            a.tiles = count;
            if (kernels_.configure && m != configured) {
                kernels_.configure(m, a.groups);
                configured = m;
            }
            kernels_.tile[packed_.vectors - 1][m - 1](a);
            a.input += count * m * a.pixel_stride;
            a.output += count * m * a.output_stride;
            a.residual += count * m * a.residual_stride;
        }
    }

    const ConvKernels& kernels_;
    Tensor input_, output_, residual_{};
    ConvShape shape_;
    Runs runs_;
    Epilogue epilogue_;
    PackedConv packed_;
    int64_t most_pixels_;
    bool across_images_;
    int64_t lines_, line_pixels_, lines_together_;
};

}  // namespace

std::unique_ptr<Step> make_conv(const KernelTable& kernels, const Tensors& tensors, Record& record) {
    const Tensor* input = tensor_of(tensors, record);
    const Tensor* output = tensor_of(tensors, record);
    const Tensor* residual = tensor_of(tensors, record, true);
    ConvShape shape;
    shape.window = read_window(record);
    shape.groups = record.integer();
    shape.inputs = input->channels;
    shape.outputs = output->channels;
    shape.dtype = input->dtype;
    const int64_t vectors = record.integer(), zero_point = record.integer();
    if (shape.groups < 1 || shape.inputs % shape.groups || shape.outputs % shape.groups) {
        throw BuildError("a convolution's channels don't divide into its groups");
    }
    if (!kernels_of(kernels, shape.dtype).name) {
        throw BuildError(std::string(kernels.isa) + " has no convolution for this type");
    }
    check_borders(*input, *output, shape.window);
    return std::make_unique<ConvStep>(kernels, *input, *output, residual, shape, vectors, zero_point, record);
}

}  // namespace wb
