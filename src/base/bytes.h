// Byte strings and their text forms. Everything that crosses a wire or a disk is `Bytes`;
// functions that only look take a `ByteView`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

// A view of the characters' bytes; the text must outlive it.
ByteView as_bytes(std::string_view text);
// A view of the bytes as characters, whatever they are; the bytes must outlive it.
std::string_view as_text(ByteView bytes);

Bytes to_bytes(std::string_view text);
Bytes to_bytes(ByteView view);
std::string to_text(ByteView bytes);
void append(Bytes& to, ByteView more);

// Lower-case hexadecimal.
std::string to_hex(ByteView bytes);
// False when the text is not exactly 2 * out.size() hexadecimal digits; `out` is then unspecified.
bool from_hex(std::string_view text, std::span<std::uint8_t> out);

// Crockford's alphabet in lower case (no i, l, o, u), most significant bit first, unpadded: what
// people read aloud and type. https://www.crockford.com/base32.html
std::string to_base32(ByteView bytes);
// False when the text is not the encoding of exactly out.size() bytes.
bool from_base32(std::string_view text, std::span<std::uint8_t> out);

// Fixed-width little-endian integers, for headers and nonces that msgpack does not frame.
void put_u32(std::uint8_t* to, std::uint32_t value);
void put_u64(std::uint8_t* to, std::uint64_t value);
std::uint32_t get_u32(const std::uint8_t* from);
std::uint64_t get_u64(const std::uint8_t* from);

}  // namespace dunlin
