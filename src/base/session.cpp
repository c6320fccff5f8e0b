#include "base/session.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"

namespace dunlin {

namespace {

// ---- the hello ---------------------------------------------------------------------------------

constexpr std::string_view kMagic = "dunlin";
constexpr std::size_t kPrefaceSize = 8;  // magic and version: enough to refuse another version
constexpr std::size_t kModeAt = 8;
constexpr std::size_t kKeyNameAt = 9;
constexpr std::size_t kClusterAt = 17;
constexpr std::size_t kPrologueSize = 80;  // the rest of it is zero
constexpr std::size_t kProofAt = kPrologueSize + NoiseHandshake::kFirstLength;
constexpr std::size_t kHelloSize = kProofAt + sizeof(Hash32);

// An Ed25519 key and a boot, sealed in the second and the third message.
constexpr std::size_t kPayloadSize = sizeof(PublicKey) + sizeof(Boot);
constexpr std::size_t kAnswerSize = NoiseHandshake::kSecondLength + kPayloadSize;
constexpr std::size_t kThirdSize = NoiseHandshake::kThirdLength + kPayloadSize;
static_assert(kAnswerSize + 1 <= kHelloSize, "a listener never sends more than it was sent");

constexpr std::uint8_t kAnswerKind = 1;
constexpr std::uint8_t kRefusalKind = 2;
// Kind, reason, the listener's protocol version. In clear, so a hint for the log and no more.
constexpr std::size_t kRefusalSize = 4;
static_assert(kRefusalSize <= kPrefaceSize, "a listener never sends more than it was sent");

enum class Reason : std::uint8_t { kVersion = 1, kCluster = 2, kKey = 3 };

Bytes refusal(Reason reason) {
  return {kRefusalKind, static_cast<std::uint8_t>(reason), kProtocolVersion & 0xff,
          kProtocolVersion >> 8};
}

std::uint16_t get_u16(const std::uint8_t* from) {
  return static_cast<std::uint16_t>(from[0] + 256 * from[1]);
}

Hash32 hello_proof(const Key32& psk, ByteView hello) {
  Bytes data = to_bytes("dunlin hello");
  append(data, hello.first(kProofAt));
  return blake2b_256(data, psk);
}

Bytes prologue_of(SessionMode mode, const KeyName& key_name, const ClusterId& cluster) {
  Bytes out(kPrologueSize);
  std::copy(kMagic.begin(), kMagic.end(), out.begin());
  out[6] = kProtocolVersion & 0xff;
  out[7] = kProtocolVersion >> 8;
  out[kModeAt] = static_cast<std::uint8_t>(mode);
  std::copy(key_name.raw.begin(), key_name.raw.end(), out.begin() + kKeyNameAt);
  std::copy(cluster.raw.begin(), cluster.raw.end(), out.begin() + kClusterAt);
  return out;
}

Bytes payload_of(const Identity& self) {
  Bytes out = to_bytes(self.keys.public_key.bytes());
  out.resize(kPayloadSize);
  put_u64(out.data() + sizeof(PublicKey), self.boot);
  return out;
}

tl::unexpected<Error> wrong_version(std::uint16_t theirs) {
  return fail(Code::kRefused,
              "the other end speaks protocol version " + std::to_string(theirs) + ", this one " +
                  std::to_string(kProtocolVersion),
              "install the same version of dunlin on both hosts");
}

tl::unexpected<Error> wrong_cluster() {
  return fail(Code::kConflict, "the two ends belong to different clusters");
}

tl::unexpected<Error> bad_client_token(const std::string& what) {
  return fail(Code::kRefused, "the token " + what,
              "on a host of the cluster: dunlin token create --role user --user NAME");
}

// ---- records -----------------------------------------------------------------------------------

// Two bytes that say how many sealed ones follow; the tag covers them too.
constexpr std::size_t kRecordHeader = 2;
// The first record of a frame begins with the frame's length.
constexpr std::size_t kFrameHeader = 4;
constexpr std::size_t kMaxSealed = kFrameHeader + kMaxRecord + kTagSize;
static_assert(kMaxSealed <= 0xffff);

}  // namespace

struct Session::Opening {
  Identity self;
  Key32 ephemeral{};
  Target target;     // dialer
  PskLookup lookup;  // listener
  std::optional<NoiseHandshake> noise;
  Bytes preface;

  ~Opening() {
    wipe(ephemeral);
    wipe(target.psk);
  }
};

KeyName key_name_of_epoch(std::uint8_t epoch) {
  KeyName name;
  name.raw[0] = epoch;
  return name;
}

Key32 member_psk(const Key32& cluster_key) {
  return blake2b_256(as_bytes("dunlin member psk"), cluster_key);
}

Key32 client_psk(const Key32& token_psk) {
  return blake2b_256(as_bytes("dunlin client psk"), token_psk);
}

Session::Session(const Identity& self, const Key32& ephemeral)
    : opening_(std::make_unique<Opening>()) {
  opening_->self = self;
  opening_->ephemeral = ephemeral;
}

Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Session Session::dial(const Identity& self, const Target& target, const Key32& ephemeral) {
  Session session(self, ephemeral);
  session.await_ = Await::kAnswerKind;
  session.peer_.mode = target.mode;
  session.peer_.key_name = target.key_name;
  session.opening_->target = target;

  Bytes hello = prologue_of(target.mode, target.key_name, self.cluster);
  NoiseHandshake noise(NoiseHandshake::Role::kInitiator, hello, curve_secret_of(self.keys),
                       ephemeral, target.psk);
  append(hello, noise.write({}));
  append(hello, hello_proof(target.psk, hello));
  ASSERT(hello.size() == kHelloSize);
  session.opening_->noise = noise;
  session.control_ = std::move(hello);
  return session;
}

Session Session::listen(const Identity& self, PskLookup lookup, const Key32& ephemeral) {
  Session session(self, ephemeral);
  session.opening_->lookup = std::move(lookup);
  return session;
}

std::size_t Session::max_frame() const {
  switch (peer_.mode) {
    case SessionMode::kMember: return kMaxFrame;
    case SessionMode::kJoin: return kMaxJoinFrame;
    case SessionMode::kClient: return kMaxClientFrame;
  }
  return 0;
}

// ---- receiving ---------------------------------------------------------------------------------

// How long the next message is, as far as `have`, its beginning, tells. Every length is checked
// here, before anything is kept.
Result<std::size_t> Session::wanted(ByteView have) const {
  switch (await_) {
    case Await::kPreface: return kPrefaceSize;
    case Await::kHello: return kHelloSize - kPrefaceSize;
    case Await::kThird: return kThirdSize;
    case Await::kAnswerKind: return std::size_t{1};
    case Await::kAnswer: return kAnswerSize;
    case Await::kRefusal: return kRefusalSize - 1;
    case Await::kVerdict:
    case Await::kRecord: break;
  }
  if (have.size() < kRecordHeader) return kRecordHeader;
  const std::size_t sealed = get_u16(have.data());
  if (sealed <= kTagSize || sealed > kMaxSealed) {
    return fail(Code::kCorrupt, "a record of impossible length");
  }
  return kRecordHeader + sealed;
}

Result<void> Session::receive(ByteView data, std::vector<Bytes>& frames) {
  while (!data.empty()) {
    if (phase_ == Phase::kDeciding || phase_ == Phase::kClosed) {
      phase_ = Phase::kClosed;
      return fail(Code::kCorrupt, "bytes that come too early");
    }
    const bool is_direct = pending_.empty();
    Result<std::size_t> want = wanted(is_direct ? data : ByteView(pending_));
    Result<void> taken;
    if (!want) {
      taken = tl::unexpected(want.error());
    } else if (is_direct && data.size() >= *want) {
      const ByteView message = data.first(*want);
      data = data.subspan(*want);
      taken = take_message(message, frames);
    } else {
      const std::size_t more = std::min(*want - pending_.size(), data.size());
      pending_.reserve(*want);
      append(pending_, data.first(more));
      data = data.subspan(more);
      // A record's header may only now tell the whole length; then the loop comes again.
      want = wanted(pending_);
      if (!want) {
        taken = tl::unexpected(want.error());
      } else if (pending_.size() == *want) {
        const Bytes message = std::exchange(pending_, Bytes());
        taken = take_message(message, frames);
      }
    }
    if (!taken) {
      phase_ = Phase::kClosed;
      return taken;
    }
  }
  return {};
}

Result<void> Session::take_message(ByteView message, std::vector<Bytes>& frames) {
  switch (await_) {
    case Await::kPreface: return on_preface(message);
    case Await::kHello: return on_hello(message);
    case Await::kThird: return on_third(message);
    case Await::kAnswerKind:
      if (message[0] != kAnswerKind && message[0] != kRefusalKind) break;
      await_ = message[0] == kAnswerKind ? Await::kAnswer : Await::kRefusal;
      return {};
    case Await::kAnswer: return on_answer(message);
    case Await::kRefusal: return on_refusal(message);
    case Await::kVerdict: return on_verdict(message);
    case Await::kRecord: return on_record(message, frames);
  }
  return fail(Code::kCorrupt, "the other end does not speak dunlin's protocol");
}

Result<void> Session::on_preface(ByteView message) {
  if (as_text(message.first(kMagic.size())) != kMagic) {
    return fail(Code::kCorrupt, "the other end does not speak dunlin's protocol");
  }
  const std::uint16_t version = get_u16(message.data() + kMagic.size());
  if (version != kProtocolVersion) {
    control_ = refusal(Reason::kVersion);
    return wrong_version(version);
  }
  opening_->preface = to_bytes(message);
  await_ = Await::kHello;
  return {};
}

Result<void> Session::on_hello(ByteView message) {
  Bytes hello = std::move(opening_->preface);
  append(hello, message);
  const std::uint8_t mode = hello[kModeAt];
  ClusterId cluster;
  std::copy_n(hello.begin() + kClusterAt, cluster.raw.size(), cluster.raw.begin());
  std::copy_n(hello.begin() + kKeyNameAt, peer_.key_name.raw.size(), peer_.key_name.raw.begin());
  if (mode < static_cast<std::uint8_t>(SessionMode::kMember) ||
      mode > static_cast<std::uint8_t>(SessionMode::kClient)) {
    return fail(Code::kCorrupt, "a hello of unknown mode");
  }
  peer_.mode = static_cast<SessionMode>(mode);
  if (cluster != opening_->self.cluster) {
    control_ = refusal(Reason::kCluster);
    return wrong_cluster();
  }
  const std::optional<Key32> psk = opening_->lookup(peer_.mode, peer_.key_name);
  const ByteView proof = ByteView(hello).subspan(kProofAt);
  if (!psk || !equal_secrets(hello_proof(*psk, hello), proof)) {
    control_ = refusal(Reason::kKey);
    return fail(Code::kRefused, psk ? "a hello that does not prove its key"
                                    : "a hello for a key or token that is not valid here");
  }
  NoiseHandshake& noise = opening_->noise.emplace(
      NoiseHandshake::Role::kResponder, ByteView(hello).first(kPrologueSize),
      curve_secret_of(opening_->self.keys), opening_->ephemeral, *psk);
  if (!noise.read(ByteView(hello).subspan(kPrologueSize, NoiseHandshake::kFirstLength))) {
    return fail(Code::kCorrupt, "a hello whose handshake does not hold");
  }
  control_ = {kAnswerKind};
  append(control_, noise.write(payload_of(opening_->self)));
  await_ = Await::kThird;
  return {};
}

Result<void> Session::on_answer(ByteView message) {
  const std::optional<Bytes> payload = opening_->noise->read(message);
  if (!payload) return fail(Code::kCorrupt, "an answer whose handshake does not hold");
  if (Result<void> learnt = learn_peer(*payload); !learnt) return learnt;
  const std::optional<PublicKey>& expected = opening_->target.expected;
  if (expected && *expected != peer_.key) {
    return fail(Code::kConflict, "node " + peer_.id.short_text() + " answers where node " +
                                     node_id_of(*expected).short_text() + " was expected");
  }
  append(control_, opening_->noise->write(payload_of(opening_->self)));
  start_ciphers();
  await_ = Await::kVerdict;
  return {};
}

Result<void> Session::on_refusal(ByteView message) {
  switch (static_cast<Reason>(message[0])) {
    case Reason::kVersion: return wrong_version(get_u16(message.data() + 1));
    case Reason::kCluster:
      if (peer_.mode == SessionMode::kClient) return bad_client_token("is one of another cluster");
      return wrong_cluster();
    case Reason::kKey:
      if (peer_.mode == SessionMode::kClient) return bad_client_token("is not known there");
      if (peer_.mode == SessionMode::kJoin) {
        return fail(Code::kRefused, "the token is not valid there (any more)",
                    "`dunlin token create` on a node of the cluster prints a new one");
      }
      return fail(Code::kRefused, "the other end does not know this key of the cluster");
  }
  return fail(Code::kRefused, "refused for a reason this version does not know");
}

Result<void> Session::on_third(ByteView message) {
  const std::optional<Bytes> payload = opening_->noise->read(message);
  if (!payload) return fail(Code::kCorrupt, "a third message whose handshake does not hold");
  if (Result<void> learnt = learn_peer(*payload); !learnt) return learnt;
  start_ciphers();
  phase_ = Phase::kDeciding;
  return {};
}

// What Noise proved is the curve form of a key; the identity it belongs to must have that form.
Result<void> Session::learn_peer(ByteView payload) {
  if (payload.size() != kPayloadSize) return fail(Code::kCorrupt, "a handshake of other contents");
  std::copy_n(payload.begin(), sizeof(PublicKey), peer_.key.raw.begin());
  peer_.boot = get_u64(payload.data() + sizeof(PublicKey));
  peer_.id = node_id_of(peer_.key);
  const std::optional<Key32> curve = curve_public_of(peer_.key);
  if (!curve || *curve != opening_->noise->remote_static()) {
    return fail(Code::kRefused, "the other end claims an identity that is not its own");
  }
  if (peer_.key == opening_->self.keys.public_key) {
    return fail(Code::kConflict, "the other end is this node itself, or a copy of it");
  }
  return {};
}

void Session::start_ciphers() {
  const NoiseHandshake::Ciphers ciphers = opening_->noise->split();
  send_cipher_ = ciphers.send;
  receive_cipher_ = ciphers.receive;
  opening_.reset();
}

// ---- records -----------------------------------------------------------------------------------

void Session::decide(Verdict verdict) {
  ASSERT(phase_ == Phase::kDeciding);
  seal_record(control_, std::array{static_cast<std::uint8_t>(verdict)});
  phase_ = verdict == Verdict::kAdmitted ? Phase::kOpen : Phase::kClosed;
  await_ = Await::kRecord;
}

Result<void> Session::on_verdict(ByteView record) {
  const Result<Bytes> plain = open_record(record);
  if (!plain) return tl::unexpected(plain.error());
  const auto verdict = static_cast<Verdict>((*plain)[0]);
  if (verdict == Verdict::kBusy) {
    return fail(Code::kLimit, "the other end has too many such connections; later it may not");
  }
  if (verdict == Verdict::kOutlived) {
    is_outlived_ = true;
    return fail(Code::kConflict, "the other end has seen a later life of this node");
  }
  if (verdict == Verdict::kTokenExpired) return bad_client_token("has expired");
  if (verdict == Verdict::kTokenRevoked) return bad_client_token("was revoked");
  if (verdict == Verdict::kTokenOfNode) return bad_client_token("is one for nodes, not for users");
  if (verdict != Verdict::kAdmitted) {
    is_shut_out_ = true;
    return fail(Code::kRefused, "the cluster does not admit this node",
                "it has been forgotten or revoked; `dunlin up --reset --join` makes it a new one");
  }
  phase_ = Phase::kOpen;
  await_ = Await::kRecord;
  return {};
}

Result<void> Session::on_record(ByteView record, std::vector<Bytes>& frames) {
  const Result<Bytes> opened = open_record(record);
  if (!opened) return tl::unexpected(opened.error());
  ByteView plain = *opened;
  if (frame_missing_ == 0) {
    if (plain.size() < kFrameHeader) return fail(Code::kCorrupt, "a record without a frame");
    const std::size_t length = get_u32(plain.data());
    if (length > max_frame()) {
      return fail(Code::kLimit, "a frame of " + std::to_string(length) + " bytes, over the limit");
    }
    plain = plain.subspan(kFrameHeader);
    frame_missing_ = length;
    frame_.reserve(length);
  }
  if (plain.size() > frame_missing_) return fail(Code::kCorrupt, "a record longer than its frame");
  append(frame_, plain);
  frame_missing_ -= plain.size();
  if (frame_missing_ == 0) frames.push_back(std::exchange(frame_, Bytes()));
  return {};
}

Result<Bytes> Session::open_record(ByteView record) {
  Bytes plain(record.size() - kRecordHeader - kTagSize);
  if (!receive_cipher_.open_to(plain.data(), record.first(kRecordHeader),
                               record.subspan(kRecordHeader))) {
    return fail(Code::kCorrupt, "a record whose seal is broken");
  }
  return plain;
}

void Session::seal_record(Bytes& out, ByteView plain) {
  const std::size_t sealed = plain.size() + kTagSize;
  ASSERT(sealed <= kMaxSealed);
  const std::array<std::uint8_t, kRecordHeader> header = {static_cast<std::uint8_t>(sealed & 0xff),
                                                          static_cast<std::uint8_t>(sealed >> 8)};
  append(out, header);
  const std::size_t start = out.size();
  out.resize(start + sealed);
  send_cipher_.seal_to(out.data() + start, header, plain);
}

// ---- sending -----------------------------------------------------------------------------------

void Session::send(Bytes frame) {
  ASSERT(frame.size() <= max_frame());
  queued_bytes_ += frame.size();
  outbox_.push_back(std::move(frame));
}

bool Session::has_output() const {
  return !control_.empty() || (phase_ == Phase::kOpen && !outbox_.empty());
}

Bytes Session::take_output(std::size_t most) {
  Bytes out = std::exchange(control_, Bytes());
  Bytes plain;
  while (phase_ == Phase::kOpen && !outbox_.empty() && out.size() < most) {
    const ByteView frame = outbox_.front();
    const ByteView piece =
        frame.subspan(outbox_offset_, std::min(kMaxRecord, frame.size() - outbox_offset_));
    plain.clear();
    if (outbox_offset_ == 0) {
      plain.resize(kFrameHeader);
      put_u32(plain.data(), static_cast<std::uint32_t>(frame.size()));
    }
    append(plain, piece);
    seal_record(out, plain);
    outbox_offset_ += piece.size();
    queued_bytes_ -= piece.size();
    if (outbox_offset_ == frame.size()) {
      outbox_.pop_front();
      outbox_offset_ = 0;
    }
  }
  return out;
}

}  // namespace dunlin
