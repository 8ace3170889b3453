// The device and the number type that a program was asked for.
#pragma once

#include <dino/device/choose.hpp>
#include <dino/tensor/copy.hpp>

#include <memory>
#include <string>

namespace programs {

/// Calls f(T{}, std::shared_ptr<Context<D>>) on the device of the choice. precision: fp32 or bf16; auto is bf16 on CUDA
/// and fp32 on the CPU. host: where a CPU run computes; it must outlive what f makes.
template <class F> auto on_device([[maybe_unused]] const dino::DeviceChoice& device, const std::string& precision,
                                  dino::HostContext& host, F&& f) {
#if DINO_CUDA
  if (device.cuda) {
    const auto ctx = std::make_shared<dino::Context<dino::Cuda>>(device.index);
    if (precision == "fp32") return f(float{}, ctx);
    return f(dino::bf16{}, ctx);
  }
#endif
  dino::require(precision != "bf16", dino::ErrorKind::usage,
                "precision = bf16 needs --device cuda; the CPU computes in fp32");
  return f(float{}, std::shared_ptr<dino::HostContext>(&host, [](dino::HostContext*) {}));
}

}  // namespace programs
