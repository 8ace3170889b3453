// The committed golden files, those of $DINO_GOLDEN_DIR, and files that are wrong in some way.
#include "../../examples/dino_parity/items.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

#include <cstdlib>
#include <fstream>
#include <functional>

using namespace dino;
namespace fs = std::filesystem;

namespace {

fs::path committed() { return fs::path(__FILE__).parent_path().parent_path() / "golden" / "parity"; }

void check_folder(const fs::path& folder, std::set<std::string>* kinds = nullptr) {
  HostContext ctx(2);
  for (const auto& file : parity::golden_files(folder)) {
    const auto name = file.filename().string();  // those about photographs hold JPEGs
    if (!DINO_HAS_TURBOJPEG && (name.starts_with("photo") || name.starts_with("features"))) continue;
    const auto items = parity::check_file(file, ctx);
    CHECK_FALSE(items.empty());
    for (const auto& item : items) {
      INFO(item.file << " " << item.type << " " << item.what << " " << item.worst << ": " << item.relative << " of "
                     << item.tolerance);
      CHECK(item.ok());
      if (kinds) kinds->insert(item.kind + " " + item.type);
    }
  }
}

/// A committed file, changed.
class Changed {
 public:
  Changed(const std::string& name, const std::function<void(StateDict&)>& change) {
    auto state = read_safetensors(committed() / (name + ".safetensors"));
    change(state);
    write_safetensors(file_, state);
  }
  std::vector<parity::Item> items() {
    HostContext ctx(1);
    return parity::check_file(file_, ctx);
  }
  /// The names of the items that are out of tolerance.
  std::set<std::string> wrong() {
    std::set<std::string> names;
    for (const auto& item : items()) {
      if (!item.ok()) names.insert(item.type + " " + item.what);
    }
    return names;
  }

 private:
  TemporaryFolder folder_;
  fs::path file_ = folder_ / "case.safetensors";
};

/// Replaces one number of a tensor of doubles.
void set_double(StateDict& state, const std::string& name, size_t index, const std::function<double(double)>& f) {
  auto& data = state.tensors.at(name);
  auto values = data.to<double>();
  values.at(index) = f(values.at(index));
  data = tensor_data(data.shape, values);
}

void replace_in_config(StateDict& state, const std::string& from, const std::string& to) {
  auto& text = state.metadata.at("dino.parity");
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("parity: the committed golden files, of every kind", "[parity][golden]") {
  std::set<std::string> kinds;
  check_folder(committed(), &kinds);
  for (const std::string kind : {"vit", "head", "head with batch norm", "loss", "adamw", "sgd", "lars", "ema",
                                 "adamw training", "sgd training, batch norm", "lars training"}) {
    INFO(kind);
    CHECK(kinds.count(kind + " double") == 1);
    CHECK(kinds.count(kind + " float") == 1);
  }
  CHECK(kinds.count("knn float") == 1);
  CHECK(kinds.count("photo float") == DINO_HAS_TURBOJPEG);
  CHECK(kinds.count("features float") == DINO_HAS_TURBOJPEG);
}

TEST_CASE("parity: the golden files of DINO_GOLDEN_DIR", "[parity][golden]") {
  const char* const folder = std::getenv("DINO_GOLDEN_DIR");
  if (folder) {
    check_folder(folder);
  } else {
    SUCCEED("DINO_GOLDEN_DIR is not set");
  }
}

TEST_CASE("parity: an error of a value is found where it is", "[parity]") {
  const auto raised = [](double share) { return [share](double x) { return x * (1 + share) + share; }; };
  const std::string vit = "vit-tiny-10x6-1", run = "trajectory-small-adamw-1";
  // Between the tolerances of double and float: only double sees it.
  CHECK(Changed(vit, [&](StateDict& s) { set_double(s, "attention", 3, raised(1e-8)); }).wrong() ==
        std::set<std::string>{"double last attention"});
  CHECK(Changed(vit, [&](StateDict& s) { set_double(s, "attention", 3, raised(1e-2)); }).wrong() ==
        std::set<std::string>{"double last attention", "float last attention"});
  CHECK(Changed(vit, [&](StateDict& s) { set_double(s, "tokens", 0, raised(1e-2)); }).wrong() ==
        std::set<std::string>{"double class token", "float class token", "double all tokens", "float all tokens"});
  CHECK(Changed(vit, [&](StateDict& s) { set_double(s, "tokens", 13, raised(1e-2)); }).wrong() ==
        std::set<std::string>{"double all tokens", "float all tokens"});
  CHECK(Changed(vit, [&](StateDict& s) { set_double(s, "last.1", 5, raised(1e-7)); }).wrong() ==
        std::set<std::string>{"double last blocks"});
  CHECK(Changed(vit, [&](StateDict& s) { set_double(s, "grad.cls_token", 1, raised(1e-5)); }).wrong() ==
        std::set<std::string>{"double gradients"});
  const std::set<std::string> positions{"double gradients", "double gradient of positions"};
  for (const std::string dinov2 : {"dinov2-tiny-registers-10x6-1", "dinov2-tiny-swiglu-10x6-1"}) {
    CHECK(Changed(dinov2, [&](StateDict& s) { set_double(s, "grad.pos_embed", 20, raised(1e-5)); }).wrong() ==
          positions);
    CHECK(Changed(dinov2, [&](StateDict& s) { set_double(s, "grad.blocks.0.ls2.gamma", 1, raised(1e-5)); }).wrong() ==
          std::set<std::string>{"double gradients"});
  }
  CHECK(Changed("dinov2-tiny-registers-10x6-1", [&](StateDict& s) {
          set_double(s, "grad.register_tokens", 9, raised(1e-5));
        }).wrong() == std::set<std::string>{"double gradients"});
  CHECK(Changed("knn-1", [&](StateDict& s) {
          set_double(s, "votes.5", 0, [](double x) { return x + 1e5; });
        }).wrong() == std::set<std::string>{"float votes"});
  CHECK(Changed(run, [&](StateDict& s) { set_double(s, "loss", 9, raised(1e-6)); }).wrong() ==
        std::set<std::string>{"double loss"});
  CHECK(Changed(run, [&](StateDict& s) { set_double(s, "teacher.head.mlp.4.bias", 0, raised(1e-2)); }).wrong() ==
        std::set<std::string>{"double teacher", "float teacher"});
}

TEST_CASE("parity: the key's bias is free within its bound, query and value are not", "[parity]") {
  const auto changed = [](const std::string& file, const std::string& tensor, size_t index, double by) {
    return Changed(file, [&](StateDict& s) { set_double(s, tensor, index, [by](double x) { return x + by; }); })
        .wrong();
  };
  const std::string grad = "grad.blocks.0.attn.qkv.bias", weight = "student.backbone.blocks.0.attn.qkv.bias";
  CHECK(changed("vit-tiny-10x6-1", grad, 9, 0.1).empty());  // what the file says there does not matter: theory says 0
  CHECK(changed("vit-tiny-10x6-1", grad, 1, 0.1).count("float gradients") == 1);
  CHECK(changed("vit-tiny-10x6-1", grad, 17, 0.1).count("float gradients") == 1);
  CHECK(changed("trajectory-small-adamw-1", weight, 5, 1e-3).empty());
  CHECK(changed("trajectory-small-adamw-1", weight, 5, 1).count("double biases without effect, of sum of lr") == 1);
  CHECK(changed("trajectory-small-adamw-1", weight, 1, 1e-3).count("float student") == 1);
  CHECK(changed("trajectory-small-lars-1", weight, 5, 1e-3).count("float student") == 1);
}

TEST_CASE("parity: positions resampled by the other rule are wrong", "[parity]") {
  const auto wrong = [](const std::string& name, const std::string& from, const std::string& to) {
    return Changed(name, [&](StateDict& s) { replace_in_config(s, from, to); }).wrong();
  };
  const std::string registers = "dinov2-tiny-registers-10x6-1", swiglu = "dinov2-tiny-swiglu-10x6-1";
  CHECK(wrong(registers, "\"position_offset\": 0", "\"position_offset\": 0.1").count("float all tokens") == 1);
  CHECK(wrong(registers, "\"position_antialias\": true", "\"position_antialias\": false").count("float all tokens") ==
        1);
  CHECK(wrong(swiglu, "\"mlp\"", "\"position_offset\": 0.2, \"mlp\"").count("float gradient of positions") == 1);
  CHECK(wrong(swiglu, "\"mlp\"", "\"position_offset\": 0.1, \"mlp\"").empty());  // as where it is absent
}

TEST_CASE("parity: a value that is not a number is wrong", "[parity]") {
  const auto nan = [](double) { return std::numeric_limits<double>::quiet_NaN(); };
  CHECK(Changed("ema-1", [&](StateDict& s) { set_double(s, "updated", 3, nan); }).wrong() ==
        std::set<std::string>{"double average", "float average"});
  parity::Difference d;
  d.add(std::nan(""), 1);
  d.add(1.0, 1);
  CHECK(std::isnan(d.absolute));
  parity::Item item;
  item.tolerance = 1;
  item.add(d.absolute, d.relative(), "x");
  item.add(0, 0, "y");
  CHECK_FALSE(item.ok());
  CHECK(item.worst == "x");
}

TEST_CASE("parity: a file computed in float is held against float alone", "[parity]") {
  Changed file("ema-1", [](StateDict& s) { replace_in_config(s, "float64", "float32"); });
  REQUIRE(file.items().size() == 1);
  CHECK(file.items()[0].type == "float");
}

TEST_CASE("parity: folders and files that are missing, empty or broken are named", "[parity]") {
  TemporaryFolder folder;
  HostContext ctx(1);
  CHECK_THROWS_WITH(parity::golden_files(folder / "none"), contains("none: no such file or folder"));
  CHECK_THROWS_WITH(parity::golden_files(folder.path), contains("has no golden files"));
  std::ofstream(folder / "a.safetensors") << "not tensors at all";
  CHECK_THROWS_WITH(parity::check_file(folder / "a.safetensors", ctx), contains("a.safetensors"));
  CHECK(parity::golden_files(folder.path).size() == 1);
}

TEST_CASE("parity: what a check does not know or does not find is refused", "[parity]") {
  const auto refused = [](const std::string& name, const std::function<void(StateDict&)>& change,
                          const std::string& message) {
    CHECK_THROWS_WITH(Changed(name, change).items(), contains("case.safetensors") && contains(message));
  };
  const auto config = [](const std::string& from, const std::string& to) {
    return [=](StateDict& s) { replace_in_config(s, from, to); };
  };
  const std::string vit = "vit-tiny-10x6-1", head = "head-1", run = "trajectory-small-lars-1",
                    dinov2 = "dinov2-tiny-registers-10x6-1";
  refused(
      vit, [](StateDict& s) { s.metadata.erase("dino.parity"); }, "no metadata dino.parity");
  refused(
      vit, [](StateDict& s) { s.metadata["dino.parity"] = "[1]"; }, "is not a JSON object");
  refused(vit, config("\"format\": 1", "\"format\": 2"), "format 2 is not known");
  refused(vit, config("\"vit\"", "\"resnet\""), "kind \"resnet\" is not known to this version");
  refused(vit, config("float64", "float16"), "dtype \"float16\"");
  refused(vit, config("\"dim\"", "\"width\""), "its configuration has no field dim");
  refused(vit, config("\"dim\": 8", "\"dim\": \"eight\""), "field dim is eight, expected a number");
  refused(vit, config("\"dim\": 8", "\"dim\": 8.5"), "field dim is 8.5, expected an integer");
  refused(vit, config("\"dim\"", "\"wings\": 1, \"dim\""), "field wings is not known for this kind");
  refused(vit, config("\"dim\": 8", "\"dim\": 4"), "does not fit the model");
  refused(vit, config("\"heads\": 2", "\"heads\": 3"), "embed_dim 8 must be a multiple of num_heads 3");
  refused(vit, config("\"last_blocks\": 2", "\"last_blocks\": 3"), "last_blocks 3 of depth 2");
  refused(dinov2, config("\"registers\": 2", "\"registers\": 3"), "register_tokens");
  refused(dinov2, config("\"registers\": 2", "\"registers\": -1"), "registers -1");
  refused(dinov2, config("\"layer_scale\": true", "\"layer_scale\": 1"),
          "field layer_scale is 1, expected true or false");
  refused(dinov2, config("\"layer_scale\": true", "\"layer_scale\": false"), "ls1.gamma");
  refused(dinov2, config("\"gelu\"", "\"relu\""), "field mlp is \"relu\", expected gelu or swiglu");
  refused(dinov2, config("\"gelu\"", "\"swiglu\""), "mlp.w12");
  refused(dinov2, config("\"mask_token\": true", "\"mask_token\": false"), "mask_token");
  refused(dinov2, config("\"position_offset\": 0", "\"position_offset\": -1"), "offset of positions -1");
  refused(
      dinov2, [](StateDict& s) { s.tensors["grad.mask_token"] = s.tensors.at("weights.mask_token"); },
      "tensor grad.mask_token: nothing in the model reads this parameter");
  refused(head, config("\"use_bn\": false", "\"use_bn\": 0"), "field use_bn is 0, expected true or false");
  refused(run, config("\"lars\"", "\"lion\""), "optimizer \"lion\"");
  refused(run, config("\"batch\": 3", "\"batch\": 0"), "batch 0");
  refused(
      vit, [](StateDict& s) { s.tensors.erase("images"); }, "there is no tensor images");
  refused(
      vit, [](StateDict& s) { s.tensors.erase("weights.cls_token"); }, "missing: cls_token");
  refused(
      vit, [](StateDict& s) { s.tensors["last.7"] = s.tensors.at("tokens"); }, "tensor last.7 is not known");
  refused(
      vit, [](StateDict& s) { s.tensors["grad.wing"] = s.tensors.at("tokens"); }, "grad.wing");
  refused(
      vit, [](StateDict& s) { s.tensors["tokens"] = s.tensors.at("images"); }, "tensor tokens is (2,3,6,10)");
  refused(
      run, [](StateDict& s) { s.tensors["crops.1"] = s.tensors.at("loss"); }, "tensor crops.1 is (10)");
  refused(
      "loss-1", [](StateDict& s) { s.tensors.erase("center"); }, "there is no tensor center");
  refused(
      "knn-1", [](StateDict& s) { s.tensors["votes.x"] = s.tensors.at("votes.5"); }, "tensor votes.x");
}
