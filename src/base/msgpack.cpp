#include "base/msgpack.h"

#include <bit>
#include <limits>

#include "base/assert.h"

namespace dunlin {

namespace {

// First bytes of values, as the specification names them; those called Fix carry value or length.
constexpr std::uint8_t kFixMap = 0x80;
constexpr std::uint8_t kFixArray = 0x90;
constexpr std::uint8_t kFixStr = 0xa0;
constexpr std::uint8_t kNilByte = 0xc0;
constexpr std::uint8_t kFalseByte = 0xc2;
constexpr std::uint8_t kTrueByte = 0xc3;
constexpr std::uint8_t kBin8 = 0xc4;
constexpr std::uint8_t kFloat32 = 0xca;
constexpr std::uint8_t kFloat64 = 0xcb;
constexpr std::uint8_t kUint8 = 0xcc;
constexpr std::uint8_t kInt8 = 0xd0;
constexpr std::uint8_t kStr8 = 0xd9;
constexpr std::uint8_t kArray16 = 0xdc;
constexpr std::uint8_t kMap16 = 0xde;
constexpr std::uint8_t kNegativeFix = 0xe0;

constexpr std::uint64_t kMaxLength = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMaxPositive = std::numeric_limits<std::int64_t>::max();

// 8-, 16-, 32- and 64-bit forms of a kind have consecutive first bytes: which of them, from 0.
int shortest_form(std::uint64_t value) {
  const auto bits = std::bit_width(value);
  return bits <= 8 ? 0 : bits <= 16 ? 1 : bits <= 32 ? 2 : 3;
}

}  // namespace

// ---- Encoder ----------------------------------------------------------------------------------

void Encoder::head(std::uint8_t kind, std::uint64_t value, int width) {
  out_.push_back(kind);
  for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) {
    out_.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

void Encoder::nil() {
  out_.push_back(kNilByte);
}

void Encoder::boolean(bool value) {
  out_.push_back(value ? kTrueByte : kFalseByte);
}

void Encoder::unsigned_integer(std::uint64_t value) {
  if (value < 0x80) return out_.push_back(static_cast<std::uint8_t>(value));
  const int form = shortest_form(value);
  head(static_cast<std::uint8_t>(kUint8 + form), value, 1 << form);
}

void Encoder::signed_integer(std::int64_t value) {
  if (value >= 0) return unsigned_integer(static_cast<std::uint64_t>(value));
  const auto raw = static_cast<std::uint64_t>(value);
  if (value >= -32) return out_.push_back(static_cast<std::uint8_t>(raw));
  // One bit of the form is the sign: -129 needs 16 bits, as 128 does when it is read as signed.
  const int form = shortest_form(~raw << 1);
  head(static_cast<std::uint8_t>(kInt8 + form), raw, 1 << form);
}

void Encoder::real(double value) {
  head(kFloat64, std::bit_cast<std::uint64_t>(value), 8);
}

void Encoder::text(std::string_view value) {
  ASSERT(value.size() <= kMaxLength);
  if (value.size() < 32) {
    out_.push_back(static_cast<std::uint8_t>(kFixStr | value.size()));
  } else {
    const int form = shortest_form(value.size());
    head(static_cast<std::uint8_t>(kStr8 + form), value.size(), 1 << form);
  }
  append(out_, as_bytes(value));
}

void Encoder::binary(ByteView value) {
  ASSERT(value.size() <= kMaxLength);
  const int form = shortest_form(value.size());
  head(static_cast<std::uint8_t>(kBin8 + form), value.size(), 1 << form);
  append(out_, value);
}

void Encoder::array(std::size_t count) {
  ASSERT(count <= kMaxLength);
  if (count < 16) return out_.push_back(static_cast<std::uint8_t>(kFixArray | count));
  const bool is_wide = count > 0xffff;
  head(static_cast<std::uint8_t>(kArray16 + is_wide), count, is_wide ? 4 : 2);
}

void Encoder::map(std::size_t count) {
  ASSERT(count <= kMaxLength);
  if (count < 16) return out_.push_back(static_cast<std::uint8_t>(kFixMap | count));
  const bool is_wide = count > 0xffff;
  head(static_cast<std::uint8_t>(kMap16 + is_wide), count, is_wide ? 4 : 2);
}

// ---- Decoder ----------------------------------------------------------------------------------

namespace {

std::uint64_t sign_extended(std::uint64_t raw, int width) {
  const int unused = 64 - 8 * width;
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(raw << unused) >> unused);
}

}  // namespace

// A value's kind and the number that says it whole, or its length or count.
struct Decoder::Head {
  enum class Kind : std::uint8_t {
    kInvalid,
    kNil,
    kBool,
    kUnsigned,
    kSigned,
    kReal,
    kStr,
    kBin,
    kArray,
    kMap
  };
  Kind kind = Kind::kInvalid;
  std::uint8_t width = 0;    // bytes of number behind the first byte
  std::uint64_t number = 0;  // of a signed integer: its two's complement

  // What a first byte from 0xc0 to 0xdf means. None of ours is an extension type (0xc7-0xc9,
  // 0xd4-0xd8), and 0xc1 is never used: they are invalid.
  static Head of(std::uint8_t first) {
    using enum Kind;
    // The forms of a kind have consecutive first bytes, each twice as wide as the one before.
    const auto sized = [first](Kind sized_kind, std::uint8_t smallest, int least_width) {
      return Head{sized_kind, static_cast<std::uint8_t>(least_width << (first - smallest)), 0};
    };
    if (first == kNilByte) return {kNil, 0, 0};
    if (first == kFalseByte || first == kTrueByte) return {kBool, 0, first == kTrueByte};
    if (first >= kBin8 && first < kBin8 + 3) return sized(kBin, kBin8, 1);
    if (first >= kFloat32 && first < kUint8) return sized(kReal, kFloat32, 4);
    if (first >= kUint8 && first < kInt8) return sized(kUnsigned, kUint8, 1);
    if (first >= kInt8 && first < kInt8 + 4) return sized(kSigned, kInt8, 1);
    if (first >= kStr8 && first < kArray16) return sized(kStr, kStr8, 1);
    if (first >= kArray16 && first < kMap16) return sized(kArray, kArray16, 2);
    if (first >= kMap16 && first < kNegativeFix) return sized(kMap, kMap16, 2);
    return {};
  }
};

Decoder::Head Decoder::take_head() {
  if (!ok_ || left_[depth_] == 0) {
    ok_ = false;
    return {};
  }
  --left_[depth_];
  const ByteView at = take(1);
  if (!ok_) return {};
  const std::uint8_t first = at[0];
  using enum Head::Kind;
  if (first < kFixMap) return {kUnsigned, 0, first};
  if (first < kFixArray) return {kMap, 0, first & 0x0fU};
  if (first < kFixStr) return {kArray, 0, first & 0x0fU};
  if (first < kNilByte) return {kStr, 0, first & 0x1fU};
  if (first >= kNegativeFix) return {kSigned, 0, sign_extended(first, 1)};

  Head head = Head::of(first);
  if (head.kind == kInvalid) ok_ = false;
  for (const std::uint8_t byte : take(head.width)) head.number = head.number << 8 | byte;
  if (head.kind == kSigned) head.number = sign_extended(head.number, head.width);
  return ok_ ? head : Head{};
}

ByteView Decoder::take(std::size_t size) {
  if (size > rest_.size()) ok_ = false;
  if (!ok_) return {};
  const ByteView taken = rest_.first(size);
  rest_ = rest_.subspan(size);
  return taken;
}

bool Decoder::is_finished() const {
  return ok_ && depth_ == 0 && left_[0] == 0 && rest_.empty();
}

bool Decoder::is_nil() {
  if (!ok_ || left_[depth_] == 0 || rest_.empty() || rest_[0] != kNilByte) return false;
  return take_head().kind == Head::Kind::kNil;
}

bool Decoder::boolean() {
  const Head head = take_head();
  if (head.kind != Head::Kind::kBool) ok_ = false;
  return ok_ && head.number != 0;
}

std::uint64_t Decoder::unsigned_integer() {
  const Head head = take_head();
  // Signed forms may carry what is not negative; some encoders write them so.
  const bool is_whole = head.kind == Head::Kind::kUnsigned ||
                        (head.kind == Head::Kind::kSigned && head.number <= kMaxPositive);
  if (!is_whole) ok_ = false;
  return ok_ ? head.number : 0;
}

std::int64_t Decoder::signed_integer() {
  const Head head = take_head();
  const bool fits = head.kind == Head::Kind::kSigned ||
                    (head.kind == Head::Kind::kUnsigned && head.number <= kMaxPositive);
  if (!fits) ok_ = false;
  return ok_ ? static_cast<std::int64_t>(head.number) : 0;
}

double Decoder::real() {
  const Head head = take_head();
  if (head.kind != Head::Kind::kReal) ok_ = false;
  if (!ok_) return 0;
  if (head.width == 4) return std::bit_cast<float>(static_cast<std::uint32_t>(head.number));
  return std::bit_cast<double>(head.number);
}

std::string_view Decoder::text() {
  const Head head = take_head();
  if (head.kind != Head::Kind::kStr) ok_ = false;
  return as_text(take(head.number));
}

ByteView Decoder::binary() {
  const Head head = take_head();
  if (head.kind != Head::Kind::kBin) ok_ = false;
  return take(head.number);
}

std::size_t Decoder::array() {
  const Head head = take_head();
  if (head.kind != Head::Kind::kArray) ok_ = false;
  return enter(head.number, 1);
}

std::size_t Decoder::map() {
  const Head head = take_head();
  if (head.kind != Head::Kind::kMap) ok_ = false;
  return enter(head.number, 2);
}

// Every value takes a byte at least, so a count that the bytes left cannot hold is a lie.
std::size_t Decoder::enter(std::uint64_t count, std::uint64_t values_each) {
  if (depth_ == kMaxDepth || count * values_each > rest_.size()) ok_ = false;
  if (!ok_) return 0;
  left_[++depth_] = count * values_each;
  return count;
}

void Decoder::leave() {
  // What is passed over has no depth: one counter holds all that is still to come, and is never
  // above the bytes that are left.
  std::uint64_t values = ok_ ? left_[depth_] : 0;
  while (values > 0 && ok_) {
    left_[depth_] = 1;
    const Head head = take_head();
    --values;
    switch (head.kind) {
      case Head::Kind::kStr:
      case Head::Kind::kBin: take(head.number); break;
      case Head::Kind::kArray: values += head.number; break;
      case Head::Kind::kMap: values += 2 * head.number; break;
      default: break;
    }
    if (values > rest_.size()) ok_ = false;
  }
  if (!ok_) return;
  ASSERT(depth_ > 0);
  --depth_;
}

}  // namespace dunlin
