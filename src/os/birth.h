// How a life of a node begins: a used directory resumes, an empty one founds a cluster, or joins
// one by asking the nodes it was given, again and again, until one of them lets it in. A node that
// lost its memory asks the members it knew to let it in as its own successor.
#pragma once

#include <uv.h>

#include <functional>

#include "base/effects.h"
#include "base/result.h"
#include "dht/journal.h"
#include "node/node.h"
#include "os/identity_file.h"
#include "os/node_options.h"

namespace dunlin {

// Makes a batch of its own durable, and returns when it is.
using KeepFirst = std::function<void(Effects&)>;

// The start of this life, and in `first` what must be durable before anybody hears of it. Blocks
// (runs the loop) while it joins, or looks whether what a used directory was told to join is its
// own cluster, saying on stderr what it tries; a joiner's key is durable before it asks. kRefused:
// the cluster says no, or the directory belongs to another cluster.
Result<NodeStart> begin_life(uv_loop_t* loop, const NodeOptions& options, const NodeFacts& facts,
                             const Recovered& recovered, const std::optional<IdentityFile>& former,
                             const KeepFirst& keep, Effects& first);

// What DIR/identity is to say about this life.
IdentityFile identity_of(const Membership& membership, const std::vector<Member>& members);

}  // namespace dunlin
