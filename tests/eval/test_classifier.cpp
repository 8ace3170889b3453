#include <dino/eval/classifier.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

const VitConfig vit{.image_size = 8, .patch_size = 4, .dim = 6, .depth = 2, .heads = 2, .init_std = 0.2};
const BackboneInfo info{.vit = vit, .mean = {0.5f, 0.4f, 0.3f}, .name = "tiny"};

/// A classifier of three classes with its store.
struct Tiny {
  HostContext ctx{1};
  ParamStore<float, Host> params{ctx};
  Classifier<float, Host> model;

  explicit Tiny(u64 seed, const ProbeInput& input = {}) : model(Scope{params}, vit, 3, input) { params.finalize(seed); }

  std::vector<float> logits() { return to_vector(model(randn<float>(ctx, {2, 3, 8, 8}, RngKey(1, 2)))); }
};

/// The text of the error of kind weights that f must throw.
template <class F> std::string refusal(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::weights);
    return error.what();
  }
  FAIL("nothing was thrown");
  return "";
}

}  // namespace

TEST_CASE("classifier: the logits are the head's of the class token", "[eval]") {
  Tiny tiny(3);
  const auto x = randn<float>(tiny.ctx, {2, 3, 8, 8}, RngKey(1, 2));
  const auto feature = to_vector(tiny.model.backbone(x));
  const auto weight = to_vector(tiny.model.head.weight.value()), bias = to_vector(tiny.model.head.bias.value());
  const auto logits = tiny.logits();
  REQUIRE(logits.size() == 6);
  for (size_t b = 0; b < 2; ++b) {
    for (size_t k = 0; k < 3; ++k) {
      double expected = static_cast<double>(bias[k]);
      for (size_t c = 0; c < 6; ++c)
        expected += static_cast<double>(weight[6 * k + c]) * static_cast<double>(feature[6 * b + c]);
      CHECK(static_cast<double>(logits[3 * b + k]) == Approx(expected).margin(1e-6));
    }
  }
}

TEST_CASE("classifier: a file gives back the classifier and its classes", "[eval]") {
  TemporaryFolder folder;
  Tiny tiny(3), other(4);
  const std::vector<std::string> classes{"cat", "a \"dog\", perhaps", "K\xc3\xa4" "fer"};
  const auto file = folder / "c.safetensors";
  export_classifier(file, tiny.params, info, classes);
  const auto weights = read_classifier(file);
  CHECK(weights.classes == classes);
  CHECK(weights.outputs() == 3);
  CHECK(weights.info.mean == info.mean);
  CHECK(other.logits() != tiny.logits());
  load_classifier(other.params, weights, true);
  CHECK(other.logits() == tiny.logits());
  // Without the head: the backbone is that of the file, the head stays.
  Tiny third(5);
  const auto head = to_vector(third.model.head.weight.value());
  load_classifier(third.params, weights, false);
  CHECK(to_vector(third.model.head.weight.value()) == head);
  CHECK(to_vector(third.model.backbone.pos_embed.value()) == to_vector(tiny.model.backbone.pos_embed.value()));
}

TEST_CASE("classifier: a head may see several blocks and the mean patch token", "[eval]") {
  TemporaryFolder folder;
  const std::vector<std::string> classes{"a", "b", "c"};
  for (const ProbeInput input : {ProbeInput{2, false}, {1, true}, {2, true}}) {
    INFO(input.text());
    Tiny tiny(3, input), other(4, input);
    const auto x = randn<float>(tiny.ctx, {2, 3, 8, 8}, RngKey(1, 2));
    const auto features = probe_features(tiny.model.backbone, x, input);
    CHECK(tiny.logits() == to_vector(tiny.model.head(features)));
    export_classifier(folder / "c.safetensors", tiny.params, info, classes, input);
    const auto weights = read_classifier(folder / "c.safetensors");
    CHECK(weights.input == input);
    CHECK(weights.classes == classes);
    REQUIRE(weights.outputs() == 3);
    load_classifier(other.params, weights, true);
    CHECK(other.logits() == tiny.logits());
    // Its backbone is one like any other; its head is none on the class token.
    CHECK(to_vector(load_backbone<float>(tiny.ctx, folder / "c.safetensors")(x)) == to_vector(tiny.model.backbone(x)));
    Tiny token(5);
    CHECK_THAT(refusal([&] { load_classifier(token.params, weights, true); }), contains("head.weight is (3,"));
    // Without words about the head it is a backbone.
    auto state = read_safetensors(folder / "c.safetensors");
    state.metadata.erase("dino.blocks");
    state.metadata.erase("dino.classes");
    write_safetensors(folder / "b.safetensors", state.views(), state.metadata);
    CHECK(read_classifier(folder / "b.safetensors").outputs() == 0);
    // With them it must be there.
    state.metadata["dino.blocks"] = std::to_string(input.blocks);
    state.tensors.erase("linear.weight");
    write_safetensors(folder / "b.safetensors", state.views(), state.metadata);
    CHECK_THAT(refusal([&] { read_classifier(folder / "b.safetensors"); }), contains("are called linear.weight"));
  }
}

TEST_CASE("classifier: only a head on the class token is trained with its backbone", "[eval]") {
  Tiny tiny(3, {2, false});
  Tape<Host> tape(tiny.ctx);
  const auto x = tape.input(randn<float>(tiny.ctx, {2, 3, 8, 8}, RngKey(1, 2)));
  CHECK_THROWS_WITH(tiny.model(x), contains("a head on class tokens of 2 last blocks is not trained"));
}

TEST_CASE("classifier: another head takes the place of the file's", "[eval]") {
  TemporaryFolder folder;
  Tiny tiny(3), wide(4, {2, true});
  export_classifier(folder / "c.safetensors", tiny.params, info, {"a", "b", "c"});
  export_classifier(folder / "w.safetensors", wide.params, info, {"d", "e", "f"}, {2, true});
  auto weights = read_classifier(folder / "c.safetensors");
  weights.set_head(read_linear_head(folder / "w.safetensors", vit, {}));  // of a whole classifier, its head
  CHECK(weights.classes == std::vector<std::string>{"d", "e", "f"});
  Tiny both(5, weights.input);
  load_classifier(both.params, weights, true);
  CHECK(to_vector(both.model.backbone.pos_embed.value()) == to_vector(tiny.model.backbone.pos_embed.value()));
  CHECK(to_vector(both.model.head.weight.value()) == to_vector(wide.model.head.weight.value()));
}

TEST_CASE("classifier: load_backbone reads the same file", "[eval]") {
  TemporaryFolder folder;
  Tiny tiny(3);
  export_classifier(folder / "c.safetensors", tiny.params, info, {"a", "b", "c"});
  const auto net = load_backbone<float>(tiny.ctx, folder / "c.safetensors");
  const auto x = randn<float>(tiny.ctx, {2, 3, 8, 8}, RngKey(1, 2));
  CHECK(to_vector(net(x)) == to_vector(tiny.model.backbone(x)));
}

TEST_CASE("classifier: the folder of a run is its best classifier, else its last, else a backbone", "[eval]") {
  TemporaryFolder folder;
  Tiny tiny(3);
  std::filesystem::create_directories(folder / "run/export");
  const auto file = [&](const char* name) { return folder / "run/export" / name; };
  CHECK_THAT(refusal([&] { read_classifier(folder / "run"); }), contains("not a finished run"));
  export_backbone(file("teacher_backbone.safetensors"), tiny.params, info);
  CHECK(classifier_file(folder / "run") == file("teacher_backbone.safetensors"));
  CHECK(read_classifier(folder / "run").outputs() == 0);
  export_classifier(file("classifier.safetensors"), tiny.params, info, {"a", "b", "c"});
  CHECK(classifier_file(folder / "run") == file("classifier.safetensors"));
  export_classifier(file("best_classifier.safetensors"), tiny.params, info, {"a", "b", "c"});
  CHECK(classifier_file(folder / "run") == file("best_classifier.safetensors"));
}

TEST_CASE("classifier: positions follow the image size only when they may", "[eval]") {
  TemporaryFolder folder;
  Tiny tiny(3);
  export_classifier(folder / "c.safetensors", tiny.params, info, {"a", "b", "c"});
  auto weights = read_classifier(folder / "c.safetensors");
  fit_image_size(weights, 8, false);
  CHECK_THAT(refusal([&] { fit_image_size(weights, 16, false); }),
             contains("are for images of 8 x 8, image_size is 16") && contains("--interpolate-pos-embed"));
  CHECK_THROWS_WITH(fit_image_size(weights, 10, true), contains("multiple of the patch, 4"));
  fit_image_size(weights, 16, true);
  CHECK(weights.info.vit.image_size == 16);
  CHECK(weights.backbone.at("pos_embed").shape == Shape{1, 17, 6});
}

TEST_CASE("classifier: files that are none are refused, and change nothing", "[eval]") {
  TemporaryFolder folder;
  Tiny tiny(3);
  export_backbone(folder / "b.safetensors", tiny.params, info);
  const auto backbone = read_classifier(folder / "b.safetensors");
  Tiny other(4);
  const auto before = other.logits();
  CHECK_THAT(refusal([&] { load_classifier(other.params, backbone, true); }), contains("The file has no classifier"));
  CHECK(other.logits() == before);
  export_classifier(folder / "c.safetensors", tiny.params, info, {"a", "b"});
  CHECK_THAT(refusal([&] { read_classifier(folder / "c.safetensors"); }),
             contains("2 names of classes for a head of 3 outputs"));
  auto views = parameter_views(tiny.params, "backbone.");
  write_safetensors(folder / "d.safetensors", views,
                    {{"dino.model", model_text(info)}, {"dino.classes", "[\"a\", b]"}});
  CHECK_THAT(refusal([&] { read_classifier(folder / "d.safetensors"); }), contains("dino.classes"));
}
