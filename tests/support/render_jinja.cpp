// Renders a chat template with llama.cpp's own Jinja: render_jinja TEMPLATE VARIABLES.json
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "jinja/lexer.h"
#include "jinja/parser.h"
#include "jinja/runtime.h"
#include "jinja/value.h"
#include "json.h"

// The JSON library asks for it; libggml is not linked.
extern "C" void ggml_abort(const char *, int, const char *, ...) { std::abort(); }

static std::string text_of(const char * path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
}

int main(int, char ** arguments) {
    try {
        const std::string source = text_of(arguments[1]);
        jinja::lexer lexer;
        auto tokens = lexer.tokenize(source);
        auto program = jinja::parse_from_tokens(tokens);
        jinja::context context(source);
        jinja::global_from_json(context, common_json::parse(text_of(arguments[2])), false);
        jinja::runtime runtime(context);
        auto parts = jinja::runtime::gather_string_parts(runtime.execute(program));
        std::cout << parts->as_string().str();
        return 0;
    } catch (const std::exception & error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
