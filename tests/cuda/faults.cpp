// A program that plants one fault, for sanitizers and guard pages:  faults NAME.  faults.cmake knows what each must
// say.
#include <dino/device/cuda_on_host.hpp>
#include <dino/kernels/cuda/mma.cuh>

#include <cstdio>
#include <cstring>
#include <vector>

using namespace dino;
using namespace dino::kernels;

namespace {

struct Probe {
  const float* in;
  float* out;
};

template <bool wait> DINO_GLOBAL void shared_sums(const __grid_constant__ Probe a) {
  DINO_SHARED(part, float[64]);
  part[block_thread()] = a.in[block_thread()];
  if (wait) sync_block();
  a.out[block_thread()] = part[(block_thread() + 40) % 64];
}

template <bool wait> DINO_GLOBAL void clear_and_add(const __grid_constant__ Probe a) {
  DINO_SHARED(sum, float[32]);
  sum[lane()] = 0;
  if (wait) sync_warp();
  sum[(lane() + 1) % 32] += 1;
  sync_warp();
  a.out[lane()] = sum[lane()];
}

template <bool wait> DINO_GLOBAL void load_rows(const __grid_constant__ Probe a) {
  u16* const tile = dynamic_shared<u16>();
  for (int i = 0; i < 8; ++i) tile[8 * lane() + i] = static_cast<u16>(i);
  if (wait) sync_warp();
  u32 r[4];
  ldmatrix_x4(r, tile + 8 * ((lane() + 9) % 32));
  a.out[lane()] = static_cast<float>(r[0]);
}

template <bool own> DINO_GLOBAL void write_blocks(const __grid_constant__ Probe a) {
  if (block_thread() == 0) a.out[own ? blockIdx.x : 0] = static_cast<float>(blockIdx.x);
}

template <int past> DINO_GLOBAL void write_row(const __grid_constant__ Probe a) {
  for (int c = block_thread(); c < 64 + past; c += 32) a.out[c] = a.in[c];
}

template <int past> DINO_GLOBAL void write_shared(const __grid_constant__ Probe a) {
  DINO_SHARED(tile, float[32]);
  float* const p = tile;
  p[lane() + past] = a.in[lane()];
  a.out[lane()] = p[lane()];
}

template <int bytes> DINO_GLOBAL void big_frame(const __grid_constant__ Probe a) {
  volatile char frame[bytes];
  for (int i = 0; i < bytes; i += 512) frame[i] = static_cast<char>(i);
  a.out[lane()] = static_cast<float>(frame[512 * (lane() % (bytes / 512))]);
}

struct Fault {
  const char* name;
  void (*kernel)(Probe);
  LaunchConfig config;
};

const Fault faults[] = {
    {"right_shared_sums", shared_sums<true>, {.grid = {1}, .block = {64}}},
    {"shared_sums", shared_sums<false>, {.grid = {1}, .block = {64}}},
    {"right_clear_and_add", clear_and_add<true>, {.grid = {1}, .block = {32}}},
    {"clear_and_add", clear_and_add<false>, {.grid = {1}, .block = {32}}},
    {"right_load_rows", load_rows<true>, {.grid = {1}, .block = {32}, .shared_bytes = 512}},
    {"load_rows", load_rows<false>, {.grid = {1}, .block = {32}, .shared_bytes = 512}},
    {"right_blocks", write_blocks<true>, {.grid = {2}, .block = {32}}},
    {"blocks", write_blocks<false>, {.grid = {2}, .block = {32}}},
    {"right_row", write_row<0>, {.grid = {1}, .block = {32}}},
    {"row", write_row<1>, {.grid = {1}, .block = {32}}},
    {"right_array", write_shared<0>, {.grid = {1}, .block = {32}}},
    {"array", write_shared<1>, {.grid = {1}, .block = {32}}},
    {"right_frame", big_frame<2048>, {.grid = {1}, .block = {32}}},
    {"frame", big_frame<3000000>, {.grid = {1}, .block = {32}}},
};

}  // namespace

int main(int argc, char** argv) {
  for (const auto& fault : faults) {
    if (argc != 2 || std::strcmp(argv[1], fault.name) != 0) continue;
    Context<Cuda> ctx;
    auto* const in = static_cast<float*>(ctx.pool().allocate(64 * sizeof(float)));
    auto* const out = static_cast<float*>(ctx.pool().allocate(64 * sizeof(float)));
    for (int i = 0; i < 64; ++i) in[i] = static_cast<float>(i);
    try {
      ctx.launch(fault.kernel, fault.config, {in, out});
    } catch (const Error& error) {
      std::fprintf(stderr, "error: %s\n", error.what());
      return 3;
    }
    ctx.pool().release(in);
    ctx.pool().release(out);
    return 0;
  }
  std::fprintf(stderr, "which fault?\n");
  return 2;
}
