// The entries of a table that are the same source for every vector instruction set. Included inside the file of
// each one that doesn't build on another's table; that file gives kAttentionRows, kWeightVectors and kRecurrentRows
// before, tiles and names after.

#include "conv_tile.inl"
#include "depthwise_f32.inl"
#include "depthwise_u8s8.inl"
#include "elementwise.inl"
#include "pooling.inl"
#include "rows.inl"

#include "dynamic.inl"
#include "weight_only.inl"
#include "recurrent.inl"
#include "attention.inl"
#include "read.inl"

KernelTable common_table() {
    KernelTable table{};
    table.depthwise_u8s8_block = kByteLanes;
    table.depthwise_f32_block = kLanes;
    table.depthwise_position = depthwise_position;
    table.depthwise_by_column = true;
    table.depthwise_u8s8 = depthwise_u8s8;
    table.depthwise_f32 = depthwise_f32;
    table.max_pool_u8 = max_pool_u8;
    table.max_pool_f32 = max_pool_floats<Dtype::f32>;
    table.max_pool_bf16 = max_pool_floats<Dtype::bf16>;
    table.average_pool_u8 = average_pool_u8;
    table.average_pool_f32 = average_pool_floats<Dtype::f32>;
    table.average_pool_bf16 = average_pool_floats<Dtype::bf16>;
    table.elementwise = elementwise;
    table.planes_to_bytes = planes_to_bytes;
    table.layer_norm = layer_norm;
    table.softmax = softmax;
    table.quantize_rows = quantize_rows;
    table.rescale_rows = rescale_rows;
    table.weight_only_block = kWeightVectors * kLanes;
    table.weight_only_s8 = weight_only<8>;
    table.weight_only_s4 = weight_only<4>;
    table.weight_only_s2 = weight_only<2>;
    table.weight_only_s1 = weight_only<1>;
    table.recurrent_block = kRecurrentUnits;
    table.gru_f32 = recurrent<Gru, Factors::f32>;
    table.gru_f32s8 = recurrent<Gru, Factors::f32s8>;
    table.gru_u8s8 = recurrent<Gru, Factors::u8s8>;
    table.lstm_f32 = recurrent<Lstm, Factors::f32>;
    table.lstm_f32s8 = recurrent<Lstm, Factors::f32s8>;
    table.lstm_u8s8 = recurrent<Lstm, Factors::u8s8>;
    table.group_norm = group_norm;
    table.attention = attention;
    table.read = read;
    return table;
}
