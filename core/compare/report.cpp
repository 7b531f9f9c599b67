// The report: one page of HTML that needs nothing else, with its pictures as data URIs.
#include <isobit/compare_network.h>
#include <isobit/error.h>
#include <isobit/io.h>

#include <algorithm>
#include <cmath>

namespace isobit::compare {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string base64(const std::vector<std::uint8_t>& bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve(bytes.size() * 4 / 3 + 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t three = 0;
    for (std::size_t b = 0; b < 3; ++b) three = three << 8 | (b < count ? bytes[i + b] : 0u);
    for (std::size_t d = 0; d < 4; ++d) out += d <= count ? kDigits[three >> (18 - 6 * d) & 63u] : '=';
  }
  return out;
}

// Blue for what is as it should be, orange for what is wrong, sand for what lies between: told apart by
// everybody, and every verdict has its word beside it.
constexpr const char* kStyle = R"css(
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 0 auto; max-width: 72rem; padding: 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-top: 1px solid #ccc; padding-top: 1rem; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; } p { margin: .4rem 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.v { display: inline-block; padding: 0 .5rem; border-radius: .3rem; white-space: nowrap; font-weight: 600; }
.good { background: #d6e6f4; color: #08306b; } .between { background: #f1e9d2; color: #4d3b00; } .bad { background: #a63d00; color: #fff; }
.places { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); gap: 0 1.5rem; }
.bar { display: grid; grid-template-columns: 5.5rem 1fr 8rem; gap: .5rem; align-items: center; font-size: .85rem; line-height: 1.35; }
.bar i { display: block; height: .7rem; background: #e8e8e8; } .bar i b { display: block; height: 100%; background: #d55e00; }
.bar span:last-child { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
img { image-rendering: pixelated; max-width: 100%; border: 1px solid #999; } figure { margin: .8rem 0; } figcaption { font-size: .85rem; }
.scale { display: inline-block; width: 9rem; height: .7rem; vertical-align: middle;
  background: linear-gradient(90deg, #440154, #3b518b, #21908d, #5cc863, #fde725); }
@media (max-width: 40rem) { body { padding: .6rem; font-size: 15px; }
  thead { display: none; } tr { display: block; border-bottom: 1px solid #999; padding: .4rem 0; }
  td, td.n { display: flex; justify-content: space-between; gap: 1rem; text-align: right; border: 0; padding: .1rem 0; white-space: normal; }
  td::before { content: attr(data-name); color: #555; text-align: left; } td:empty { display: none; } }
)css";

std::string badge(Verdict v) {
  const char* kind = v == Verdict::bit_equal || v == Verdict::reordered        ? "good"
                     : v == Verdict::lower_precision || v == Verdict::overflow ? "between"
                                                                               : "bad";
  return fmt::format("<span class=\"v {}\">{}</span>", kind, name_of(v));
}

std::string number(double v) {
  return std::isfinite(v) ? fmt::format("{:.3g}", v) : "not finite";
}

void row(std::string& html, const LayerResult& r, std::size_t index) {
  const Judgement& j = r.judgement;
  const bool equal = j.verdict == Verdict::bit_equal;
  const std::string layer = escaped(r.path + " " + r.layer);
  html += fmt::format(
      "<tr><td data-name=\"layer\">{}</td><td data-name=\"tensor\">{}</td><td data-name=\"verdict\">{}</td>",
      equal ? layer : fmt::format("<a href=\"#r{}\">{}</a>", index, layer), escaped(r.tensor),
      badge(j.verdict));
  for (const auto& [name, v] : {std::pair<const char*, double>{"largest share", j.max_share},
                                {"median share", j.median_share},
                                {"times exact mode's error", j.ratio}})
    html += fmt::format("<td class=\"n\" data-name=\"{}\">{}</td>", name, equal ? "" : number(v));
  std::string words = j.explanation;
  if (!r.derived && !equal) words += words.empty() ? "by a yardstick" : " (by a yardstick)";
  html += fmt::format("<td data-name=\"explained by\">{}</td></tr>\n", escaped(words));
}

void draw(std::string& html, const Where& where) {
  if (!where.map.defined() || where.map.numel() == 0) return;
  constexpr std::int64_t kPixels = 320, kMost = 4096;
  const std::int64_t rows = where.map.shape(0), columns = where.map.shape(1);
  if (rows > kMost || columns > kMost) return;
  const std::int64_t scale = std::clamp<std::int64_t>(kPixels / std::max(rows, columns), 1, 32);
  double most = 0;
  for (const float share : where.map.data<float>())
    if (std::isfinite(share)) most = std::max(most, static_cast<double>(share));
  if (most == 0) most = 1;
  html += fmt::format(
      "<figure><img alt=\"heat map of the share of the bound, {0} by {1} over {2}\" "
      "src=\"data:image/png;base64,{3}\"><figcaption>Largest share of the bound at each place ({2}; {0} x "
      "{1}): 0 "
      "<span class=\"scale\"></span> {4}. White: not finite.</figcaption></figure>\n",
      rows, columns, escaped(where.map_axes), base64(io::encode_png(heat_map(where.map, most, scale))),
      number(most));
}

/// A line and indented ones as a paragraph and a list.
std::string list_of(const std::string& text) {
  std::string html;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = escaped(text.substr(at, end - at));
    html += html.empty() ? fmt::format("<p>{}</p>\n<ul>\n", line) : fmt::format("<li>{}</li>\n", line);
    at = end + 1;
  }
  return html.empty() ? html : html + "</ul>\n";
}

void details(std::string& html, const LayerResult& r, std::size_t index) {
  const Judgement& j = r.judgement;
  html += fmt::format("<h2 id=\"r{}\">{} {}: {} {}</h2>\n", index, escaped(r.path), escaped(r.layer),
                      escaped(r.tensor), badge(j.verdict));
  if (!j.explanation.empty())
    html += fmt::format("<p><strong>Explained by: {}.</strong></p>\n", escaped(j.explanation));
  if (!j.where.words.empty())
    html += fmt::format("<p><strong>Where:</strong> {}.</p>\n", escaped(j.where.words));
  html += fmt::format(
      "<p>{} of {} elements differ in their bits, {} are beyond the {}. Largest share of it {}, median {}; "
      "the rms error is "
      "{} times exact mode's, the largest error {}.</p>\n",
      j.different, j.numel, j.beyond, r.derived ? "bound of exact arithmetic in another order" : "yardstick",
      number(j.max_share), number(j.median_share), number(j.ratio), number(j.max_error));
  if (j.first >= 0)
    html += fmt::format("<p>First at element {}: {} instead of {}.</p>\n", j.first, j.got, j.expected);
  if (r.problem) html += fmt::format("<p>{}</p>\n", escaped(r.problem->to_string()));
  if (!j.others.empty())
    html += fmt::format("<p>It would be explained as well by: {}.</p>\n",
                        escaped(fmt::format("{}", fmt::join(j.others, "; "))));
  if (!j.note.empty()) html += fmt::format("<p>{}.</p>\n", escaped(j.note));
  draw(html, j.where);
  if (j.where.words.empty()) return;
  double highest = 0;
  for (const Feature& f : j.where.features)
    for (const Bucket& b : f.buckets)
      highest = std::max(highest, static_cast<double>(b.wrong) / static_cast<double>(b.total));
  if (highest == 0) return;
  html +=
      "<p>How many are wrong, place by place; the longest bar is the highest rate.</p>\n<div "
      "class=\"places\">\n";
  for (const Feature& f : j.where.features) {
    html += fmt::format("<div><h3>{}</h3>\n", escaped(f.name));
    for (const Bucket& b : f.buckets) {
      const double percent = 100 * static_cast<double>(b.wrong) / static_cast<double>(b.total) / highest;
      html += fmt::format(
          "<div class=\"bar\"><span>{}</span><i><b style=\"width:{:.1f}%\"></b></i><span>{} of "
          "{}</span></div>\n",
          escaped(b.name), percent, b.wrong, b.total);
    }
    html += "</div>\n";
  }
  html += "</div>\n";
}

}  // namespace

std::string to_html(const NetworkComparison& c) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\"><title>isobit compare: "
      "{0}</title>\n<style>{1}</style></head>\n<body>\n"
      "<h1>{0}: {2} and {3}</h1>\n",
      escaped(c.model), kStyle, escaped(c.reference),
      escaped(c.operands == "f32" ? c.other
                                  : fmt::format("{} with operands rounded to {}", c.other, c.operands)));
  std::size_t equal = 0;
  for (const LayerResult& r : c.layers) equal += r.judgement.verdict == Verdict::bit_equal;
  html += fmt::format("<p>{} of {} tensors have the same bits.</p>\n", equal, c.layers.size());
  if (const LayerResult* first = c.first_difference())
    html += fmt::format("<p>They part first at layer {} ({}), {}: {}.</p>\n", escaped(first->path),
                        escaped(first->layer), escaped(first->tensor), name_of(first->judgement.verdict));
  html += list_of(c.wrong_layers());
  if (c.end_to_end >= 0)
    html += c.end_to_end_equal
                ? "<p>End to end, without help in between: the same bits.</p>\n"
                : fmt::format(
                      "<p>End to end, without help in between: the largest difference is {} of the largest "
                      "output.</p>\n",
                      number(c.end_to_end));
  html +=
      "<p>Every layer got the same input on both sides. A share is an element's error as a part of the bound "
      "that any "
      "order of exact arithmetic keeps: up to 1 it may be another order of summation, beyond 1 it is "
      "not.</p>\n"
      "<div class=\"wide\"><table><thead><tr><th>layer</th><th>tensor</th><th>verdict</th><th "
      "class=\"n\">largest "
      "share</th><th class=\"n\">median</th><th class=\"n\">rms error / exact</th><th>explained "
      "by</th></tr></thead><tbody>\n";
  for (std::size_t i = 0; i < c.layers.size(); ++i) row(html, c.layers[i], i);
  html += "</tbody></table></div>\n";
  if (!c.skipped.empty())
    html += fmt::format("<p>Not compared: {}.</p>\n", escaped(fmt::format("{}", fmt::join(c.skipped, "; "))));
  for (std::size_t i = 0; i < c.layers.size(); ++i)
    if (c.layers[i].judgement.verdict != Verdict::bit_equal) details(html, c.layers[i], i);
  return html + "</body></html>\n";
}

}  // namespace isobit::compare
