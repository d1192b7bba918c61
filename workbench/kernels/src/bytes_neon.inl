// A table that differs from plain NEON's by an instruction for four products of bytes. Included after
// activation.inl, dot.inl and DotU8S8 in the file of each.

#include "conv_tile.inl"
#include "depthwise_u8s8.inl"

// Sums of four gates, a factor for each row, and a weight within 32 registers.
constexpr int kRecurrentRows = 6;

#include "recurrent.inl"

KernelTable with_bytes(KernelTable table, const char* conv_name, const char* depthwise_name) {
    table.conv_u8s8 = {};
    table.conv_u8s8.name = conv_name;
    table.conv_u8s8.lanes = kLanes;
    // M · NB sums, NB weights and a broadcast within 32 registers.
    fill_tiles<DotU8S8, 1, 16>(table.conv_u8s8);
    fill_tiles<DotU8S8, 2, 14>(table.conv_u8s8);
    fill_tiles<DotU8S8, 3, 9>(table.conv_u8s8);
    fill_tiles<DotU8S8, 4, 6>(table.conv_u8s8);
    table.depthwise_u8s8_name = depthwise_name;
    table.depthwise_u8s8 = depthwise_u8s8;
    table.gru_u8s8 = recurrent<Gru, Factors::u8s8>;
    table.lstm_u8s8 = recurrent<Lstm, Factors::u8s8>;
    return table;
}
