#include <dino/io/pth.hpp>

#include "support/catch.hpp"
#include "support/pth_files.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;

namespace {

StateDict read(const std::string& bytes) {
  TemporaryFolder folder;
  write_file_atomic(folder / "x.pth", bytes);
  return read_pth(folder / "x.pth");
}

std::string refusal(const std::string& bytes) {
  try {
    read(bytes);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::weights);
    CHECK_THAT(error.what(), contains("x.pth: "));
    return error.what();
  }
  return "";
}

/// The numbers 0, 1, ..., n - 1.
template <class T> std::string counting(int n) {
  std::vector<T> values;
  for (int i = 0; i < n; ++i) values.push_back(static_cast<T>(i));
  return pth::bytes_of(values);
}

const auto twelve = pth::storage("FloatStorage", "0", 12);

/// One tensor over the storage 0, 1, ..., 11.
std::vector<float> view_of_twelve(i64 offset, const std::vector<i64>& sizes, const std::vector<i64>& strides) {
  const auto dict =
      read(pth::file(pth::dict({{"t", pth::tensor(twelve, offset, sizes, strides)}}), {{"0", counting<float>(12)}}));
  CHECK(dict.at("t").shape == Shape(std::span<const i64>(sizes)));
  return dict.at("t").to<float>();
}

/// {name: {value}} with a storage of its own for each.
pth::Items singles(const std::vector<std::string>& names, std::vector<pth::Record>& data) {
  pth::Items items;
  for (const auto& name : names) {
    const auto key = std::to_string(data.size());
    items.push_back({name, pth::tensor(pth::storage("FloatStorage", key, 1), 0, {1}, {1})});
    data.push_back({key, pth::bytes_of<float>({static_cast<float>(data.size())})});
  }
  return items;
}

}  // namespace

TEST_CASE("pth: the file of torch 1.13", "[io]") {
  const auto dict = read(pth::golden());
  REQUIRE(dict.tensors.size() == 1);
  CHECK(dict.at("t").dtype == DType::F32);
  CHECK(dict.at("t").shape == Shape{2});
  CHECK(dict.at("t").to<float>() == std::vector<float>{1, 2});
  CHECK(dict.metadata.empty());
}

TEST_CASE("pth: a file cut anywhere, or with a changed byte, never gives other numbers", "[io][fault][F9][F10]") {
  const auto bytes = pth::golden();
  for (size_t n = 0; n < bytes.size(); ++n) CHECK_FALSE(refusal(bytes.substr(0, n)).empty());
  int read_well = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const int mask : {1, 0x20, 0x80, 0xff}) {
      auto damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ mask);
      try {
        if (read(damaged).at("t").to<float>() != std::vector<float>{1, 2}) FAIL_CHECK("other numbers: byte " << at);
        ++read_well;
      } catch (const Error& error) {
        REQUIRE(error.kind() == ErrorKind::weights);
      }
    }
  }
  CHECK(read_well > 0);  // padding, descriptors and fields that nobody needs
  CHECK(read_well < 729 * 3);
}

TEST_CASE("pth: every type keeps its bits, narrow integers are widened", "[io]") {
  const auto load = [](const std::string& type, const std::string& bytes, i64 numel) {
    return read(pth::file(pth::dict({{"t", pth::tensor(pth::storage(type, "k", numel), 0, {numel}, {1})}}),
                          {{"k", bytes}}))
        .at("t");
  };
  const auto same = [&](const std::string& type, i64 size, DType dtype) {
    const auto bytes = counting<u8>(static_cast<int>(3 * size));
    const auto t = load(type, bytes, 3);
    CHECK(t.dtype == dtype);
    CHECK(std::string(t.bytes.begin(), t.bytes.end()) == bytes);
  };
  same("FloatStorage", 4, DType::F32);
  same("HalfStorage", 2, DType::F16);
  same("BFloat16Storage", 2, DType::BF16);
  same("DoubleStorage", 8, DType::F64);
  same("LongStorage", 8, DType::I64);
  same("IntStorage", 4, DType::I32);
  same("ByteStorage", 1, DType::U8);
  same("BoolStorage", 1, DType::BOOL);
  const auto narrow = load("ShortStorage", pth::bytes_of<std::int16_t>({-32768, 7, 32767}), 3);
  CHECK(narrow.dtype == DType::I32);
  CHECK(narrow.to<i64>() == std::vector<i64>{-32768, 7, 32767});
  CHECK(load("CharStorage", pth::bytes_of<std::int8_t>({-128, 0, 127}), 3).to<i64>() == std::vector<i64>{-128, 0, 127});
}

TEST_CASE("pth: tensors are gathered from any strides", "[io]") {
  using V = std::vector<float>;
  CHECK(view_of_twelve(0, {3, 4}, {4, 1}) == V{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  CHECK(view_of_twelve(0, {4, 3}, {1, 4}) == V{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11});
  CHECK(view_of_twelve(1, {2, 2}, {6, 3}) == V{1, 4, 7, 10});
  CHECK(view_of_twelve(5, {2, 3}, {0, 1}) == V{5, 6, 7, 5, 6, 7});
  CHECK(view_of_twelve(0, {2, 3, 2}, {1, 4, 2}) == V{0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11});
  CHECK(view_of_twelve(4, {1, 3}, {999, 1}) == V{4, 5, 6});  // a stride that is never taken
  CHECK(view_of_twelve(7, {}, {}) == V{7});
  CHECK(view_of_twelve(12, {0}, {1}).empty());
  CHECK(view_of_twelve(3, {2, 0, 5}, {1, 1, 1}).empty());
  CHECK(view_of_twelve(0, {1, 1, 2, 1, 1, 2}, {9, 9, 2, 9, 9, 1}) == V{0, 1, 2, 3});
}

TEST_CASE("pth: elements of every size are gathered", "[io]") {
  const auto transposed = [](const std::string& type, const std::string& bytes) {
    return read(pth::file(pth::dict({{"t", pth::tensor(pth::storage(type, "0", 6), 0, {3, 2}, {1, 3})}}),
                          {{"0", bytes}}))
        .at("t");
  };
  const std::vector<i64> expected{0, 3, 1, 4, 2, 5};
  CHECK(transposed("LongStorage", counting<i64>(6)).to<i64>() == expected);
  CHECK(transposed("IntStorage", counting<i32>(6)).to<i64>() == expected);
  CHECK(transposed("ShortStorage", counting<std::int16_t>(6)).to<i64>() == expected);
  CHECK(transposed("CharStorage", counting<std::int8_t>(6)).to<i64>() == expected);
  CHECK(transposed("ByteStorage", counting<u8>(6)).to<i64>() == expected);
  const auto half = transposed("HalfStorage", pth::bytes_of<u16>({0, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500}));
  CHECK(half.to<float>() == std::vector<float>{0, 3, 1, 4, 2, 5});
}

TEST_CASE("pth: an empty tensor has an empty record", "[io]") {
  const auto dict = read(
      pth::file(pth::dict({{"e", pth::tensor(pth::storage("HalfStorage", "0", 0), 0, {0, 3}, {3, 1})}}), {{"0", ""}}));
  CHECK(dict.at("e").shape == Shape{0, 3});
  CHECK(dict.at("e").bytes.empty());
}

TEST_CASE("pth: tensors share a storage, and one tensor two names", "[io]") {
  const auto shared = "q\5";
  const auto dict = read(pth::file(
      pth::dict(
          {{"a", pth::tensor(twelve, 0, {2}, {1}) + shared}, {"b", pth::tensor(twelve, 1, {2}, {1})}, {"c", "h\5"}}),
      {{"0", counting<float>(12)}}));
  CHECK(dict.at("a").to<float>() == std::vector<float>{0, 1});
  CHECK(dict.at("b").to<float>() == std::vector<float>{1, 2});
  CHECK(dict.at("c").to<float>() == std::vector<float>{0, 1});
}

TEST_CASE("pth: a full checkpoint of the reference gives teacher and student", "[io]") {
  std::vector<pth::Record> data;
  const auto student = singles({"module.backbone.cls_token", "module.head.mlp.0.weight"}, data);
  const auto teacher = singles({"backbone.cls_token", "head.mlp.0.weight"}, data);
  const auto moments = singles({"exp_avg"}, data);
  const auto optimizer = "}(" + pth::text("state") + "}K\3" + pth::dict(moments) + "s" + pth::text("param_groups") +
                         pth::list({pth::dict({{"lr", "G12345678"}})}) + "u";
  const auto dict = read(pth::file(pth::dict({{"student", pth::dict(student)},
                                              {"teacher", pth::dict(teacher)},
                                              {"optimizer", optimizer},
                                              {"epoch", "K\7"},
                                              {"args", pth::namespace_object()}}),
                                   data));
  std::vector<std::string> names;
  for (const auto& [name, tensor] : dict.tensors) names.push_back(name);
  CHECK(names == std::vector<std::string>{"optimizer.state.3.exp_avg", "student.module.backbone.cls_token",
                                          "student.module.head.mlp.0.weight", "teacher.backbone.cls_token",
                                          "teacher.head.mlp.0.weight"});
  CHECK(dict.at("teacher.backbone.cls_token").to<float>() == std::vector<float>{2});
  CHECK(dict.metadata.at("pth.ignored") == "epoch, args (argparse.Namespace)");
  CHECK(dict.metadata.at("pth.objects") == "argparse.Namespace");
}

TEST_CASE("pth: a checkpoint of Lightning", "[io]") {
  std::vector<pth::Record> data;
  const auto state = singles({"backbone.cls_token"}, data);
  const auto ordered = pth::global("collections", "OrderedDict") + ")R(" + pth::text("backbone.cls_token") +
                       state[0].second + "u}" + pth::text("_metadata") + "}sb";
  const auto dict = read(pth::file(pth::dict({{"epoch", "K\1"},
                                              {"state_dict", ordered},
                                              {"callbacks", pth::dict({{"best", "N"}})},
                                              {"optimizer_states", "]"},
                                              {"hyper_parameters", pth::global("a.b", "AttributeDict") + ")R"}}),
                                   data));
  CHECK(dict.tensors.size() == 1);
  CHECK(dict.at("state_dict.backbone.cls_token").to<float>() == std::vector<float>{0});
  CHECK(dict.metadata.at("pth.ignored") == "epoch, optimizer_states, hyper_parameters (a.b.AttributeDict)");
}

TEST_CASE("pth: what is no tensor under a name is left out", "[io]") {
  std::vector<pth::Record> data;
  auto root = pth::dict(singles({"t"}, data));
  root += pth::tuple({"K\1"}) + pth::tensor(twelve, 0, {1}, {1}) + "s";  // a tuple as key
  root += pth::text("c") + pth::tensor(pth::storage("ComplexFloatStorage", "9", 1), 0, {1}, {1}) + "s";
  root += pth::text("\xff\x1b[2J") + "Ns";
  const auto dict = read(pth::file(root, data));
  CHECK(dict.tensors.size() == 1);
  CHECK(dict.metadata.at("pth.ignored") == "?, c (torch.ComplexFloatStorage), ??[2J");
}

TEST_CASE("pth: os.system in a file is refused by name", "[io][fault]") {
  TemporaryFolder folder;
  const auto call =
      pth::global("posix", "system") + pth::tuple({pth::text("touch " + (folder / "made").string())}) + "R";
  std::vector<pth::Record> data;
  auto items = singles({"t"}, data);
  items.push_back({"x", call});
  CHECK_THAT(refusal(pth::file(pth::dict(items), data)), contains("refused: it asks for posix.system"));
  CHECK_FALSE(std::filesystem::exists(folder / "made"));
}

TEST_CASE("pth: files without a dictionary of tensors say what to save", "[io]") {
  std::vector<pth::Record> data;
  const auto one = singles({"t"}, data)[0].second;
  CHECK_THAT(refusal(pth::file(one, data)), contains("holds no dictionary of tensors"));
  CHECK_THAT(refusal(pth::file(pth::list({one}), data)), contains("holds no dictionary of tensors"));
  CHECK_THAT(refusal(pth::file(pth::global("models.vit", "ViT") + ")\x81}b", {})),
             contains("holds a Python object (models.vit.ViT), not weights") && contains("model.state_dict()"));
  CHECK_THAT(refusal(pth::file(pth::dict({{"epoch", "K\1"}, {"d", "}"}}), {})),
             contains("there is no tensor in it, only: epoch"));
}

TEST_CASE("pth: records and storages must agree", "[io][fault]") {
  const auto root = pth::dict({{"t", pth::tensor(twelve, 0, {2}, {1})}});
  CHECK_THAT(refusal(pth::file(root, {})), contains("there is no record archive/data/0 for tensor t"));
  for (const int n : {0, 11, 13}) {
    CHECK_THAT(refusal(pth::file(root, {{"0", counting<float>(n)}})),
               contains("bytes, tensor t needs 12 elements of 4"));
  }
  CHECK_THAT(refusal(pth::file(root, {{"0", counting<u8>(49)}})), contains("has 49 bytes"));
  constexpr i64 most = std::numeric_limits<i64>::max();
  CHECK_THAT(refusal(pth::file(pth::dict({{"t", pth::tensor(pth::storage("LongStorage", "0", most), 0, {most}, {1})}}),
                               {{"0", counting<i64>(3)}})),
             contains("needs 9223372036854775807 elements of 8"));
  CHECK_THAT(refusal(pth::file(pth::dict({{"t", pth::tensor(pth::storage("FloatStorage", "../../x", 1), 0, {1}, {1})}}),
                               {{"0", ""}})),
             contains("there is no record archive/data/../../x"));
  auto bytes = pth::small_file();
  const auto value = bytes.find(pth::bytes_of<float>({1, 2}));
  bytes[value + 1] = 1;
  CHECK_THAT(refusal(bytes), contains("record archive/data/0 is damaged"));
}

TEST_CASE("pth: names are checked", "[io][fault]") {
  std::vector<pth::Record> data;
  const auto t = singles({"t"}, data)[0].second;
  const auto file = [&](const pth::Items& items) { return refusal(pth::file(pth::dict(items), data)); };
  CHECK(file({{std::string(512, 'n'), t}}).empty());
  CHECK_THAT(file({{std::string(513, 'n'), t}}), contains("has more than 512 bytes"));
  CHECK_THAT(file({{std::string(300, 'n'), pth::dict({{std::string(212, 'n'), t}})}}), contains("more than 512 bytes"));
  CHECK_THAT(file({{"a\nb", t}}), contains("is not printable UTF-8"));
  CHECK_THAT(file({{"a\xff", t}}), contains("is not printable UTF-8"));
  CHECK_THAT(file({{"t", t}, {"t", t}}), contains("two tensors are called t"));
  CHECK_THAT(file({{"a.b", t}, {"a", pth::dict({{"b", t}})}}), contains("two tensors are called a.b"));
}

TEST_CASE("pth: small files cannot ask for much memory or time", "[io][fault]") {
  const std::string what = "its contents would need more than";
  const auto t = pth::tensor(twelve, 0, {i64{1} << 40}, {0});
  const std::vector<pth::Record> data{{"0", counting<float>(12)}};
  CHECK_THAT(refusal(pth::file(pth::dict({{"t", t}}), data)), contains(what));
  const auto huge = pth::tensor(twelve, 0, {i64{1} << 62}, {0});
  CHECK_THAT(refusal(pth::file(pth::dict({{"t", huge}}), data)), contains(what));
  // Many names for one tensor of 4 MB.
  pth::Items items{{"t", pth::tensor(twelve, 0, {1'000'000}, {0}) + "q\1"}};
  for (int i = 0; i < 100; ++i) items.push_back({"t" + std::to_string(i), "h\1"});
  CHECK_THAT(refusal(pth::file(pth::dict(items), data)), contains(what));
  // Dictionaries that share their parts: 2^60 names, with a tensor at the bottom or with nothing.
  for (const auto& bottom : {pth::dict({{"t", pth::tensor(twelve, 0, {1}, {1})}}), std::string("}")}) {
    pth::Items levels{{"0", bottom + "q\1"}};
    for (int i = 1; i <= 60; ++i) {
      levels.push_back({std::to_string(i), pth::dict({{"a", "h\1"}, {"b", "h\1"}}) + "q\1"});
    }
    CHECK_THAT(refusal(pth::file(pth::dict(levels), data)), contains(what));
  }
  // A dictionary that contains itself, once and twice.
  const auto loop = "}q\1" + pth::text("a") + "h\1s";
  CHECK_THAT(refusal(pth::file(loop, {})), contains("nested too deep"));
  const auto loops = "}q\1(" + pth::text("") + "h\1" + pth::text("t") + pth::tensor(twelve, 0, {1}, {1}) + "u";
  CHECK_THAT(refusal(pth::file(loops, data)), contains("nested too deep"));
}
