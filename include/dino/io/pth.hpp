// PyTorch files (.pth, .pt, .bin) as named tensors; nothing in them is executed.
#pragma once

#include <dino/io/pth_pickle.hpp>
#include <dino/io/safetensors_header.hpp>

namespace dino::inline DINO_ABI {

namespace detail {

/// "a, b, c and 7 more".
inline std::string name_list(const std::vector<std::string>& names) {
  constexpr size_t shown = 10;
  std::string text;
  for (size_t i = 0; i < names.size() && i < shown; ++i) text += (i ? ", " : "") + names[i];
  return names.size() > shown ? text + str(" and {} more", names.size() - shown) : text;
}

/// A tensor of a file under its full name.
struct NamedTensor {
  std::string name;
  const PickleTensor* tensor = nullptr;
  const ZipEntry* record = nullptr;
};

/// All tensors below the root, and what else stands in it. A dictionary that several others share is visited for each
/// of them, and every visit is paid from the budget: so is a dictionary that contains itself.
class TensorWalk {
 public:
  TensorWalk(const PickleTree& tree, const std::string& where, MemoryBudget& budget)
      : tree_(tree), where_(where), budget_(budget) {}

  std::vector<NamedTensor> tensors;
  std::vector<std::string> ignored;  // at the root, with the class of objects: args (argparse.Namespace)

  void run() {
    enter(tree_.root.index, 0);
    while (!open_.empty()) {
      auto& dict = open_.back();
      const auto& items = tree_.sequences[dict.index];
      name_.resize(dict.prefix);
      if (dict.next == items.size()) {
        open_.pop_back();
        continue;
      }
      const auto &key = items[dict.next], &value = items[dict.next + 1];
      dict.next += 2;
      visit(key, value);
    }
  }

 private:
  struct Open {
    u32 index;  // of the dictionary
    size_t next = 0, prefix = 0;
  };

  void visit(const PickleValue& key, const PickleValue& value) {
    budget_.take(16);
    const auto number = key.kind == PickleKind::integer ? std::to_string(key.number) : "";
    const auto text = key.kind == PickleKind::text ? tree_.text(key) : std::string_view(number);
    const bool named = key.kind == PickleKind::text || key.kind == PickleKind::integer;
    if (value.kind == PickleKind::dict && named) {
      add_name(text);
      name_ += '.';
      enter(value.index, name_.size());
    } else if (value.kind == PickleKind::tensor && named) {
      add_name(text);
      budget_.take(i64{2 * sizeof(NamedTensor)} + static_cast<i64>(name_.size()));
      tensors.push_back({name_, &tree_.tensors[value.index]});
    } else if (open_.size() == 1) {
      const bool object = value.kind == PickleKind::object || value.kind == PickleKind::global;
      auto name = (named ? shown(text) : "?") + (object ? " (" + shown(tree_.text(value)) + ")" : "");
      budget_.take(64 + static_cast<i64>(name.size()));
      ignored.push_back(std::move(name));
    }
  }
  void enter(u32 index, size_t prefix) {
    budget_.take(2 * i64{sizeof(Open)});
    open_.push_back({index, 0, prefix});
  }
  void add_name(std::string_view part) {
    constexpr i64 most = SafetensorsLimits{}.name;
    require(static_cast<i64>(name_.size() + part.size()) <= most, ErrorKind::weights,
            "{}: the name {}{} has more than {} bytes: dictionaries nested too deep, or damage. {}", where_,
            shown(name_), shown(part), most, save_alone);
    require(valid_utf8(part) && printable(part), ErrorKind::weights, "{}: the name '{}{}' is not printable UTF-8. {}",
            where_, shown(name_), shown(part), save_alone);
    name_ += part;
  }

  const PickleTree& tree_;
  const std::string& where_;
  MemoryBudget& budget_;
  std::vector<Open> open_;
  std::string name_;
};

/// The elements of a tensor, last axis contiguous, from wherever they lie in the storage.
template <class From, class To> std::vector<u8> gather(std::span<const u8> storage, const PickleTensor& t) {
  std::vector<u8> bytes(static_cast<size_t>(t.numel) * sizeof(To));
  std::array<i64, Shape::max_rank> at{};
  i64 from = t.offset;
  const i64 rank = t.shape.rank();
  for (i64 n = 0; n < t.numel; ++n) {
    From value;
    std::memcpy(&value, storage.data() + from * i64{sizeof(From)}, sizeof(From));
    const auto result = static_cast<To>(value);
    std::memcpy(bytes.data() + n * i64{sizeof(To)}, &result, sizeof(To));
    for (i64 axis = rank - 1; axis >= 0; --axis) {
      const auto a = static_cast<size_t>(axis);
      from += t.strides[a];
      if (++at[a] < t.shape[axis]) break;
      from -= std::exchange(at[a], 0) * t.strides[a];
    }
  }
  return bytes;
}

inline std::vector<u8> gather(std::span<const u8> storage, const PickleTensor& t, const StorageType& type) {
  if (dtype_size(type.dtype) != type.size) {
    return type.size == 1 ? gather<std::int8_t, i32>(storage, t) : gather<std::int16_t, i32>(storage, t);
  }
  i64 expected = 1;
  bool contiguous = true;
  for (i64 axis = t.shape.rank() - 1; axis >= 0; --axis) {
    contiguous = contiguous && (t.shape[axis] == 1 || t.strides[static_cast<size_t>(axis)] == expected);
    expected *= t.shape[axis];
  }
  if (contiguous || t.numel == 0) {
    const auto* begin = storage.data() + t.offset * type.size;
    return {begin, begin + t.numel * type.size};
  }
  if (type.size == 8) return gather<u64, u64>(storage, t);
  if (type.size == 4) return gather<u32, u32>(storage, t);
  return type.size == 2 ? gather<u16, u16>(storage, t) : gather<u8, u8>(storage, t);
}

/// Finds the record of every tensor and pays for what it will become.
inline void find_records(std::vector<NamedTensor>& tensors, const PickleTree& tree, const StoredZip& zip,
                         const std::string& stem, MemoryBudget& budget) {
  for (auto& [name, tensor, record] : tensors) {
    const auto& storage = tree.storages[tensor->storage];
    const auto key = stem + "data/" + std::string(tree.text(storage.key));
    record = zip.find(key);
    require(record != nullptr, ErrorKind::weights, "{}: there is no record {} for tensor {}: cut or damaged. {}",
            zip.path(), shown(key), name, copy_again);
    require(record->size % storage.type->size == 0 && record->size / storage.type->size == storage.numel,
            ErrorKind::weights, "{}: record {} has {} bytes, tensor {} needs {} elements of {}. {}", zip.path(),
            shown(key), record->size, name, storage.numel, storage.type->size, copy_again);
    i64 bytes = 0;
    const bool overflow = __builtin_mul_overflow(tensor->numel, dtype_size(storage.type->dtype), &bytes);
    budget.take(overflow ? -1 : bytes);
    budget.take(i64{sizeof(TensorData)} + 128);
  }
  const auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };
  std::sort(tensors.begin(), tensors.end(), by_name);
  const auto twice =
      std::adjacent_find(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.name == b.name; });
  require(twice == tensors.end(), ErrorKind::weights, "{}: two tensors are called {}. {}", zip.path(),
          twice == tensors.end() ? "" : twice->name, save_alone);
}

inline void check_root(const PickleTree& tree, const std::string& path) {
  const auto& root = tree.root;
  const bool object = root.kind == PickleKind::object || root.kind == PickleKind::global;
  require(!object, ErrorKind::weights,
          "{}: holds a Python object ({}), not weights. Load it with torch and save its weights: "
          "torch.save(model.state_dict(), 'out.pth')",
          path, object ? shown(tree.text(root)) : "");
  require(root.kind == PickleKind::dict, ErrorKind::weights,
          "{}: holds no dictionary of tensors. Save the weights: torch.save(model.state_dict(), 'out.pth')", path);
}

}  // namespace detail

/// Reads the tensors of a file written by torch.save (1.6 and later). Dictionaries inside one another give names with
/// dots: teacher.backbone.cls_token; whole numbers as keys are written in decimal. Any strides; tensors that share
/// memory become copies; int8 and int16 are widened to I32. What is no tensor is left out, and for the outermost
/// dictionary named in metadata "pth.ignored": "epoch, args (argparse.Namespace)"; so are tensors of types that
/// StateDict has not. "pth.objects" names every unknown class and function of the file. Nothing is executed, whatever
/// the file says. Throws Error{weights}: nothing is half loaded. Memory: at most 4 times the file and 16 MiB, for a
/// usual file its size and the largest tensor. Each record is read once; records of no tensor are not read. Source:
/// formats.md 3.
inline StateDict read_pth(const std::filesystem::path& path, const PickleLimits& limits = {}) {
  const StoredZip zip(path);
  const auto stem = pth_stem(zip);
  const auto& pickle = *zip.find(stem + "data.pkl");
  MemoryBudget budget(3 * zip.file_size() + (i64{16} << 20), zip.path());
  require(pickle.size <= limits.pickle, ErrorKind::weights, "{}: {} of pickle, at most {}", zip.path(),
          size_text(pickle.size), size_text(limits.pickle));
  const auto tree = read_pickle(zip.read(pickle), zip.path() + ": data.pkl", budget, limits);
  detail::check_root(tree, zip.path());
  detail::TensorWalk walk(tree, zip.path(), budget);
  walk.run();
  require(!walk.tensors.empty(), ErrorKind::weights, "{}: there is no tensor in it, only: {}. {}",
          zip.path(), walk.ignored.empty() ? "nothing" : detail::name_list(walk.ignored), detail::save_alone);
  detail::find_records(walk.tensors, tree, zip, stem, budget);
  std::sort(walk.tensors.begin(), walk.tensors.end(),
            [](const auto& a, const auto& b) { return a.record->begin < b.record->begin; });
  StateDict dict;
  std::vector<u8> storage;
  const ZipEntry* loaded = nullptr;
  for (auto& [name, tensor, record] : walk.tensors) {
    if (std::exchange(loaded, record) != record) {
      storage = {};  // before the next one is there
      storage = zip.read(*record);
    }
    const auto& type = *tree.storages[tensor->storage].type;
    dict.add(std::move(name), {type.dtype, tensor->shape, detail::gather(storage, *tensor, type)});
  }
  const std::vector<std::string> objects(tree.inert.begin(), tree.inert.end());
  if (!objects.empty()) dict.metadata["pth.objects"] = detail::name_list(objects);
  if (!walk.ignored.empty()) dict.metadata["pth.ignored"] = detail::name_list(walk.ignored);
  return dict;
}

}  // namespace dino::inline DINO_ABI
