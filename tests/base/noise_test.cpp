#include "base/noise.h"

#include <gtest/gtest.h>

#include <string>

namespace dunlin {
namespace {

Bytes hex(std::string_view text) {
  Bytes bytes(text.size() / 2);
  EXPECT_TRUE(from_hex(text, bytes));
  return bytes;
}

Key32 key(std::string_view text) {
  Key32 bytes{};
  EXPECT_TRUE(from_hex(text, bytes));
  return bytes;
}

// The vector for exactly this protocol published with cacophony (and carried by snow):
// https://github.com/haskell-cryptography/cacophony, vectors/cacophony.txt.
constexpr const char* kPrologue = "4a6f686e2047616c74";
constexpr const char* kPsk = "54686973206973206d7920417573747269616e20706572737065637469766521";
constexpr const char* kInitStatic =
    "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1";
constexpr const char* kInitEphemeral =
    "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a";
constexpr const char* kRespStatic =
    "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893";
constexpr const char* kRespEphemeral =
    "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b";
constexpr const char* kHandshakeHash =
    "46b5997dfa51492ae9be5b611748455e83aebdbc2ea3c47d264ec6dd408cc076"
    "e962ff056890c60398fe3e7a430bbe057f34383a84df9ff99391266dcfd638b0";

struct VectorMessage {
  const char* payload;
  const char* ciphertext;
};

constexpr VectorMessage kHandshakeMessages[] = {
    {"4c756477696720766f6e204d69736573",
     "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
     "0aa831d1e3bbd16bd7ffda87e9f7b6eeca2510006499a573ac27af3392ed1b69"},
    {"4d757272617920526f746862617264",
     "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843"
     "81a78489d56c9e2ac962826f25684980b25244dbfd505b7d903a94d4f4fd8400"
     "4a1c7fbe94d686bc4c1f67259364f6f2a41cb40bf5198b9b3975be2cdd49d3e0"
     "65a554e12c477d82029fabc6555bc1"},
    {"462e20412e20486179656b",
     "291dfeff6eff386e29adb0bdbd5a1ae9e09de4449c8695d109adcb63e80e4895"
     "55792a3e9150eff75d6d45571f824ed231173cb66e31e7da914241f86d0cbb67"
     "8335ffe768a7445d2f5bc1"},
};

// The responder sends the first of these, then they alternate.
constexpr VectorMessage kTransportMessages[] = {
    {"4361726c204d656e676572", "6579dd60eb5e6a8b29dd60004289f5d3c2f69fcdbf683a869f59a8"},
    {"4a65616e2d426170746973746520536179",
     "24715fd39c3c7606e81b26e69e47b54d043d9d87c512f9417bae51ab48ebb17722"},
    {"457567656e2042f6686d20766f6e2042617765726b",
     "e49194a013d873712318643acbf0e3851086326bb168c500a766439ff543a7a1e2deb3215c"},
};

NoiseHandshake initiator(std::string_view psk = kPsk, std::string_view prologue = kPrologue) {
  return {NoiseHandshake::Role::kInitiator, hex(prologue), key(kInitStatic), key(kInitEphemeral),
          key(psk)};
}

NoiseHandshake responder() {
  return {NoiseHandshake::Role::kResponder, hex(kPrologue), key(kRespStatic), key(kRespEphemeral),
          key(kPsk)};
}

Bytes sealed(NoiseCipher& cipher, ByteView plain) {
  Bytes out(plain.size() + kTagSize);
  cipher.seal_to(out.data(), {}, plain);
  return out;
}

TEST(Noise, AgreesWithThePublishedVectorByteForByte) {
  NoiseHandshake a = initiator();
  NoiseHandshake b = responder();
  for (int i = 0; i < 3; ++i) {
    NoiseHandshake& writer = i % 2 == 0 ? a : b;
    NoiseHandshake& reader = i % 2 == 0 ? b : a;
    const Bytes message = writer.write(hex(kHandshakeMessages[i].payload));
    EXPECT_EQ(to_hex(message), kHandshakeMessages[i].ciphertext);
    const auto payload = reader.read(message);
    ASSERT_TRUE(payload);
    EXPECT_EQ(to_hex(*payload), kHandshakeMessages[i].payload);
  }
  ASSERT_TRUE(a.is_finished() && b.is_finished());
  EXPECT_EQ(to_hex(a.hash()), kHandshakeHash);
  EXPECT_EQ(to_hex(b.hash()), kHandshakeHash);
  EXPECT_EQ(a.remote_static(), x25519_public(key(kRespStatic)));
  EXPECT_EQ(b.remote_static(), x25519_public(key(kInitStatic)));

  NoiseHandshake::Ciphers of_a = a.split();
  NoiseHandshake::Ciphers of_b = b.split();
  for (int i = 0; i < 3; ++i) {
    const Bytes plain = hex(kTransportMessages[i].payload);
    const Bytes message = sealed(i % 2 == 0 ? of_b.send : of_a.send, plain);
    EXPECT_EQ(to_hex(message), kTransportMessages[i].ciphertext);
    Bytes back(plain.size());
    EXPECT_TRUE((i % 2 == 0 ? of_a : of_b).receive.open_to(back.data(), {}, message));
    EXPECT_EQ(back, plain);
  }
}

TEST(Noise, RefusesAMessageWithAnyBitFlipped) {
  for (std::size_t bit = 0; bit < 8 * 96; bit += 5) {
    NoiseHandshake a = initiator();
    NoiseHandshake b = responder();
    ASSERT_TRUE(b.read(a.write({})));
    Bytes second = b.write({});
    ASSERT_EQ(second.size(), NoiseHandshake::kSecondLength);
    // X25519 ignores the highest bit of a public key by definition, but the hash does not.
    second[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_FALSE(a.read(second)) << bit;
  }
}

TEST(Noise, RefusesCutMessages) {
  for (std::size_t length = 0; length < NoiseHandshake::kFirstLength; ++length) {
    NoiseHandshake a = initiator();
    NoiseHandshake b = responder();
    Bytes first = a.write({});
    first.resize(length);
    EXPECT_FALSE(b.read(first));
  }
}

TEST(Noise, ShowsAWrongPreSharedKeyInTheThirdMessage) {
  NoiseHandshake a = initiator(kRespStatic);
  NoiseHandshake b = responder();
  ASSERT_TRUE(b.read(a.write({})));
  ASSERT_TRUE(a.read(b.write({})));
  EXPECT_FALSE(b.read(a.write({})));
}

TEST(Noise, ShowsAnotherPrologueInTheFirstMessage) {
  NoiseHandshake a = initiator(kPsk, "00");
  NoiseHandshake b = responder();
  EXPECT_FALSE(b.read(a.write({})));
}

TEST(Noise, RefusesAnEphemeralKeyOfSmallOrder) {
  NoiseHandshake b = responder();
  EXPECT_FALSE(b.read(Bytes(NoiseHandshake::kFirstLength)));
}

}  // namespace
}  // namespace dunlin
