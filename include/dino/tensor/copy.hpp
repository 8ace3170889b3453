// Copies between memory layouts and between devices: with dist/, the only place above the kernels that names a device.
#pragma once

#if DINO_CUDA
#  include <dino/device/cuda_context.hpp>
#endif
#include <dino/kernels/map.hpp>
#include <dino/tensor/tensor.hpp>

#include <cstring>
#include <span>
#include <vector>

namespace dino::inline DINO_ABI {

/// Memory of the host, above the kernels floor.
template <class T> using HostTensor = Tensor<T, Cpu>;
using HostDevice = Cpu;
using HostContext = Context<Cpu>;

/// A copy with memory of its own and no gaps between rows.
template <class T, class D> Tensor<T, D> clone(const Tensor<T, D>& x) {
  Tensor<T, D> out(x.ctx(), x.shape());
  launch(x.ctx(), kernels::CopyRows<T>{.y = out.data(), .x = {x.data(), x.rows(), x.cols(), x.row_stride()}});
  return out;
}

/// x itself when its rows follow each other without gaps, else a copy.
template <class T, class D> Tensor<T, D> contiguous(const Tensor<T, D>& x) { return x.is_contiguous() ? x : clone(x); }

/// The same values in another number type, for example a float copy of a double tensor.
template <class To, class T, class D> Tensor<To, D> cast(const Tensor<T, D>& x) {
  Tensor<To, D> out(x.ctx(), x.shape());
  launch(x.ctx(), kernels::CopyRows<To, T>{.y = out.data(), .x = {x.data(), x.rows(), x.cols(), x.row_stride()}});
  return out;
}

/// Writes host values into a tensor of the same number of elements.
template <class T> void copy_from_host(const HostTensor<T>& to, std::span<const T> from) {
  require(to.is_contiguous() && static_cast<i64>(from.size()) == to.numel(), "copy: {} values into {}", from.size(),
          to);
  if (!from.empty()) std::memcpy(to.data(), from.data(), from.size_bytes());
}

/// The elements on the host, row after row.
template <class T> std::vector<T> to_vector(const HostTensor<T>& x) {
  const auto c = contiguous(x);
  return std::vector<T>(c.data(), c.data() + c.numel());
}

#if DINO_CUDA
template <class T> void copy_from_host(const Tensor<T, Cuda>& to, std::span<const T> from) {
  require(to.is_contiguous() && static_cast<i64>(from.size()) == to.numel(), "copy: {} values into {}", from.size(),
          to);
  to.ctx().upload(to.data(), from.data(), from.size_bytes());
}

/// Waits for the device.
template <class T> std::vector<T> to_vector(const Tensor<T, Cuda>& x) {
  const auto c = contiguous(x);
  std::vector<T> out(static_cast<size_t>(c.numel()));
  x.ctx().download(out.data(), c.data(), out.size() * sizeof(T));
  return out;
}
#endif

/// The value of a tensor with one element. Waits for the device.
template <class T, class D> T item(const Tensor<T, D>& x) {
  require(x.numel() == 1, "item: {} has more than one element", x);
  return to_vector(x).front();
}

}  // namespace dino::inline DINO_ABI
