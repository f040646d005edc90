"""Notes the cases of llama.cpp's own chat tests in cases.json: what a model wrote, and what is to be read of it.

    python tests/data/calls/make.py PATH/TO/llama.cpp

takes the sources inside the llama-cpp-python sdist. It builds their tests/test-chat.cpp (MIT) with the check of each case
replaced by printing it, against the libraries of the installed llama-cpp-python, and runs it; g++ has to be there. Of
templates that are none of a family of ours only the number of cases is noted; tests/models/chat/test_calls.py has the reasons.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
OURS = re.compile(
    "Qwen|gpt-oss|DeepSeek-V3.1|R1|deepseek-r1|istral|Llama-3|granite|Hermes|QwQ|GLM-4|MiniCPM5|gemma-2|MiMo|Apriel-1.5|LFM2.*8B|Nemotron"
)
PRINTED = """
    {
        json o, e, calls = json::array();
        o["template"] = g_template;
        o["input"] = tc.input;
        o["partial"] = tc.is_partial;
        o["opening"] = parser.params_.generation_prompt;
        o["continued"] = (int) tc.params.continue_final_message;
        o["reasoning"] = std::string(common_reasoning_format_name(tc.params.reasoning_format));
        o["schema"] = tc.params.json_schema;
        o["tools"] = common_chat_tools_to_json_oaicompat(tc.params.tools);
        e["content"] = tc.expect.content;
        e["reasoning"] = tc.expect.reasoning_content;
        for (auto & c : tc.expect.tool_calls) {
            json k;
            k["name"] = c.name;
            k["arguments"] = c.arguments;
            calls.push_back(k);
        }
        e["calls"] = calls;
        o["expect"] = e;
        std::cout << o.dump() << std::endl;
        return;
    }
"""
AT = "    common_chat_msg msg_accum;\n"
PARSERS = "chat chat-auto-parser-generator chat-auto-parser-helpers chat-diff-analyzer chat-peg-parser json json-schema"
SOURCES = f"{PARSERS} json-schema-to-grammar peg-parser log unicode trie common reasoning-budget".split()


def patched(source: str) -> str:
    """Return the test program that prints its cases."""
    start = source.index("static void test_peg_parser(")
    at = source.index(AT, start)
    source = source[:start] + "static std::string g_template;\n" + source[start:at] + PRINTED + source[at:]
    source = source.replace(
        "        test_peg_parser(tester_.tmpls_",
        "        g_template = tester_.template_path();\n        test_peg_parser(tester_.tmpls_",
    )
    source = "\n".join(line for line in source.splitlines() if "got_runtime_error  &&" not in line)
    for header in ("src/llama-grammar.h", "src/unicode.h", "tools/server/server-chat.h"):
        source = source.replace(f'"../{header}"', f'"{header}"')
    return source


def build(root: Path, folder: Path) -> Path:
    """Return the program; what the cases never call is left undefined."""
    (folder / "test-chat.cpp").write_text(patched((root / "tests/test-chat.cpp").read_text("utf-8")), "utf-8")
    places = ("common", "include", "ggml/include", "src", "", "vendor", "tools/server", "tools/mtmd")
    flags = ["-std=c++17", "-O0", "-w", *(f"-I{root / place}" for place in places)]
    files = [root / "common" / f"{name}.cpp" for name in SOURCES]
    files += [
        *(root / "common/parsers").glob("*.cpp"),
        *(root / "common/jinja").glob("*.cpp"),
        folder / "test-chat.cpp",
    ]

    def compiled(number: int) -> str:
        out = str(folder / f"{number}.o")
        subprocess.run(["g++", *flags, "-c", str(files[number]), "-o", out], check=True)
        return out

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compiled, range(len(files))))
    library = Path(str(find_spec("llama_cpp").origin)).parent / "lib"  # type: ignore[union-attr]
    program = folder / "test-chat"
    link = [
        "g++",
        *objects,
        f"-L{library}",
        "-lllama",
        "-lggml",
        "-lggml-base",
        f"-Wl,-rpath,{library}",
        "-o",
        str(program),
    ]
    said = subprocess.run([*link, "-Wl,--no-demangle"], capture_output=True, text=True, check=False).stderr
    missing = set(re.findall(r"undefined reference to [`'\"]([^`'\"]+)", said))
    subprocess.run([*link, *(f"-Wl,--defsym,{name}=0" for name in missing)], check=True)
    return program


def main(root: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = build(root, Path(folder))
        lines = subprocess.run(
            [program, "--template", "."], cwd=root, capture_output=True, text=True, check=True
        ).stdout
    tools: list[object] = []
    cases = []
    left_out: dict[str, int] = {}
    for case in (json.loads(line) for line in lines.splitlines() if line.startswith('{"template')):
        name = case["template"] = case["template"].split("/")[-1].removesuffix(".jinja")
        if not OURS.search(name):
            left_out[name] = left_out.get(name, 0) + 1
            continue
        if case["tools"] not in tools:
            tools.append(case["tools"])
        cases.append({**case, "tools": tools.index(case["tools"])})
    text = json.dumps(
        {"tools": tools, "left_out": dict(sorted(left_out.items())), "cases": cases}, ensure_ascii=False, indent=0
    )
    (HERE / "cases.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
