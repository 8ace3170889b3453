#include <dino/io/pth_pickle.hpp>

#include "support/catch.hpp"
#include "support/pth_files.hpp"

using namespace dino;
using Kind = PickleKind;

namespace {

constexpr i64 plenty = i64{1} << 20;  // bytes

PickleTree parse(const std::string& pickle, i64 memory = plenty, const PickleLimits& limits = {}) {
  MemoryBudget budget(memory, "x.pth");
  return read_pickle({pickle.begin(), pickle.end()}, "x.pth: data.pkl", budget, limits);
}

/// The root that these words leave on the stack.
PickleTree words(const std::string& root) { return parse(pth::pickle(root)); }

std::string refusal(const std::string& pickle, i64 memory = plenty, const PickleLimits& limits = {}) {
  try {
    parse(pickle, memory, limits);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::weights);
    CHECK_THAT(error.what(), contains("x.pth"));
    return error.what();
  }
  return "";
}
void refuse(const std::string& root, const std::string& why) { CHECK_THAT(refusal(pth::pickle(root)), contains(why)); }

/// The value of a key of a dictionary.
PickleValue at(const PickleTree& tree, const PickleValue& dict, std::string_view key) {
  REQUIRE(dict.kind == Kind::dict);
  const auto& items = tree.sequences[dict.index];
  for (size_t i = 0; i < items.size(); i += 2) {
    if (items[i].kind == Kind::text && tree.text(items[i]) == key) return items[i + 1];
  }
  FAIL("no key " << key);
  return {};
}

const auto floats = pth::storage("FloatStorage", "0", 12);

}  // namespace

TEST_CASE("pth_pickle: the pickle of torch 1.13", "[io]") {
  const auto tree = parse(pth::golden_pickle());
  const auto value = at(tree, tree.root, "t");
  REQUIRE(value.kind == Kind::tensor);
  const auto& tensor = tree.tensors[value.index];
  CHECK(tensor.shape == Shape{2});
  CHECK(tensor.offset == 0);
  CHECK(tensor.numel == 2);
  CHECK(tensor.strides[0] == 1);
  const auto& storage = tree.storages[tensor.storage];
  CHECK(storage.type->dtype == DType::F32);
  CHECK(tree.text(storage.key) == "0");
  CHECK(storage.numel == 2);
  CHECK(tree.inert.empty());
}

TEST_CASE("pth_pickle: a pickle cut anywhere is refused", "[io][fault][F9]") {
  const auto pickle = pth::golden_pickle();
  for (size_t n = 0; n < pickle.size(); ++n) {
    CHECK_THAT(refusal(pickle.substr(0, n)), contains("it ends too early"));
  }
  CHECK_THAT(refusal(pickle + "."), contains("1 bytes follow its end"));
}

TEST_CASE("pth_pickle: every byte in every place is data or an error", "[io][fault][F10]") {
  const auto pickle = pth::golden_pickle();
  int errors = 0;
  for (size_t at = 0; at < pickle.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      auto damaged = pickle;
      damaged[at] = static_cast<char>(byte);
      try {
        const auto tree = parse(damaged);
        for (const auto& t : tree.tensors) REQUIRE(t.numel <= tree.storages[t.storage].numel);
      } catch (const Error& error) {
        REQUIRE(error.kind() == ErrorKind::weights);
        ++errors;
      }
    }
  }
  CHECK(errors > 165 * 100);
}

TEST_CASE("pth_pickle: integers of all forms", "[io]") {
  const auto tree = words(pth::tuple(
      {"K\xff", "M\xff\xff", "J\xff\xff\xff\xff", pth::unhex("8a00"), pth::unhex("8a01ff"), pth::unhex("8a0180"),
       pth::unhex("8a02ff00"), pth::integer(-(i64{1} << 62)), pth::unhex("8a09ffffffffffffffff00"), "G12345678"}));
  const auto& v = tree.sequences[tree.root.index];
  const i64 expected[] = {255, 65535, -1, 0, -1, -128, 255, -(i64{1} << 62)};
  for (size_t i = 0; i < std::size(expected); ++i) {
    CHECK(v[i].kind == Kind::integer);
    CHECK(v[i].number == expected[i]);
  }
  CHECK(v[8].kind == Kind::other);  // more than 64 bits
  CHECK(v[9].kind == Kind::other);
}

TEST_CASE("pth_pickle: dictionaries, lists, sets and strings", "[io]") {
  const auto one = std::string("K\1");
  auto tree = words("}" + pth::text("a") + one + "s");
  CHECK(at(tree, tree.root, "a").number == 1);
  tree = words("](" + one + "e" + one + "a");
  CHECK(tree.sequences[tree.root.index].size() == 2);
  tree = words(pth::global("collections", "OrderedDict") +
               pth::tuple({pth::list({pth::list({pth::text("k"), one}), pth::tuple({pth::text("l"), one})})}) + "R");
  CHECK(at(tree, tree.root, "k").number == 1);
  CHECK(at(tree, tree.root, "l").number == 1);
  tree = words(pth::global("collections", "OrderedDict") + ")R(U\1kK\2u}b");  // and its state dropped
  CHECK(at(tree, tree.root, "k").number == 2);
  CHECK(words("\x8f").root.kind == Kind::other);
  CHECK(words(std::string("K\1\x85", 3)).root.kind == Kind::tuple);
  tree = words("K\1K\2K\3\x87");
  CHECK(tree.sequences[tree.root.index][0].number == 1);
}

TEST_CASE("pth_pickle: a parameter is its tensor, a torch.Size its tuple", "[io]") {
  const auto hooks = pth::global("collections", "OrderedDict") + ")R";
  auto tree = words(pth::global("torch._utils", "_rebuild_parameter") +
                    pth::tuple({pth::tensor(floats, 0, {3, 4}, {4, 1}), "\x88", hooks}) + "R");
  REQUIRE(tree.root.kind == Kind::tensor);
  CHECK(tree.tensors[tree.root.index].shape == Shape{3, 4});
  tree = words(pth::global("torch", "Size") + pth::tuple({pth::numbers({3, 4})}) + "R");
  REQUIRE(tree.root.kind == Kind::tuple);
  CHECK(tree.sequences[tree.root.index][1].number == 4);
  CHECK(tree.inert.empty());
}

TEST_CASE("pth_pickle: ways to the system are refused by name, without being taken", "[io][fault]") {
  for (const auto& [module, name] : std::vector<std::pair<std::string, std::string>>{{"os", "system"},
                                                                                     {"posix", "system"},
                                                                                     {"nt", "system"},
                                                                                     {"os.path", "join"},
                                                                                     {"subprocess", "Popen"},
                                                                                     {"sys", "exit"},
                                                                                     {"importlib", "import_module"},
                                                                                     {"runpy", "run_path"},
                                                                                     {"pty", "spawn"},
                                                                                     {"socket", "socket"},
                                                                                     {"shutil", "rmtree"},
                                                                                     {"ctypes", "CDLL"},
                                                                                     {"webbrowser", "open"},
                                                                                     {"builtins", "eval"},
                                                                                     {"__builtin__", "exec"},
                                                                                     {"builtins", "compile"},
                                                                                     {"builtins", "open"},
                                                                                     {"builtins", "getattr"},
                                                                                     {"builtins", "setattr"},
                                                                                     {"builtins", "__import__"},
                                                                                     {"builtins", "breakpoint"},
                                                                                     {"__builtin__", "input"},
                                                                                     {"builtins", "eval.__call__"}}) {
    refuse(pth::global(module, name) + pth::tuple({pth::text("touch x")}) + "R",
           "refused: it asks for " + module + "." + name + " at byte 2");
  }
  CHECK_NOTHROW(words(pth::global("osmium", "system")));
  CHECK_NOTHROW(words(pth::global("builtins", "set")));
  refuse(pth::global("os\x1b[2J", "x") + pth::global("os", "a\x1b"), "it asks for os.a? at byte");
}

TEST_CASE("pth_pickle: unknown classes are inert objects with a name", "[io]") {
  const auto tree =
      words(pth::dict({{"args", pth::namespace_object()},
                       {"scalar", pth::global("numpy.core.multiarray", "scalar") + ")R"},
                       {"again", pth::namespace_object()},
                       {"filled", pth::global("collections", "defaultdict") + ")R(" + pth::text("k") + "NuK\1a"},
                       {"class", pth::global("a", "B")}}));
  const auto args = at(tree, tree.root, "args");
  CHECK(args.kind == Kind::object);
  CHECK(tree.text(args) == "argparse\nNamespace");
  CHECK(at(tree, tree.root, "filled").kind == Kind::object);
  CHECK(at(tree, tree.root, "class").kind == Kind::global);
  CHECK(tree.inert ==
        std::set<std::string>{"a.B", "argparse.Namespace", "collections.defaultdict", "numpy.core.multiarray.scalar"});
}

TEST_CASE("pth_pickle: a tensor of an unknown type is an inert object", "[io]") {
  const auto tree = words(pth::tensor(pth::storage("ComplexFloatStorage", "0", 4), 0, {4}, {1}));
  CHECK(tree.root.kind == Kind::object);
  CHECK(tree.inert == std::set<std::string>{"torch.ComplexFloatStorage"});
}

TEST_CASE("pth_pickle: opcodes that no file of weights needs are refused with their byte", "[io][fault]") {
  refuse("\x93", "opcode 0x93 at byte 2 has no use in a file of weights");  // STACK_GLOBAL
  for (const char opcode : {'i', 'o', '0', '1', '2',    'p',    'g',    'P',    'I',    'L',    'F',  'S',
                            'V', 'T', 'd', 'l', '\x82', '\x92', '\x94', '\x95', '\x8b', '\x8c', '\0', '\xff'}) {
    refuse(std::string(1, opcode), "has no use in a file of weights");
  }
  CHECK_THAT(refusal("\x80\x06N."), contains("unknown protocol"));
}

TEST_CASE("pth_pickle: a stack that does not fit is refused", "[io][fault]") {
  refuse("", "0 values are left on the stack");
  refuse("NN", "2 values are left on the stack");
  refuse("(N", "values are left on the stack");
  refuse("t", "a mark is missing");
  refuse("N(\x85", "a value is missing on the stack");
  refuse("q\1", "a value is missing");
  refuse("h\1", "there is no value 1 in the memo");
  refuse("Nq\5h\4\x86", "there is no value 4 in the memo");
  refuse("Nj\xff\xff\xff\xff\x86", "there is no value 4294967295 in the memo");
  refuse("(NNe", "nothing to add to");
  refuse("N(NNu(s", "a value is missing");
  refuse("}(Nu", "a key without value");
  refuse("](NNu", "added to something else");
  refuse("}Na", "added to something else");
  refuse("K\1Na", "added to something else");
  refuse("N)R", "something that is no function");
  refuse(pth::global("a", "B") + "NR", "arguments that are no tuple");
  refuse("X\xff\xff\xff\x7f", "a string of more than");
  refuse("U\xff", "it ends too early");
  refuse("b", "a value is missing");
  refuse(pth::global("collections", "OrderedDict") + pth::tuple({"N"}) + "R", "something else than pairs");
  refuse(pth::global("collections", "OrderedDict") + pth::tuple({pth::list({")"})}) + "R", "something else than pairs");
}

TEST_CASE("pth_pickle: storages and tensors with wrong arguments are refused", "[io][fault]") {
  const auto f = pth::global("torch", "FloatStorage"), rebuild = pth::global("torch._utils", "_rebuild_tensor_v2");
  const auto s = pth::text("storage"), key = pth::text("0"), cpu = pth::text("cpu"), n = pth::integer(12);
  for (const auto& id :
       {pth::tuple({s, f, key, cpu}), pth::tuple({key, f, key, cpu, n}), pth::tuple({s, s, key, cpu, n}),
        pth::tuple({s, f, n, cpu, n}), pth::tuple({s, f, key, cpu, pth::integer(-1)}),
        pth::tuple({s, f, key, cpu, key}), std::string("N")}) {
    refuse(id + "Q", "this is not the description of a storage");
  }
  refuse(rebuild + ")R", "a tensor with too few arguments");
  refuse(rebuild + pth::tuple({"N", n, ")", ")"}) + "R", "a tensor with wrong arguments");
  refuse(rebuild + pth::tuple({floats, "N", ")", ")"}) + "R", "a tensor with wrong arguments");
  refuse(rebuild + pth::tuple({floats, n, "]", ")"}) + "R", "a tensor with wrong arguments");
  refuse(rebuild + pth::tuple({floats, n, pth::tuple({"N"}), pth::numbers({1})}) + "R", "no whole number from 0");
  refuse(pth::tensor(floats, 0, {2, 2}, {1}), "2 dimensions and 1 strides");
  refuse(pth::tensor(floats, 0, {1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1}), "at most 6 are supported");
}

TEST_CASE("pth_pickle: a tensor stays inside its storage", "[io][fault]") {
  constexpr i64 big = i64{1} << 40, most = std::numeric_limits<i64>::max(), least = std::numeric_limits<i64>::min();
  const auto accepted = [](i64 offset, const std::vector<i64>& sizes, const std::vector<i64>& strides) {
    return words(pth::tensor(floats, offset, sizes, strides)).tensors[0].numel;
  };
  CHECK(accepted(0, {3, 4}, {4, 1}) == 12);
  CHECK(accepted(0, {4, 3}, {1, 4}) == 12);
  CHECK(accepted(11, {}, {}) == 1);
  CHECK(accepted(11, {5}, {0}) == 5);
  CHECK(accepted(2, {4}, {3}) == 4);
  CHECK(accepted(12, {0, 4}, {4, 1}) == 0);
  CHECK(accepted(0, {0, big, big}, {most, most, most}) == 0);
  const auto outside = [](i64 offset, const std::vector<i64>& sizes, const std::vector<i64>& strides) {
    refuse(pth::tensor(floats, offset, sizes, strides), "reaches outside its storage of 12 elements");
  };
  outside(0, {13}, {1});
  outside(1, {3, 4}, {4, 1});
  outside(12, {}, {});
  outside(3, {4}, {3});
  outside(13, {0}, {1});
  outside(most, {2}, {1});
  outside(0, {2, 2}, {most, most});
  outside(0, {big}, {big});
  refuse(pth::tensor(floats, 0, {big, big}, {0, 0}), "overflows");
  refuse(pth::tensor(floats, 0, {big, big, 0}, {0, 0, 0}), "overflows");
  for (const i64 x : {i64{-1}, least}) {
    refuse(pth::tensor(floats, x, {1}, {1}), "no whole number from 0");
    refuse(pth::tensor(floats, 0, {x}, {1}), "no whole number from 0");
    refuse(pth::tensor(floats, 5, {2}, {x}), "no whole number from 0");
  }
}

TEST_CASE("pth_pickle: limits hold", "[io][fault]") {
  CHECK_THAT(refusal(std::string(100, '('), plenty, {.stack = 50}), contains("more than 50 marks"));
  CHECK_THAT(refusal(std::string(100, 'N'), plenty, {.stack = 50}), contains("more than 50 values on the stack"));
  CHECK_THAT(refusal("Nq\x64.", plenty, {.memo = 100}), contains("more than 100 values in the memo"));
  CHECK(refusal("Nq\x63.", plenty, {.memo = 100}).empty());
  CHECK_THAT(refusal("X" + pth::le<u32>(9) + "123456789.", plenty, {.text = 8}),
             contains("string of more than 8 bytes"));
  CHECK_THAT(refusal("c" + std::string(20, 'm') + "\nn\n.", plenty, {.text = 8}),
             contains("name of more than 8 bytes"));
  CHECK_THAT(refusal("NNNN.", plenty, {.pickle = 4}), contains("5 bytes of pickle, at most 4 bytes"));
}

TEST_CASE("pth_pickle: nothing asks for more memory than the budget", "[io][fault]") {
  const std::string what = "its contents would need more than";
  CHECK_THAT(refusal("Nr\x7f\x96\x98" + std::string(1, '\0') + "."), contains(what));  // memo index 9,999,999
  std::string many = "](";
  for (int i = 0; i < 40'000; ++i) many += "}";
  CHECK_THAT(refusal(pth::pickle(many + "e")), contains(what));
  CHECK(refusal(pth::pickle(many + "e"), 16 * plenty).empty());
  std::string names;
  for (int i = 0; i < 10'000; ++i) names += pth::global("m" + std::to_string(i), "n");
  CHECK_THAT(refusal(pth::pickle("(" + names + "t")), contains(what));
  // 1e5 pairs, made into a dictionary again and again.
  std::string pairs = "]q" + std::string(1, '\0') + "(";
  for (int i = 0; i < 5'000; ++i) pairs += "NN\x86";
  pairs += "e\x85q\1";
  for (int i = 0; i < 100; ++i) pairs += pth::global("collections", "OrderedDict") + "h\1R\x86";
  CHECK_THAT(refusal(pth::pickle(pairs)), contains(what));
}

TEST_CASE("pth_pickle: values that share one another take no more memory than their words", "[io][fault]") {
  std::string bomb = ")";
  for (int i = 0; i < 5'000; ++i) bomb += "q" + std::string(1, '\0') + "h" + std::string(1, '\0') + "\x86";
  const auto tree = words(bomb);  // 2^5000 leaves, one level of depth per word
  CHECK(tree.sequences.size() == 5'001);
  const auto loop = words("]q\1h\1a");
  CHECK(loop.sequences[loop.root.index][0].index == loop.root.index);
}
