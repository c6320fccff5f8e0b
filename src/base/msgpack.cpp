#include "base/msgpack.h"

#include <algorithm>
#include <bit>
#include <limits>

// Debian's package can do without Boost, of which it would take two headers.
#define MSGPACK_NO_BOOST
#include <msgpack.hpp>

#include "base/assert.h"

namespace dunlin {

namespace {

constexpr std::uint64_t kMaxLength = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMaxPositive = std::numeric_limits<std::int64_t>::max();

// As many as most messages have.
constexpr std::size_t kTypicalTokens = 64;

// What the library's packer writes to.
struct AppendTo {
  Bytes& out;
  void write(const char* data, std::size_t size) {
    append(out, as_bytes(std::string_view(data, size)));
  }
};

std::uint32_t length_of(std::size_t size) {
  ASSERT(size <= kMaxLength);
  return static_cast<std::uint32_t>(size);
}

}  // namespace

// ---- Encoder ------------------------------------------------------------------------------------

void Encoder::nil() {
  AppendTo to{out_};
  msgpack::packer(to).pack_nil();
}

void Encoder::boolean(bool value) {
  AppendTo to{out_};
  value ? msgpack::packer(to).pack_true() : msgpack::packer(to).pack_false();
}

void Encoder::unsigned_integer(std::uint64_t value) {
  AppendTo to{out_};
  msgpack::packer(to).pack_uint64(value);
}

void Encoder::signed_integer(std::int64_t value) {
  AppendTo to{out_};
  msgpack::packer(to).pack_int64(value);
}

void Encoder::real(double value) {
  AppendTo to{out_};
  msgpack::packer(to).pack_double(value);
}

void Encoder::text(std::string_view value) {
  AppendTo to{out_};
  msgpack::packer(to).pack_str(length_of(value.size()));
  append(out_, as_bytes(value));
}

void Encoder::binary(ByteView value) {
  AppendTo to{out_};
  msgpack::packer(to).pack_bin(length_of(value.size()));
  append(out_, value);
}

void Encoder::array(std::size_t count) {
  AppendTo to{out_};
  msgpack::packer(to).pack_array(length_of(count));
}

void Encoder::map(std::size_t count) {
  AppendTo to{out_};
  msgpack::packer(to).pack_map(length_of(count));
}

// ---- Decoder ------------------------------------------------------------------------------------

// Makes a token of each value that the library meets. Extension types are none of ours.
class Decoder::Visitor : public msgpack::null_visitor {
 public:
  Visitor(const char* begin, std::vector<Token>& tokens) : begin_(begin), tokens_(tokens) {}

  bool visit_nil() { return add(Kind::kNil, 0); }
  bool visit_boolean(bool value) { return add(Kind::kBool, value); }
  bool visit_positive_integer(std::uint64_t value) { return add(Kind::kUnsigned, value); }
  bool visit_negative_integer(std::int64_t value) {
    return add(Kind::kNegative, static_cast<std::uint64_t>(value));
  }
  bool visit_float32(float value) { return visit_float64(value); }
  bool visit_float64(double value) { return add(Kind::kReal, std::bit_cast<std::uint64_t>(value)); }
  bool visit_str(const char* data, std::uint32_t size) { return add(Kind::kText, data, size); }
  bool visit_bin(const char* data, std::uint32_t size) { return add(Kind::kBinary, data, size); }
  bool visit_ext(const char*, std::uint32_t) { return false; }
  bool start_array(std::uint32_t count) { return open(Kind::kArray, count); }
  bool start_map(std::uint32_t count) { return open(Kind::kMap, count); }
  bool end_array() { return close(); }
  bool end_map() { return close(); }

 private:
  bool add(Kind kind, std::uint64_t number) {
    tokens_.push_back({kind, 0, number});
    return true;
  }
  bool add(Kind kind, const char* data, std::uint32_t size) {
    return add(kind, static_cast<std::uint64_t>(data - begin_) << 32 | size);
  }
  bool open(Kind kind, std::uint32_t count) {
    open_.push_back(tokens_.size());
    return add(kind, count);
  }
  bool close() {
    tokens_[open_.back()].end = static_cast<std::uint32_t>(tokens_.size());
    open_.pop_back();
    return true;
  }

  const char* begin_;
  std::vector<Token>& tokens_;
  std::vector<std::size_t> open_;
};

Decoder::Decoder(ByteView bytes) : bytes_(bytes) {
  // Places, sizes and tokens are counted in 32 bits; a frame is far smaller.
  ok_ = bytes.size() <= kMaxLength;
  if (!ok_) return;
  tokens_.reserve(std::min(bytes.size(), kTypicalTokens));
  const std::string_view text = as_text(bytes);
  Visitor visitor(text.data(), tokens_);
  std::size_t end = 0;
  ok_ = msgpack::parse(text.data(), text.size(), end, visitor) && end == text.size();
  ends_[0] = tokens_.size();
}

const Decoder::Token* Decoder::take(Kind kind) {
  ok_ = is_next(kind);
  return ok_ ? &tokens_[at_++] : nullptr;
}

bool Decoder::is_nil() {
  return is_next(Kind::kNil) && take(Kind::kNil) != nullptr;
}

bool Decoder::boolean() {
  const Token* token = take(Kind::kBool);
  return token != nullptr && token->number != 0;
}

std::uint64_t Decoder::unsigned_integer() {
  const Token* token = take(Kind::kUnsigned);
  return token == nullptr ? 0 : token->number;
}

std::int64_t Decoder::signed_integer() {
  const Token* token = take(is_next(Kind::kNegative) ? Kind::kNegative : Kind::kUnsigned);
  if (token == nullptr) return 0;
  if (token->kind == Kind::kUnsigned && token->number > kMaxPositive) ok_ = false;
  return ok_ ? static_cast<std::int64_t>(token->number) : 0;
}

double Decoder::real() {
  if (!is_next(Kind::kReal)) return static_cast<double>(signed_integer());
  return std::bit_cast<double>(take(Kind::kReal)->number);
}

std::string_view Decoder::text() {
  return as_text(take_bytes(Kind::kText));
}

ByteView Decoder::binary() {
  return take_bytes(Kind::kBinary);
}

ByteView Decoder::take_bytes(Kind kind) {
  const Token* token = take(kind);
  if (token == nullptr) return {};
  return bytes_.subspan(token->number >> 32, token->number & kMaxLength);
}

std::size_t Decoder::array() {
  return enter(Kind::kArray);
}

std::size_t Decoder::map() {
  return enter(Kind::kMap);
}

std::size_t Decoder::enter(Kind kind) {
  const Token* token = take(kind);
  if (depth_ == kMaxDepth) ok_ = false;
  if (!ok_) return 0;
  ends_[++depth_] = token->end;
  return token->number;
}

void Decoder::leave() {
  if (!ok_) return;
  ASSERT(depth_ > 0);
  // An element that began in the container ended in it, so this goes forward.
  at_ = ends_[depth_--];
}

}  // namespace dunlin
