// The picture of one output of a convolution.
#pragma once
#include <isobit/explain.h>

namespace isobit::cli {

/// The padded input with the window, what the padding's cells read, the filter, the products and their sum,
/// for the first channels that the output reads: u8 [h, w, 3]. x [n, h, w, c] and w [r, s, c/groups, k] are
/// those of `trace`; options' padding is given as {before, after} of each axis. Throws Error for other ranks,
/// and for windows of more than 12 rows or columns.
Tensor explain_picture(const ConvTrace& trace, const Tensor& x, const Tensor& w);

}  // namespace isobit::cli
