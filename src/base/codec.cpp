#include "base/codec.h"

#include <msgpack.hpp>

namespace dunlin {

namespace {

constexpr std::size_t kMaxDepth = 32;

// What msgpack's packer writes to.
struct Sink {
  Bytes& out;
  void write(const char* data, std::size_t size) {
    append(out, {reinterpret_cast<const std::uint8_t*>(data), size});
  }
};

msgpack::packer<Sink> packer(Sink& sink) {
  return msgpack::packer<Sink>(sink);
}

// Strings stay where they are in the caller's bytes instead of being copied.
bool refer_to_input(msgpack::type::object_type, std::size_t, void*) {
  return true;
}

}  // namespace

void Encoder::nil() {
  Sink sink{out_};
  packer(sink).pack_nil();
}

void Encoder::boolean(bool value) {
  Sink sink{out_};
  if (value) {
    packer(sink).pack_true();
  } else {
    packer(sink).pack_false();
  }
}

void Encoder::unsigned_integer(std::uint64_t value) {
  Sink sink{out_};
  packer(sink).pack_uint64(value);
}

void Encoder::signed_integer(std::int64_t value) {
  Sink sink{out_};
  packer(sink).pack_int64(value);
}

void Encoder::real(double value) {
  Sink sink{out_};
  packer(sink).pack_double(value);
}

void Encoder::text(std::string_view value) {
  Sink sink{out_};
  auto pack = packer(sink);
  pack.pack_str(static_cast<std::uint32_t>(value.size()));
  pack.pack_str_body(value.data(), static_cast<std::uint32_t>(value.size()));
}

void Encoder::binary(ByteView value) {
  Sink sink{out_};
  auto pack = packer(sink);
  pack.pack_bin(static_cast<std::uint32_t>(value.size()));
  pack.pack_bin_body(as_text(value).data(), static_cast<std::uint32_t>(value.size()));
}

void Encoder::array(std::size_t count) {
  Sink sink{out_};
  packer(sink).pack_array(static_cast<std::uint32_t>(count));
}

void Encoder::map(std::size_t count) {
  Sink sink{out_};
  packer(sink).pack_map(static_cast<std::uint32_t>(count));
}

// A stack of positions in msgpack's object tree: the innermost container and how far it was read.
struct Decoder::State {
  struct Level {
    const msgpack::object* items = nullptr;  // map: key, value, key, value ...
    std::size_t count = 0;
    std::size_t next = 0;
  };

  msgpack::object_handle tree;
  std::vector<Level> levels;
  bool ok = true;

  const msgpack::object* take() {
    if (!ok) return nullptr;
    Level& level = levels.back();
    if (level.next == level.count) {
      ok = false;
      return nullptr;
    }
    return &level.items[level.next++];
  }

  const msgpack::object* take(msgpack::type::object_type type) {
    const msgpack::object* object = take();
    if (object != nullptr && object->type != type) {
      ok = false;
      return nullptr;
    }
    return object;
  }
};

Decoder::Decoder(ByteView bytes) : state_(std::make_unique<State>()) {
  // No container can hold more elements than there are bytes, which bounds what is allocated.
  const std::size_t most = bytes.size();
  const msgpack::unpack_limit limit(most, most, most, most, most, kMaxDepth);
  try {
    std::size_t offset = 0;
    state_->tree = msgpack::unpack(as_text(bytes).data(), bytes.size(), offset, refer_to_input,
                                   nullptr, limit);
    state_->ok = offset == bytes.size();
  } catch (const std::exception&) {
    state_->ok = false;
  }
  state_->levels.push_back({&state_->tree.get(), 1, 0});
}

Decoder::~Decoder() = default;

bool Decoder::ok() const {
  return state_->ok;
}

void Decoder::fail() {
  state_->ok = false;
}

bool Decoder::is_nil() {
  if (!state_->ok) return false;
  State::Level& level = state_->levels.back();
  if (level.next == level.count || level.items[level.next].type != msgpack::type::NIL) return false;
  ++level.next;
  return true;
}

bool Decoder::boolean() {
  const msgpack::object* object = state_->take(msgpack::type::BOOLEAN);
  return object != nullptr && object->via.boolean;
}

std::uint64_t Decoder::unsigned_integer() {
  const msgpack::object* object = state_->take(msgpack::type::POSITIVE_INTEGER);
  return object == nullptr ? 0 : object->via.u64;
}

std::int64_t Decoder::signed_integer() {
  const msgpack::object* object = state_->take();
  if (object == nullptr) return 0;
  if (object->type == msgpack::type::NEGATIVE_INTEGER) return object->via.i64;
  if (object->type == msgpack::type::POSITIVE_INTEGER && object->via.u64 <= INT64_MAX) {
    return static_cast<std::int64_t>(object->via.u64);
  }
  fail();
  return 0;
}

double Decoder::real() {
  const msgpack::object* object = state_->take();
  if (object == nullptr) return 0;
  if (object->type != msgpack::type::FLOAT64 && object->type != msgpack::type::FLOAT32) {
    fail();
    return 0;
  }
  return object->via.f64;
}

std::string_view Decoder::text() {
  const msgpack::object* object = state_->take(msgpack::type::STR);
  return object == nullptr ? std::string_view()
                           : std::string_view(object->via.str.ptr, object->via.str.size);
}

ByteView Decoder::binary() {
  const msgpack::object* object = state_->take(msgpack::type::BIN);
  if (object == nullptr) return {};
  return as_bytes(std::string_view(object->via.bin.ptr, object->via.bin.size));
}

std::size_t Decoder::array() {
  const msgpack::object* object = state_->take(msgpack::type::ARRAY);
  State::Level level;
  if (object != nullptr) level = {object->via.array.ptr, object->via.array.size, 0};
  state_->levels.push_back(level);
  return level.count;
}

std::size_t Decoder::map() {
  const msgpack::object* object = state_->take(msgpack::type::MAP);
  State::Level level;
  if (object != nullptr) {
    static_assert(sizeof(msgpack::object_kv) == 2 * sizeof(msgpack::object));
    level = {&object->via.map.ptr->key, object->via.map.size * std::size_t{2}, 0};
    if (object->via.map.size == 0) level.items = nullptr;
  }
  state_->levels.push_back(level);
  return level.count / 2;
}

void Decoder::leave() {
  if (state_->levels.size() > 1) state_->levels.pop_back();
}

void get(Decoder& in, GroupId& value) {
  std::uint16_t raw = 0;
  get(in, raw);
  if (raw >= kMaxGroups) in.fail();
  value.value = in.ok() ? raw : std::uint16_t{0};
}

void get(Decoder& in, JobId& value) {
  const std::string_view text = in.text();
  if (text.empty()) {
    value = {};
    return;
  }
  const std::optional<JobId> id = JobId::from_text(text);
  if (!id) in.fail();
  value = id.value_or(JobId{});
}

void get_exactly(Decoder& in, std::span<std::uint8_t> out) {
  const ByteView bytes = in.binary();
  if (bytes.size() != out.size()) {
    in.fail();
    return;
  }
  std::copy(bytes.begin(), bytes.end(), out.begin());
}

}  // namespace dunlin
