#include "os/json_writer.h"

#include <cstdio>

#include "os/base64.h"
#include "os/utf8.h"

namespace dunlin {

namespace {

// Of what stands in JSON as it is.
std::size_t plain_length(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size() && text[length] >= 0x20 && text[length] < 0x7F &&
         text[length] != '"' && text[length] != '\\') {
    ++length;
  }
  return length;
}

}  // namespace

void JsonWriter::separate() {
  if (!bare_) out_ += ',';
  bare_ = false;
}

void JsonWriter::open(char bracket) {
  separate();
  out_ += bracket;
  bare_ = true;
}

void JsonWriter::key(std::string_view name) {
  value(name);
  out_ += ':';
  bare_ = true;
}

void JsonWriter::literal(std::string_view json) {
  separate();
  out_ += json;
}

void JsonWriter::exact_value(std::string_view text) {
  if (is_utf8(text)) return value(text);
  begin_object();
  field("base64", to_base64(text));
  end_object();
}

void JsonWriter::exact_field(std::string_view name, const std::map<std::string, std::string>& map) {
  key(name);
  begin_object();
  for (const auto& [inner, text] : map) exact_field(inner, text);
  end_object();
}

void JsonWriter::value(std::string_view text) {
  separate();
  out_ += '"';
  while (!text.empty()) {
    const std::size_t plain = plain_length(text);
    out_ += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const auto c = static_cast<unsigned char>(text.front());
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      out_ += "\xEF\xBF\xBD";
      text.remove_prefix(1);
      continue;
    }
    if (c == '"' || c == '\\') {
      out_ += '\\';
      out_ += text.front();
    } else if (c == '\n') {
      out_ += "\\n";
    } else if (c == '\t') {
      out_ += "\\t";
    } else if (c < 0x20 || c == 0x7F) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out_ += escape;
    } else {
      out_ += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  out_ += '"';
}

}  // namespace dunlin
