#include <dino/io/safetensors_header.hpp>

#include "support/catch.hpp"

using namespace dino;
using Catch::Matchers::Contains;

namespace {

SafetensorsHeader parse(const std::string& text, i64 data = 0, const SafetensorsLimits& limits = {}) {
  return parse_safetensors_header(text, 8 + static_cast<i64>(text.size()) + data, "w.safetensors", limits);
}

/// {"t": {...}} with these fields.
std::string tensor(const std::string& type, const std::string& shape, const std::string& offsets) {
  return R"({"t":{"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

void refuse(const std::string& text, const std::string& why, i64 data = 0) {
  CHECK_THROWS_WITH(parse(text, data), Contains("w.safetensors: ") && Contains(why));
}

}  // namespace

TEST_CASE("safetensors_header: white space, key order and escapes are free", "[io]") {
  const auto header = parse(
      " \n{ \"a\\u00e9\\ud83d\\ude00\" : {\"data_offsets\":[ 0 , 8 ], \"shape\":[ 2 ] , \"dtype\":\"F32\"},\t"
      "\"__metadata__\" : {\"k\\n\" : \"v\"} } \r\n",
      8);
  REQUIRE(header.tensors.size() == 1);
  CHECK(header.tensors[0].name == "a\xc3\xa9\xf0\x9f\x98\x80");
  CHECK(header.tensors[0].shape == Shape{2});
  CHECK(header.metadata.at("k\n") == "v");
}

TEST_CASE("safetensors_header: scalars and empty tensors are legal", "[io]") {
  CHECK(parse("{}").tensors.empty());
  CHECK(parse(tensor("F64", "[]", "[0,8]"), 8).tensors[0].shape.rank() == 0);
  CHECK(parse(tensor("F64", "[0,5]", "[0,0]")).tensors[0].shape == Shape{0, 5});
  const auto header = parse(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                            R"("b":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
                            2);
  CHECK(header.tensors[0].name == "b");
}

TEST_CASE("safetensors_header: text that is not UTF-8 is refused first", "[io]") {
  for (const char* bad : {"\xff", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                          "\xc3", "\xe2\x82", "\x80"}) {
    CHECK_FALSE(detail::valid_utf8(bad));
    refuse(std::string("{\"") + bad + "\"", "the header is not UTF-8");
  }
  for (const char* good :
       {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xed\x9f\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK(detail::valid_utf8(good));
  }
}

TEST_CASE("safetensors_header: text that is not JSON of this form is refused with the byte", "[io][fault][F10]") {
  refuse("", "expected an opening brace at byte 0");
  refuse("[]", "expected an opening brace at byte 0");
  refuse(std::string(1 << 20, '['), "expected an opening brace at byte 0");
  refuse("{", "expected a key at byte 1");
  refuse("{\"t", "ends inside a string");
  refuse("{\"t\\", "ends inside a string");
  refuse("{\"t\\x\":", "unknown escape");
  refuse("{\"t\\u12g4\":", "four hexadecimal digits");
  refuse("{\"\\ud800\":", "half a surrogate pair");
  refuse("{\"\\udc00\":", "half a surrogate pair");
  refuse("{\"\\ud800\\u0041\":", "half a surrogate pair");
  refuse("{\"t\n\":", "control character inside a string");
  refuse("{\"t\":null}", "expected the description of a tensor");
  refuse("{\"t\":{},}", "tensor t lacks dtype");
  refuse("{}x", "expected nothing more at byte 2");
  refuse(tensor("F32", "[2]", "[0,8]") + "}", "expected nothing more", 8);
}

TEST_CASE("safetensors_header: fields of a tensor have their types, once each", "[io]") {
  refuse(tensor("F32", "2", "[0,8]"), "expected a shape");
  refuse(tensor("F32", "[2,]", "[0,8]"), "an extent must be an integer");
  refuse(tensor("F32", "[2.0]", "[0,8]"), "an extent must be an integer");
  refuse(tensor("F32", "[1e2]", "[0,8]"), "an extent must be an integer");
  refuse(tensor("F32", "[-2]", "[0,8]"), "an extent must be an integer");
  refuse(tensor("F32", "[02]", "[0,8]"), "an extent must be an integer");
  refuse(tensor("F32", "[\"2\"]", "[0,8]"), "an extent must be an integer");
  refuse(tensor("F32", "[9223372036854775808]", "[0,8]"), "an extent is too large");
  refuse(tensor("F32", "[2]", "[0]"), "expected two offsets");
  refuse(tensor("F32", "[2]", "[0,8,9]"), "expected two offsets");
  refuse(tensor("F33", "[2]", "[0,8]"), "tensor t has the unknown type F33");
  refuse(R"({"t":{"dtype":"F32","shape":[2]}})", "tensor t lacks data_offsets");
  refuse(R"({"t":{"dtype":"F32","data_offsets":[0,8]}})", "tensor t lacks shape");
  refuse(R"({"t":{"dtype":"F32","dtype":"F32"}})", "duplicate key dtype in tensor t");
  refuse(R"({"t":{"strides":[1]}})", "unknown key strides in tensor t");
}

TEST_CASE("safetensors_header: metadata hold strings only, keys are unique", "[io]") {
  refuse(R"({"__metadata__":{"a":1}})", "__metadata__ holds strings only");
  refuse(R"({"__metadata__":{"a":"1","a":"2"}})", "duplicate key a in __metadata__");
  refuse(R"({"__metadata__":{},"__metadata__":{}})", "duplicate key __metadata__");
  const std::string entry = R"("t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  refuse("{" + entry + "," + entry + "}", "duplicate tensor t");
}

TEST_CASE("safetensors_header: offsets have no hole, no overlap and the right end", "[io]") {
  const auto two = [](const std::string& a, const std::string& b) {
    return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + a +
           R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}";
  };
  CHECK(parse(two("[4,8]", "[0,4]"), 8).tensors[0].name == "b");
  refuse(two("[0,4]", "[5,9]"), "tensor b has offsets 5 to 9, expected to begin at 4", 9);
  refuse(two("[0,4]", "[3,7]"), "tensor b has offsets 3 to 7, expected to begin at 4", 7);
  refuse(two("[0,4]", "[0,4]"), "expected to begin at 4", 4);
  refuse(tensor("U8", "[4]", "[1,5]"), "expected to begin at 0", 5);
  refuse(two("[0,4]", "[4,0]"), "tensor b has offsets 4 to 0", 4);
  refuse(two("[0,4]", "[4,8]"), "the tensors need 8 bytes, the file has 9", 9);
  refuse(two("[0,4]", "[4,8]"), "the tensors need 8 bytes, the file has 7", 7);
  refuse(tensor("U8", "[4]", "[0,9223372036854775807]"), "needs 4 bytes, the file has 9223372036854775807", 4);
}

TEST_CASE("safetensors_header: sizes follow from shape and type, and overflow is seen", "[io]") {
  refuse(tensor("F32", "[3]", "[0,8]"), "tensor t (3) of F32 needs 12 bytes, the file has 8", 8);
  refuse(tensor("F32", "[4294967296,4294967296]", "[0,0]"), "the size of tensor t (4294967296,4294967296) overflows");
  refuse(tensor("F32", "[4611686018427387904]", "[0,0]"), "overflows");
  refuse(tensor("F4", "[3]", "[0,1]"), "not a whole number of bytes", 1);
}

TEST_CASE("safetensors_header: a known type that cannot be loaded comes with the way out", "[io]") {
  refuse(tensor("F8_E4M3", "[3]", "[0,3]"), "tensor t has type F8_E4M3, which cannot be loaded; convert to F32", 3);
  refuse(tensor("F4", "[4]", "[0,2]"), "tensor t has type F4, which cannot be loaded", 2);
  for (const char* type : {"F64", "I64", "F32", "I32", "F16", "BF16", "U8", "BOOL"}) {
    const auto header = parse(tensor(type, "[0]", "[0,0]"));
    CHECK(dtype_name(header.tensors[0].dtype) == std::string(type));
  }
}

TEST_CASE("safetensors_header: texts of the file cannot write to the terminal", "[io]") {
  const auto what = [](const std::string& text) -> std::string {
    try {
      parse_safetensors_header(text, 8 + static_cast<i64>(text.size()), "w");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  for (const auto* text : {R"({"t":{"\u001b[2J":1}})", R"({"t":{"dtype":"\u001b[2J"}})",
                           R"({"__metadata__":{"\u001b[2J":"","\u001b[2J":""}})"}) {
    INFO(text);
    CHECK_THAT(what(text), Contains("?[2J") && !Contains("\x1b") && Contains("Copy or download the file again"));
  }
}

TEST_CASE("safetensors_header: limits hold", "[io]") {
  refuse(tensor("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), "tensor t has more than 8 dimensions", 4);
  refuse(tensor("F32", "[1,1,1,1,1,1,1]", "[0,4]"), "tensor t has 7 dimensions, at most 6 are supported", 4);
  CHECK(parse(tensor("F32", "[1,1,1,1,1,1]", "[0,4]"), 4).tensors[0].shape.rank() == 6);
  refuse("{\"" + std::string(513, 'a') + "\":{}}", "a name of more than 512 bytes");
  refuse("{\"a\\u0000\":{}}", "a name with control characters");
  refuse("{\"a\\u007f\":{}}", "a name with control characters");
  refuse("{\"a\\u0085\":{}}", "a name with control characters");
  const std::string two = R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                          R"("b":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})";
  CHECK_THROWS_WITH(parse(two, 0, {.tensors = 1}), Contains("too many tensors"));
  CHECK_THROWS_WITH(parse(R"({"__metadata__":{"a":"","b":""}})", 0, {.metadata = 1}), Contains("too many entries"));
}

TEST_CASE("safetensors_header: quoted text is read back", "[io]") {
  std::string text;
  for (int c = 0; c < 128; ++c) text += static_cast<char>(c);
  text += "\xc3\xa9";
  const auto quoted = detail::json_quote(text);
  CHECK(quoted.substr(0, 7) == "\"\\u0000");
  detail::JsonCursor json(quoted, "text");
  CHECK(json.string("a string") == text);
  CHECK_NOTHROW(json.expect_end());
}
