#include "base/bytes.h"

namespace dunlin {

namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase32Digits = "0123456789abcdefghjkmnpqrstvwxyz";

int digit_value(std::string_view digits, char c) {
  const std::size_t at = digits.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes to_bytes(std::string_view text) {
  return to_bytes(as_bytes(text));
}

Bytes to_bytes(ByteView view) {
  return {view.begin(), view.end()};
}

std::string to_text(ByteView bytes) {
  return std::string(as_text(bytes));
}

void append(Bytes& to, ByteView more) {
  to.insert(to.end(), more.begin(), more.end());
}

std::string to_hex(ByteView bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text.push_back(kHexDigits[byte >> 4]);
    text.push_back(kHexDigits[byte & 15]);
  }
  return text;
}

bool from_hex(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() != out.size() * 2) return false;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = digit_value(kHexDigits, text[2 * i]);
    const int low = digit_value(kHexDigits, text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return true;
}

std::string to_base32(ByteView bytes) {
  std::string text;
  std::uint32_t pending = 0;
  int bits = 0;
  for (const std::uint8_t byte : bytes) {
    pending = (pending << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text.push_back(kBase32Digits[(pending >> bits) & 31]);
    }
  }
  if (bits > 0) text.push_back(kBase32Digits[(pending << (5 - bits)) & 31]);
  return text;
}

bool from_base32(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() != (out.size() * 8 + 4) / 5) return false;
  std::uint32_t pending = 0;
  int bits = 0;
  std::size_t filled = 0;
  for (const char c : text) {
    const int value = digit_value(kBase32Digits, c);
    if (value < 0) return false;
    pending = (pending << 5) | static_cast<std::uint32_t>(value);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out[filled++] = static_cast<std::uint8_t>(pending >> bits);
    }
  }
  const std::uint32_t padding = pending & ((1U << bits) - 1U);
  return filled == out.size() && padding == 0;
}

void put_u32(std::uint8_t* to, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<std::uint8_t>(value >> (8 * i));
}

void put_u64(std::uint8_t* to, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) to[i] = static_cast<std::uint8_t>(value >> (8 * i));
}

std::uint32_t get_u32(const std::uint8_t* from) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = (value << 8) | from[i];
  return value;
}

std::uint64_t get_u64(const std::uint8_t* from) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = (value << 8) | from[i];
  return value;
}

}  // namespace dunlin
