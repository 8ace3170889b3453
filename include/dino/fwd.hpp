// Names of the public types, for headers of programs that pass them on.
#pragma once

#include <dino/base/config.hpp>
#include <dino/base/types.hpp>

namespace dino::inline DINO_ABI {

struct Cpu;
struct Cuda;
template <class D> class Context;
class Error;
class Shape;
class Segments;
struct Image;
template <class T, class D> class Tensor;
template <class T, class D> struct Var;
template <class D> class Tape;
template <class T, class D> class ParamStore;
template <class T, class D> class Parameter;
template <class T, class D> class Scope;
struct VitConfig;
struct DinoHeadConfig;
struct DinoConfig;
template <class T, class D> class DinoTrainer;
template <class T, class D> class Backbone;
class AnyDataset;
struct FeatureSet;

namespace nn {
template <class T, class D> struct VisionTransformer;
template <class T, class D> struct DinoHead;
}  // namespace nn

}  // namespace dino::inline DINO_ABI
