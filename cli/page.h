// An HTML page that holds its pictures.
#pragma once
#include <isobit/tensor.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace isobit::cli {

/// Text as HTML shows it.
std::string escaped(std::string_view text);

/// Written from the top to the bottom.
class Page {
 public:
  explicit Page(const std::string& title);
  /// level 1 to 3.
  void heading(int level, const std::string& text);
  void paragraph(const std::string& text);
  /// Figures stand beside each other as far as there is room, between begin_row and end_row; those of a row
  /// within a row always.
  void begin_row();
  void end_row();
  /// `width`: how many pixels of the screen the picture is wide (less where the screen has less). The caption
  /// is also what is read where pictures are not seen.
  void figure(const Tensor& image, std::int64_t width, const std::string& caption);
  /// A name, a bar of the length `share` (0 to 1) and words.
  void bar(const std::string& name, double share, const std::string& words);
  /// The whole page.
  std::string finish();

 private:
  std::string html_;
};

}  // namespace isobit::cli
