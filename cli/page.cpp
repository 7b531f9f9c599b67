#include "cli/page.h"

#include <fmt/format.h>
#include <isobit/picture.h>

#include <algorithm>

namespace isobit::cli {
namespace {

constexpr const char* kStyle = R"css(
  body { font: 16px/1.45 system-ui, sans-serif; color: #222; background: #fff; margin: 0 auto; padding: 0 12px 48px;
         max-width: 1200px; overflow-wrap: anywhere; }
  h1 { font-size: 26px; } h2 { font-size: 21px; margin: 36px 0 4px; border-top: 1px solid #ccc; padding-top: 16px; }
  h3 { font-size: 17px; margin: 20px 0 2px; } p { margin: 4px 0 8px; max-width: 75ch; }
  .row { display: flex; flex-wrap: wrap; gap: 8px; align-items: flex-start; } .row .row { flex-wrap: nowrap; }
  figure { margin: 0; max-width: 100%; } figcaption { font-size: 13px; line-height: 1.25; }
  img { display: block; max-width: 100%; height: auto; image-rendering: pixelated; border: 1px solid #bbb; box-sizing: border-box; }
  .bar { display: grid; grid-template-columns: minmax(6em, 11em) 1fr 4.5em; gap: 8px; max-width: 560px; font-size: 14px; }
  .bar span:nth-child(2) { background: linear-gradient(#005ab5, #005ab5) no-repeat 0 50% / var(--share) 60%; }
)css";

}  // namespace

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '&')
      result += "&amp;";
    else if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (c == '"')
      result += "&quot;";
    else
      result += static_cast<unsigned char>(c) < 0x20U ? ' ' : c;
  }
  return result;
}

Page::Page(const std::string& title) {
  html_ = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n<title>{}</title>\n<style>{}</style>\n"
      "</head>\n<body>\n",
      escaped(title), kStyle);
  heading(1, title);
}

void Page::heading(int level, const std::string& text) {
  html_ += fmt::format("<h{0}>{1}</h{0}>\n", level, escaped(text));
}

void Page::paragraph(const std::string& text) {
  html_ += fmt::format("<p>{}</p>\n", escaped(text));
}

void Page::begin_row() {
  html_ += "<div class=\"row\">\n";
}

void Page::end_row() {
  html_ += "</div>\n";
}

void Page::figure(const Tensor& image, std::int64_t width, const std::string& caption) {
  const std::string words = escaped(caption);
  html_ += fmt::format(
      "<figure style=\"width:{}px\"><img width=\"{}\" alt=\"{}\" "
      "src=\"{}\"><figcaption>{}</figcaption></figure>\n",
      width, width, words, picture::data_uri(image), words);
}

void Page::bar(const std::string& name, double share, const std::string& words) {
  html_ += fmt::format(
      "<div class=\"bar\"><span>{}</span><span style=\"--share:{:.1f}%\"></span><span>{}</span></div>\n",
      escaped(name), 100 * std::clamp(share, 0.0, 1.0), escaped(words));
}

std::string Page::finish() {
  return html_ + "</body>\n</html>\n";
}

}  // namespace isobit::cli
