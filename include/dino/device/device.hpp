// The device tags, and the context that every tensor reaches its device through.
#pragma once

#include <dino/base/config.hpp>

namespace dino::inline DINO_ABI {

struct Cpu {};
struct Cuda {};

/// The only stateful device object: threads or stream, pool, library handles. One per device and process, made in main.
/// In a CPU build Context<Cuda> stays incomplete: using it is a one-line compile error.
template <class D> class Context;

}  // namespace dino::inline DINO_ABI
